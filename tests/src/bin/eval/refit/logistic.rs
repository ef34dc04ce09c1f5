//! Logistic regression by coordinate descent: few features, some thousand examples.

/// One thing said, and whether it was true.
#[derive(Clone)]
pub(super) struct Example {
    pub features: Vec<(usize, f64)>,
    pub holds: bool,
    /// How much it counts.
    pub weight: f64,
}

/// Where the fit starts: it is drawn back to these weights, and none may change its sign.
pub(super) struct Start<'a> {
    pub weights: &'a [f64],
    /// How strongly it is drawn back: as so many examples of each reason would, that agree with its weight.
    pub pull: f64,
}

const SWEEPS: usize = 500;
const SETTLED: f64 = 1e-6;
/// The most that one weight moves at once: a reason that is never wrong would go to infinity.
const STEP: f64 = 1.0;

/// The likeliest weights.
pub(super) fn fit(examples: &[Example], start: &Start<'_>) -> Vec<f64> {
    let mut weights = start.weights.to_vec();
    let mut sums: Vec<f64> = examples
        .iter()
        .map(|example| dot(&example.features, &weights))
        .collect();
    let mut having: Vec<Vec<(usize, f64)>> = vec![Vec::new(); weights.len()];
    for (number, example) in examples.iter().enumerate() {
        for &(feature, times) in &example.features {
            having[feature].push((number, times));
        }
    }
    for _ in 0..SWEEPS {
        let mut moved = 0.0_f64;
        for (feature, having) in having.iter().enumerate() {
            let away = weights[feature] - start.weights[feature];
            let (mut slope, mut curvature) = (start.pull * away, start.pull);
            for &(number, times) in having {
                let example = &examples[number];
                let claimed = 1.0 / (1.0 + (-sums[number]).exp());
                let truth = f64::from(u8::from(example.holds));
                slope += example.weight * times * (claimed - truth);
                curvature += example.weight * times * times * claimed * (1.0 - claimed);
            }
            let step = (-slope / curvature).clamp(-STEP, STEP);
            let before = weights[feature];
            weights[feature] = like(before + step, start.weights[feature]);
            let by = weights[feature] - before;
            for &(number, times) in having {
                sums[number] += by * times;
            }
            moved = moved.max(by.abs());
        }
        if moved < SETTLED {
            break;
        }
    }
    weights
}

/// The value, or 0 when its sign is another one.
fn like(value: f64, sign: f64) -> f64 {
    if value * sign < 0.0 { 0.0 } else { value }
}

fn dot(features: &[(usize, f64)], weights: &[f64]) -> f64 {
    features
        .iter()
        .map(|&(feature, times)| weights[feature] * times)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::{Example, Start, fit};

    /// So many examples that have the feature, of which so many hold; the other feature is always there.
    fn examples(of: [(bool, u32, u32); 2]) -> Vec<Example> {
        let mut examples = Vec::new();
        for (has, all, hold) in of {
            for number in 0..all {
                let mut features = vec![(0, 1.0)];
                features.extend(has.then_some((1, 1.0)));
                examples.push(Example {
                    features,
                    holds: number < hold,
                    weight: 1.0,
                });
            }
        }
        examples
    }

    #[test]
    fn weights_are_the_logarithms_of_the_odds() {
        let examples = examples([(false, 1_000, 200), (true, 1_000, 800)]);
        let start = Start {
            weights: &[-1.0, 1.0],
            pull: 1e-3,
        };
        let weights = fit(&examples, &start);
        assert!((weights[0] - 0.25_f64.ln()).abs() < 0.01, "{weights:?}");
        assert!((weights[1] - 16_f64.ln()).abs() < 0.01, "{weights:?}");
    }

    #[test]
    fn a_reason_against_never_speaks_for() {
        let examples = examples([(false, 1_000, 200), (true, 1_000, 800)]);
        let start = Start {
            weights: &[-1.0, -1.0],
            pull: 1e-3,
        };
        assert!(fit(&examples, &start)[1].abs() < 1e-9);
    }

    #[test]
    fn what_never_occurs_keeps_its_weight() {
        let examples = examples([(false, 100, 20), (false, 100, 20)]);
        let start = Start {
            weights: &[-1.0, 3.0],
            pull: 1.0,
        };
        assert!((fit(&examples, &start)[1] - 3.0).abs() < 1e-9);
    }
}

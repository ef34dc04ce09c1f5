//! `--refit`: the weights of evidence, fitted. What is said of a family is judged by weights that were fitted without it, and
//! without its mended twin.
//!
//! A fit sees the claims that calibration is measured on, or everything that was said of a case, each set of reasons once,
//! however long it stood: what is wrong for a minute is an alarm as well. All examples of a case count as one. Leaks are far
//! more frequent here than in the field: while fitting, the prior is that of the cases, and is put back afterwards.

mod logistic;
mod model;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use leakwatch::detect::weights;

use self::{
    logistic::{Example, Start, fit},
    model::Model,
};
use crate::{families::Family, score::Judged};

/// How many examples the present weight of each reason is worth.
const PULL: f64 = 0.5;
/// Logarithm of the odds that leakwatch has before it has seen anything.
const PRIOR: &str = "prior";

/// Weights that were fitted without one family, and with all.
struct Fit {
    by_family: BTreeMap<&'static str, Model>,
    all: Model,
}

impl Fit {
    fn new(families: &[Family], judged: &[Judged], fitted: impl Fn(&[&Judged]) -> Model) -> Self {
        let without = |name: Option<&str>| {
            let rest = judged
                .iter()
                .filter(|judged| name != Some(families[judged.family].name));
            fitted(&rest.collect::<Vec<_>>())
        };
        let names: BTreeSet<_> = families.iter().map(|family| family.name).collect();
        Self {
            by_family: names
                .into_iter()
                .map(|name| (name, without(Some(name))))
                .collect(),
            all: without(None),
        }
    }

    /// The one that has not seen the family of this case.
    fn held_out(&self, families: &[Family], judged: &Judged) -> &Model {
        self.by_family
            .get(families[judged.family].name)
            .unwrap_or(&self.all)
    }
}

/// The table of weights as it is and as it would be, and what each says of families that it was not fitted on.
pub(crate) fn render(families: &[Family], judged: &[Judged]) -> String {
    let present = Fit::new(families, judged, |_| Model::plain(at_present()));
    let line = Fit::new(families, judged, fit_line);
    let claims = Fit::new(families, judged, |judged| fit_weights(judged, See::Claims));
    let everything = Fit::new(families, judged, |judged| fit_weights(judged, See::Everything));
    let fits = [
        ("present", &present),
        ("present, sums on a line fitted on claims", &line),
        ("fitted on claims", &claims),
        ("fitted on everything said", &everything),
    ];
    format!(
        "{} cases of {} families.\n\n### Families held out\n\n{}\n### Weights\n\n{}\n{}\n### What each reason is \
         worth\n\n{}",
        judged.len(),
        families.len(),
        table::held_out(families, judged, &fits),
        table::weights(judged, &[("claims", &claims), ("everything", &everything)]),
        table::line(&line),
        table::left_out(families, judged),
    )
}

fn at_present() -> Vec<f64> {
    weights().map(|(_, weight)| weight).collect()
}

/// How much likelier a leak is among these examples than leakwatch takes it to be beforehand, as a logarithm.
fn likelier(examples: &[Example]) -> f64 {
    let weight = |holds| {
        let of = examples.iter().filter(|example| example.holds == holds);
        of.map(|example| example.weight).sum::<f64>().max(0.5)
    };
    let prior = weights().find(|&(name, _)| name == PRIOR);
    (weight(true) / weight(false)).ln() - prior.map_or(0.0, |(_, weight)| weight)
}

/// What a fit sees of a case.
#[derive(Clone, Copy)]
enum See {
    /// Claims at equal distances in time, but for those that only keep what was said before.
    Claims,
    /// Every set of reasons, once.
    Everything,
}

fn examples(judged: &[&Judged], see: See) -> Vec<Example> {
    let mut examples = Vec::new();
    for judged in judged {
        let said = match see {
            See::Claims => claims(judged),
            See::Everything => everything(judged),
        };
        let weight = 1.0 / said.len().max(1) as f64;
        examples.extend(said.into_iter().map(|(features, holds)| Example {
            features,
            holds,
            weight,
        }));
    }
    examples
}

/// Reasons, and whether it did leak.
type Said = (Vec<(usize, f64)>, bool);

fn claims(judged: &Judged) -> Vec<Said> {
    let claims = judged.leakwatch.claims.iter().filter(|claim| !claim.is_kept);
    claims
        .map(|claim| (claim.reasons.0.clone(), claim.leaks))
        .collect()
}

fn everything(judged: &Judged) -> Vec<Said> {
    let mut said: Vec<Said> = Vec::new();
    for spell in &judged.leakwatch.testimony.spells {
        let new = (spell.reasons.0.clone(), spell.about && spell.leaks);
        if !said.contains(&new) {
            said.push(new);
        }
    }
    said
}

fn fit_weights(judged: &[&Judged], see: See) -> Model {
    let examples = examples(judged, see);
    let likelier = likelier(&examples);
    let prior = weights().position(|(name, _)| name == PRIOR);
    let mut start = at_present();
    if let Some(prior) = prior {
        start[prior] += likelier;
    }
    let start = Start {
        weights: &start,
        pull: PULL,
    };
    let mut fitted = fit(&examples, &start);
    if let Some(prior) = prior {
        fitted[prior] -= likelier;
    }
    Model::plain(fitted)
}

/// The present weights, and the line that makes their sums likeliest.
fn fit_line(judged: &[&Judged]) -> Model {
    let mut examples = examples(judged, See::Claims);
    let likelier = likelier(&examples);
    let present = at_present();
    for example in &mut examples {
        let sum: f64 = example
            .features
            .iter()
            .map(|&(feature, times)| present[feature] * times)
            .sum();
        example.features = vec![(0, 1.0), (1, sum + likelier)];
    }
    let start = Start {
        weights: &[0.0, 1.0],
        pull: PULL,
    };
    let fitted = fit(&examples, &start);
    Model {
        weights: present,
        offset: fitted[0] + (fitted[1] - 1.0) * likelier,
        times: fitted[1],
    }
}

#[cfg(test)]
mod tests {
    use super::{Example, likelier};

    #[test]
    fn the_prior_of_cases_is_their_own() {
        let example = |holds, weight| Example {
            features: Vec::new(),
            holds,
            weight,
        };
        let even = likelier(&[example(true, 2.0), example(false, 1.0), example(false, 1.0)]);
        let rare = likelier(&[example(true, 1.0), example(false, 4.0)]);
        assert!((even - rare - 4_f64.ln()).abs() < 1e-9);
        assert!(even > 6.0, "one in a thousand is far from one in two");
    }
}

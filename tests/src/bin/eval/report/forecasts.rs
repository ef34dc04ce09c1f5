//! How often the time to the limit is in the interval given for it.

use leakwatch_tests::markdown::Table;

use crate::{
    families::Group,
    replay::Forecast,
    score::{Judged, numbers::quantile},
};

/// Forecasts of some cases.
pub(super) struct Forecasts {
    pub given: usize,
    missing: u32,
    pub covered: f64,
    early: f64,
    open: f64,
    pub width: Option<f64>,
}

impl Forecasts {
    pub(super) fn of(judged: &[Judged], group: Option<Group>) -> Self {
        let of_group = |judged: &&Judged| group.is_none_or(|group| group == judged.group);
        let said = || judged.iter().filter(of_group).map(|judged| &judged.leakwatch);
        let all: Vec<&Forecast> = said().flat_map(|said| &said.forecasts).collect();
        let share = |holds: &dyn Fn(&Forecast) -> bool| {
            all.iter().filter(|forecast| holds(forecast)).count() as f64 / all.len().max(1) as f64
        };
        let width = |forecast: &&Forecast| Some(forecast.high? / forecast.low.max(1.0));
        let widths: Vec<f64> = all.iter().filter_map(width).collect();
        Self {
            given: all.len(),
            missing: said().map(|said| said.unforeseen).sum(),
            covered: share(&|forecast| {
                forecast.low <= forecast.actual && forecast.high.is_none_or(|high| forecast.actual <= high)
            }),
            early: share(&|forecast| forecast.actual < forecast.low),
            open: share(&|forecast| forecast.high.is_none()),
            width: quantile(&widths, 0.5),
        }
    }
}

pub(super) fn render(judged: &[Judged]) -> String {
    let mut table = Table::new([
        "at 40, 60 and 80 % of the life of a leak",
        "given",
        "not given",
        "covered",
        "limit came earlier",
        "open-ended",
        "median high/low",
    ]);
    let groups = [
        ("levels over a day", Some(Group::Curve)),
        ("call sites over two hours", Some(Group::Stream)),
        ("all", None),
    ];
    for (name, group) in groups {
        let forecasts = Forecasts::of(judged, group);
        table.row([
            name.to_owned(),
            forecasts.given.to_string(),
            forecasts.missing.to_string(),
            format!("{:.3}", forecasts.covered),
            format!("{:.3}", forecasts.early),
            format!("{:.3}", forecasts.open),
            forecasts
                .width
                .map_or("-".to_owned(), |width| format!("{width:.2}")),
        ]);
    }
    table.render()
}

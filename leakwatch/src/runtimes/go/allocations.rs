//! Rows of a census: objects by who allocated them.

use std::collections::HashMap;

use super::{
    buckets::{self, Bucket},
    places::Places,
};
use crate::model::census::{CensusRow, Counted, MAX_ROWS};

#[derive(Default)]
struct Site<'a> {
    count: f64,
    bytes: f64,
    /// The part that holds most.
    largest: Option<(f64, &'a [u64])>,
}

/// Those that hold most; `rate` is that of sampling, bytes.
pub(super) fn rows(live: &[Bucket], rate: u64, places: &mut Places) -> Vec<CensusRow> {
    let mut sites: HashMap<String, Site> = HashMap::new();
    for bucket in live {
        let Some(&innermost) = bucket.stack.first() else {
            continue;
        };
        let telling = places.telling(&bucket.stack).unwrap_or(innermost);
        let site = sites.entry(places.call(telling).text()).or_default();
        let count = bucket.live as f64 * buckets::weight(bucket.size, rate);
        let bytes = count * bucket.size as f64;
        site.count += count;
        site.bytes += bytes;
        if site.largest.is_none_or(|(largest, _)| largest < bytes) {
            site.largest = Some((bytes, &bucket.stack));
        }
    }
    let mut sites: Vec<_> = sites.into_iter().collect();
    sites.sort_by(|(_, a), (_, b)| b.bytes.total_cmp(&a.bytes));
    sites.truncate(MAX_ROWS);
    let rows = sites.into_iter().map(|(name, site)| {
        let (count, bytes) = (rounded(site.count), Some(rounded(site.bytes)));
        CensusRow {
            frames: places.frames(site.largest.map_or(&[], |(_, stack)| stack)),
            ..CensusRow::of(Counted::AllocationSite, name, count, bytes)
        }
    });
    rows.collect()
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "`as` saturates, and sums of estimates are not negative"
)]
pub(super) fn rounded(estimate: f64) -> u64 {
    estimate.round() as u64
}

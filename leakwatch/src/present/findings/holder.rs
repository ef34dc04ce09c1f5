//! What runtimes hold more and more of, in words.

use super::style::{amount, rate, seconds};
use crate::{
    model::{
        census::Counted,
        finding::{Finding, Holder, Resource},
    },
    present::census::things,
};

/// With this part of the growth it is named, whatever stack took the memory.
const MOST: f64 = 0.5;
/// With less than this part it says too little, even if nothing else is known.
const SOME: f64 = 0.2;
/// The same beside a stack that only made memory resident: who keeps it, the books alone say, and those of a collector count
/// garbage with what is kept.
const LITTLE: f64 = 0.05;
/// The kind of such a stack.
const FIRST_TOUCH: &str = "first_touch";

/// What to name first: the top holder, where it explains more than the top stack.
///
/// Stacks say who made memory resident, and that is who turns over most; books say what is kept.
pub fn top_holder(finding: &Finding) -> Option<&Holder> {
    let holder = finding.holders.first()?;
    let named = finding.sites.first().filter(|site| site.function.is_some());
    let is_part_of_heap = matches!(holder.counted, Counted::HeapSpace | Counted::SizeClass);
    let least = match named {
        None => SOME,
        Some(site) if is_part_of_heap => site.share,
        Some(site) if site.kind == FIRST_TOUCH => LITTLE,
        Some(site) => site.share.min(MOST),
    };
    (holder.share >= least).then_some(holder)
}

/// What they are, how fast there are more, and how much of the growth that is.
pub(super) fn clause(holder: &Holder) -> String {
    format!(
        "{}, {}, {}",
        things(holder.counted, &holder.name),
        growth(holder),
        explains(holder)
    )
}

/// All that is known of one, a line.
pub fn line(holder: &Holder) -> String {
    let mut parts = vec![growth(holder), explains(holder), format!("{} now", holder.count)];
    parts.extend(holder.bytes.map(|bytes| amount(Resource::Memory, bytes)));
    parts.extend(
        holder
            .oldest_seconds
            .map(|age| format!("the oldest waits for {}", seconds(age))),
    );
    format!(
        "{} ({}): {}",
        things(holder.counted, &holder.name),
        holder.runtime,
        parts.join(", ")
    )
}

/// By number, or by bytes where the number stays.
fn growth(holder: &Holder) -> String {
    match holder.bytes_per_second {
        Some(bytes) if holder.rate_per_second <= 0.0 => rate(Resource::Memory, bytes),
        _ => rate(Resource::Thread, holder.rate_per_second),
    }
}

fn explains(holder: &Holder) -> String {
    format!("{:.0} % of the growth", 100.0 * holder.share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::present::findings::sample;

    #[test]
    fn the_books_are_named_before_the_stack_that_explains_less() {
        let mut finding = sample::leak();
        finding.holders = vec![sample::holder()];
        assert!(top_holder(&finding).is_some(), "half of it is enough");
        finding.holders[0].share = 0.3;
        assert!(top_holder(&finding).is_none());
        "first_touch".clone_into(&mut finding.sites[0].kind);
        assert!(top_holder(&finding).is_some(), "who touched it need not keep it");
        finding.sites[0].function = None;
        assert!(
            top_holder(&finding).is_some(),
            "a stack without names says nothing"
        );
        finding.holders[0].share = 0.1;
        assert!(top_holder(&finding).is_none());
        finding.sites = sample::leak().sites;
        finding.holders[0].share = 0.6;
        finding.holders[0].counted = Counted::SizeClass;
        assert!(top_holder(&finding).is_none(), "a size is no name");
    }

    #[test]
    fn what_grows_in_size_alone_is_told_in_bytes() {
        let mut holder = sample::holder();
        assert_eq!(
            line(&holder),
            "HttpPool$Lease objects (java): +9.8/s, 91 % of the growth, 4012 now, 1.53 MiB"
        );
        holder.rate_per_second = 0.0;
        holder.bytes_per_second = Some(4_096.0);
        assert_eq!(
            clause(&holder),
            "HttpPool$Lease objects, +4.00 KiB/s, 91 % of the growth"
        );
    }
}

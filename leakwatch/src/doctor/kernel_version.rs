//! Whether this kernel is one of the supported ones.

use super::{Check, Status, facts::Facts};
use crate::kernel::catalog::OLDEST_KERNEL;

/// Since this one maps are charged to the memory cgroup instead of `RLIMIT_MEMLOCK`.
pub(super) const NO_MEMLOCK: (u32, u32) = (5, 11);

pub(super) fn check(facts: &Facts) -> Check {
    let (major, minor) = OLDEST_KERNEL;
    let found = &facts.release;
    if is_too_old(facts) {
        return Check::problem(
            "kernel",
            Status::Fail,
            format!("Linux {found}; the oldest supported is {major}.{minor}"),
            "everything",
            Some(format!("boot Linux {major}.{minor} or newer")),
        );
    }
    Check::pass(
        "kernel",
        format!("Linux {found}; {major}.{minor} or newer is supported"),
    )
}

pub(super) fn is_too_old(facts: &Facts) -> bool {
    parse(&facts.release).is_some_and(|found| found < OLDEST_KERNEL)
}

/// Major and minor version of a release such as `6.1.0-56-cloud-amd64`.
pub(super) fn parse(release: &str) -> Option<(u32, u32)> {
    let (major, rest) = release.split_once('.')?;
    let minor = rest.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{check, parse};
    use crate::doctor::{
        Status,
        facts::{Facts, recorded},
    };

    #[test]
    fn releases_as_distributions_write_them() {
        assert_eq!(parse("6.18.44-fc-v669"), Some((6, 18)));
        assert_eq!(parse("5.10.0-46-cloud-amd64"), Some((5, 10)));
        assert_eq!(parse("7.2-rc1"), Some((7, 2)));
        assert_eq!(parse("4.18.0-553.el8_10.x86_64"), Some((4, 18)));
        assert_eq!(parse("unknown"), None);
    }

    #[test]
    fn too_old_is_a_failure_and_unknown_is_not() {
        let status = |release: &str| {
            let release = release.to_owned();
            check(&Facts {
                release,
                ..recorded::root()
            })
            .status
        };
        assert_eq!(status("5.4.0-216-generic"), Status::Fail);
        assert_eq!(status("5.10.0"), Status::Pass);
        assert_eq!(status("10.1"), Status::Pass);
        assert_eq!(status("custom"), Status::Pass);
    }
}

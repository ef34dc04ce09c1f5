//! Whether the kernel's type information is there and of use.

use super::{Check, Status, advice, facts::Facts, outcome::Outcome};
use crate::kernel::{BTF_PATH, KernelError};

pub(super) fn check(facts: &Facts, outcome: &Outcome) -> Check {
    let problem = |found: String, fix| Check::problem("btf", Status::Fail, found, "everything", fix);
    match &facts.btf {
        Err(reason) => problem(
            format!("{BTF_PATH}: {reason}"),
            Some(advice::BOOT_WITH_BTF.to_owned()),
        ),
        Ok(bytes) => match outcome.error() {
            Some(error @ (KernelError::NoBtf(_) | KernelError::Btf(_) | KernelError::ParseBtf(_))) => {
                problem(advice::chain(error), advice::advise(error, facts).fix)
            }
            _ => Check::pass("btf", format!("{BTF_PATH}, {} KiB", bytes / 1024)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::check;
    use crate::doctor::{
        Status,
        facts::{Facts, recorded},
        outcome::Outcome,
    };

    #[test]
    fn a_kernel_without_type_information() {
        let facts = Facts {
            btf: Err("No such file or directory (os error 2)".to_owned()),
            ..recorded::root()
        };
        let check = check(&facts, &Outcome::from(Ok(Vec::new())));
        assert_eq!(check.status, Status::Fail);
        assert!(check.fix.expect("a fix").contains("CONFIG_DEBUG_INFO_BTF"));
    }
}

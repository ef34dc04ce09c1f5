//! `/proc/PID/limits`.

/// Soft limits of a process; `None` is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rlimits {
    /// `RLIMIT_NOFILE`.
    pub(super) nofile: Option<u64>,
    /// `RLIMIT_NPROC`.
    pub(super) nproc: Option<u64>,
    /// `RLIMIT_AS`, bytes.
    pub(super) address_space: Option<u64>,
    /// `RLIMIT_DATA`, bytes.
    pub(super) data: Option<u64>,
}

/// The columns begin where the heading has them: names contain spaces (fs/proc/base.c, `proc_pid_limits`).
const NAME_LEN: usize = 25;

pub(super) fn parse(text: &str) -> Rlimits {
    let soft = |name: &str| {
        let is_it = |line: &&str| {
            line.get(..NAME_LEN)
                .is_some_and(|column| column.trim_end() == name)
        };
        let line = text.lines().find(is_it)?;
        line[NAME_LEN..].split_ascii_whitespace().next()?.parse().ok()
    };
    Rlimits {
        nofile: soft("Max open files"),
        nproc: soft("Max processes"),
        address_space: soft("Max address space"),
        data: soft("Max data size"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Rlimits, parse};

    const SHELL: &str = "\
Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max file size             unlimited            unlimited            bytes     
Max data size             1073741824           unlimited            bytes     
Max stack size            8388608              unlimited            bytes     
Max core file size        0                    unlimited            bytes     
Max resident set          unlimited            unlimited            bytes     
Max processes             96365                96365                processes 
Max open files            20000                20000                files     
Max locked memory         8388608              8388608              bytes     
Max address space         unlimited            unlimited            bytes     
";

    #[test]
    fn soft_limits() {
        let expected = Rlimits {
            nofile: Some(20_000),
            nproc: Some(96_365),
            address_space: None,
            data: Some(1 << 30),
        };
        assert_eq!(parse(SHELL), expected);
    }

    #[test]
    fn nothing_is_no_limit() {
        assert_eq!(parse(""), Rlimits::default());
        assert_eq!(parse("Max open files\nMax open filesé 12"), Rlimits::default());
    }
}

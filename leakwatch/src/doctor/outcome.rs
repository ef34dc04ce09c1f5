//! What became of loading and attaching the probes.

use super::{Check, Status, advice, facts::Facts};
use crate::{
    kernel::{KernelError, catalog::PROBES},
    model::health::{ProbeHealth, ProbeState},
};

/// The kernel's answers.
#[derive(Debug)]
pub(super) struct Outcome(Result<Vec<ProbeHealth>, KernelError>);

impl From<Result<Vec<ProbeHealth>, KernelError>> for Outcome {
    fn from(result: Result<Vec<ProbeHealth>, KernelError>) -> Self {
        Self(result)
    }
}

impl Outcome {
    /// Why no probe could be tried.
    pub(super) fn error(&self) -> Option<&KernelError> {
        self.0.as_ref().err()
    }

    /// What a probe came to, if it was tried.
    pub(super) fn of(&self, program: &str) -> Option<&ProbeHealth> {
        self.0.as_ref().ok()?.iter().find(|health| health.name == program)
    }

    /// Whether leakwatch runs: every required probe is attached.
    pub(super) fn runs(&self) -> bool {
        PROBES.iter().filter(|probe| probe.required).all(|probe| {
            self.of(probe.program)
                .is_some_and(|health| health.state != ProbeState::Failed)
        })
    }

    /// Whether the kernel said no anywhere: EPERM or EACCES.
    pub(super) fn denied(&self) -> bool {
        self.errnos().any(|errno| advice::is_denial(Some(errno)))
    }

    /// Whether a system call is not there: the kernel has none, or a filter says so.
    pub(super) fn lacks_call(&self) -> bool {
        self.errnos().any(|errno| errno == libc::ENOSYS)
    }

    fn errnos(&self) -> impl Iterator<Item = i32> {
        let (probes, error) = match &self.0 {
            Ok(probes) => (probes.as_slice(), None),
            Err(error) => (&[][..], advice::errno(error)),
        };
        let reasons = probes.iter().filter_map(|health| health.reason.as_deref());
        reasons.filter_map(advice::errno_in).chain(error)
    }

    /// For something that may be why: a failure where leakwatch does not run, a warning where it does.
    pub(super) fn suspect(&self) -> Status {
        if self.runs() { Status::Warn } else { Status::Fail }
    }

    pub(super) fn check(&self, facts: &Facts) -> Check {
        match &self.0 {
            Ok(_) => Check::pass("load", "the kernel took the eBPF maps; each probe was tried"),
            Err(error) => {
                let advice = advice::advise(error, facts);
                let found = format!("{}; most likely: {}", advice::chain(error), advice.cause);
                Check::problem("load", Status::Fail, found, "everything", advice.fix)
            }
        }
    }
}

#[cfg(test)]
pub(super) mod recorded {
    //! What kernels answered.

    use std::io;

    use super::Outcome;
    use crate::{
        kernel::{KernelError, catalog::PROBES},
        model::health::{ProbeHealth, ProbeState},
    };

    pub(in crate::doctor) fn attached() -> Outcome {
        outcome(|_| (ProbeState::Attached, None))
    }

    /// Nothing could even be tried.
    pub(in crate::doctor) fn denied() -> Outcome {
        Outcome(Err(KernelError::Io {
            what: "map error: failed to create map `SITES`",
            source: io::Error::from_raw_os_error(libc::EPERM),
        }))
    }

    /// One probe was answered as told, the others attached.
    pub(in crate::doctor) fn except(program: &str, state: ProbeState, reason: &str) -> Outcome {
        outcome(|name| {
            if name == program {
                (state, Some(reason.to_owned()))
            } else {
                (ProbeState::Attached, None)
            }
        })
    }

    fn outcome(answer: impl Fn(&str) -> (ProbeState, Option<String>)) -> Outcome {
        let health = PROBES.iter().map(|probe| {
            let (state, reason) = answer(probe.program);
            ProbeHealth {
                name: probe.program.to_owned(),
                hook: probe.hook.label(),
                state,
                reason,
                runs: 0,
                run_time_ns: 0,
            }
        });
        Outcome(Ok(health.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::recorded;
    use crate::{doctor::Status, model::health::ProbeState};

    #[test]
    fn an_optional_probe_may_fail_and_a_required_one_may_not() {
        let optional = recorded::except("files", ProbeState::Failed, "Permission denied (os error 13)");
        assert!(optional.runs() && optional.denied());
        assert_eq!(optional.suspect(), Status::Warn);
        let required = recorded::except("tasks", ProbeState::Failed, "Invalid argument (os error 22)");
        assert!(!required.runs() && !required.denied());
        assert_eq!(required.suspect(), Status::Fail);
        assert!(!recorded::denied().runs());
    }
}

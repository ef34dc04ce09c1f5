//! What ends a command before it did what it was asked to.

use std::{fmt, io};

use crate::{doctor::advice, kernel::KernelError, record::RecordError, sampler::SampleError};

/// A failure as the user sees it: what failed, why most likely, and what to do.
#[derive(Debug)]
pub enum Failure {
    /// The reader of our output has gone: the end of work, and not an error.
    ClosedPipe,
    /// leakwatch could not see what it was asked to look at.
    CannotObserve {
        /// What failed, with the call and the kernel's answer.
        what: String,
        /// The most likely cause here.
        cause: Option<String>,
        /// One command or change that helps.
        fix: Option<String>,
    },
    /// What was typed cannot be done.
    Usage {
        /// What is wrong with it.
        what: String,
        /// What to type instead.
        fix: String,
    },
}

impl Failure {
    /// A failure of the output: a closed pipe or worse.
    pub fn output(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ClosedPipe;
        }
        Self::CannotObserve {
            what: format!("writing the output: {error}"),
            cause: None,
            fix: None,
        }
    }

    /// Something that failed for the reason it says itself.
    pub fn because(what: impl Into<String>) -> Self {
        Self::CannotObserve {
            what: what.into(),
            cause: None,
            fix: None,
        }
    }
}

impl From<KernelError> for Failure {
    fn from(error: KernelError) -> Self {
        let advice = advice::advice(&error);
        Self::CannotObserve {
            what: advice::chain(&error),
            cause: Some(advice.cause),
            fix: advice.fix,
        }
    }
}

impl From<RecordError> for Failure {
    fn from(error: RecordError) -> Self {
        Self::because(advice::chain(&error))
    }
}

impl From<SampleError> for Failure {
    fn from(error: SampleError) -> Self {
        match error {
            SampleError::Kernel(error) => error.into(),
            SampleError::Record(error) => error.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, cause, fix) = match self {
            Self::ClosedPipe => return Ok(()),
            Self::CannotObserve { what, cause, fix } => (what, cause.as_ref(), fix.as_ref()),
            Self::Usage { what, fix } => (what, None, Some(fix)),
        };
        writeln!(f, "error: {what}")?;
        if let Some(cause) = cause {
            writeln!(f, "cause: {cause}")?;
        }
        if let Some(fix) = fix {
            writeln!(f, "  fix: {fix}")?;
        }
        Ok(())
    }
}

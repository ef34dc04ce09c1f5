//! Runtimes that are asked, and act: the one part of leakwatch for which a target does something.
//!
//! Everything else reads. What is here is used by `explain --attach` alone, and only after that has said what the process
//! is about to do. One file for each way to ask; who has none is told so.

mod eventpipe;
#[cfg(fuzzing)]
pub mod fuzzing;
mod hotspot;
mod inspector;
mod process;
mod stream;

use std::{io, time::Instant};

use self::process::Process;
use crate::{
    clock::{ClockId, now_ns},
    model::{
        census::{Census, RuntimeView},
        identity::ProcessId,
        runtime::CAN_BE_ASKED,
    },
    process_stat,
    recognise::Recognised,
};

/// Every way to ask.
const ADAPTERS: &[&dyn Adapter] = &[
    &hotspot::AttachListener,
    &eventpipe::EventPipe,
    &inspector::Inspector,
];

/// A way to ask one runtime.
trait Adapter: Sync {
    /// Name of the runtime, as [`Recognised::runtime`] has it.
    fn runtime(&self) -> &'static str;

    /// What the process does when it is asked, for whoever allows it: ends a sentence that begins with its name.
    fn acts(&self) -> &'static str;

    /// Begins to talk; the process may act from here on.
    fn attach(&self, process: Process) -> Result<Box<dyn Conversation>, Refused>;
}

/// A runtime that answers. When this is dropped, the process is left as it was found, as far as [`Adapter::acts`] says.
trait Conversation: Send {
    /// What it says that it holds now: every row of it, in the words of a census of the same runtime.
    ///
    /// Blocks until the answer has come, [`PATIENCE`](process::PATIENCE) at the most.
    fn ask(&mut self) -> Result<RuntimeView, Refused>;
}

/// Why a runtime was not asked, or has not answered.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// There is no such process (any more).
    #[error("no process {0}")]
    Gone(u32),
    /// There is no way to ask it.
    #[error("leakwatch cannot ask {0}: it can ask {known}", known = CAN_BE_ASKED.join(", "))]
    NoAdapter(String),
    /// A call failed.
    #[error("{call}: {error}")]
    Call {
        /// The call and its argument.
        call: String,
        /// What the kernel said.
        error: io::Error,
    },
    /// It does not listen, or does not want to; the text says why, and what to do.
    #[error("{0}")]
    Declined(String),
    /// Its answer is not what its protocol says.
    #[error("its answer is not understood: {0}")]
    Answer(&'static str),
}

/// A runtime that can be asked.
pub struct Attachable {
    adapter: &'static dyn Adapter,
    process: Process,
}

/// A runtime that was asked once, and can be again.
pub struct Attached {
    id: ProcessId,
    version: Option<String>,
    conversation: Box<dyn Conversation>,
}

impl Attachable {
    /// Finds out how the process is asked. It is only read for this.
    ///
    /// # Errors
    /// When it is gone, or there is no way to ask it.
    pub fn of(pid: u32) -> Result<Self, Refused> {
        let id = process_stat::of(pid).ok_or(Refused::Gone(pid))?;
        let process = Process::open(id)?;
        let Recognised { runtime, .. } = process.recognised();
        let adapter = ADAPTERS
            .iter()
            .find(|adapter| *runtime == Some(adapter.runtime()));
        let adapter =
            *adapter.ok_or_else(|| Refused::NoAdapter(runtime.unwrap_or("native code").to_owned()))?;
        Ok(Self { adapter, process })
    }

    /// What the process does when it is asked: ends a sentence that begins with its name.
    pub fn acts(&self) -> &'static str {
        self.adapter.acts()
    }

    /// Asks for the first time. Blocks until there is an answer.
    ///
    /// # Errors
    /// When it does not answer, or not as it should.
    pub fn attach(self) -> Result<(Attached, Census), Refused> {
        let version = self.process.recognised().runtime_version.as_deref();
        let mut attached = Attached {
            id: self.process.id(),
            version: version.map(str::to_owned),
            conversation: self.adapter.attach(self.process)?,
        };
        let census = attached.ask()?;
        Ok((attached, census))
    }
}

impl Attached {
    /// Asks what it holds now. Blocks until there is an answer.
    ///
    /// # Errors
    /// When it does not answer, or not as it should.
    pub fn ask(&mut self) -> Result<Census, Refused> {
        let taken_ns = now_ns(ClockId::Monotonic);
        let began = Instant::now();
        let mut view = self.conversation.ask()?;
        view.version.clone_from(&self.version);
        Ok(Census {
            process: self.id,
            taken_ns,
            took_ns: u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX),
            read_bytes: 0,
            views: vec![view],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{ADAPTERS, Attachable, CAN_BE_ASKED, Refused};

    #[test]
    fn there_is_an_adapter_for_each_that_can_be_asked() {
        let adapters: Vec<_> = ADAPTERS.iter().map(|adapter| adapter.runtime()).collect();
        assert_eq!(adapters, CAN_BE_ASKED);
    }

    #[test]
    fn who_is_gone_or_has_no_adapter_is_told_so() {
        assert!(matches!(Attachable::of(u32::MAX), Err(Refused::Gone(u32::MAX))));
        let refused = Attachable::of(std::process::id()).err().unwrap();
        assert!(
            refused
                .to_string()
                .starts_with("leakwatch cannot ask native code: it can ask java, dotnet, node")
        );
    }
}

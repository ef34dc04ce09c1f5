//! V8's inspector in node: a port of the process's own host on which debuggers are answered, opened by SIGUSR1
//! (<https://nodejs.org/en/learn/getting-started/debugging>).
//!
//! What was made since the first question and can still be reached is what V8's sampling heap profiler has at the next one,
//! after a collection.

mod call_frame;
mod port;
mod profile;
mod session;
mod socket;
mod weight;

use std::{
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle, sleep},
    time::{Duration, Instant},
};

use log::warn;
use rustix::process::Signal;
use serde_json::json;

use self::{
    session::Session,
    socket::{Listening, listening},
};
use super::{
    Adapter, Conversation, Refused,
    process::{PATIENCE, Process, call},
};
use crate::model::{census::RuntimeView, identity::ProcessId, runtime};

/// Node opens it in a thread of its own, whatever the program does.
const LISTENS_WITHIN: Duration = Duration::from_secs(10);
const CLOSES_WITHIN: Duration = Duration::from_secs(10);
const STEP: Duration = Duration::from_millis(20);
/// How often it is looked whether the process wants to exit.
const LOOKS_EVERY: Duration = Duration::from_millis(100);
/// `inspector.close()` by a name that needs no module; it ends the session before it answers.
const CLOSE: &str = "process._debugEnd()";
/// What is not known of its answer; see [`weight`].
const ESTIMATES: &str = "how many objects there are is estimated: V8 tells the bytes that a sample stands for, and not how long its \
                         objects are";

/// By the sampling heap profiler.
pub(super) struct Inspector;

impl Adapter for Inspector {
    fn runtime(&self) -> &'static str {
        runtime::NODE
    }

    fn acts(&self) -> &'static str {
        "opens its inspector to its own host by SIGUSR1 if it is not open, says so on its standard error, and closes it again \
         at the end; samples what its main thread allocates, and collects its whole heap at the end, while it stands still"
    }

    fn attach(&self, process: Process) -> Result<Box<dyn Conversation>, Refused> {
        let profiler = Profiler::reach(&process)?;
        let (questions, asked) = channel();
        let thread = thread::Builder::new().name("inspector".to_owned());
        let thread = thread
            .spawn(move || answer(profiler, &asked))
            .map_err(|error| call("start a thread".to_owned(), error))?;
        Ok(Box::new(Profiling {
            process: process.id(),
            questions: Some(questions),
            thread: Some(thread),
        }))
    }
}

/// Who asks: where the answer goes.
type Question = Sender<Result<RuntimeView, Refused>>;

/// A process that is profiled, by a thread that also looks whether it wants to exit.
struct Profiling {
    process: ProcessId,
    questions: Option<Sender<Question>>,
    thread: Option<JoinHandle<()>>,
}

impl Conversation for Profiling {
    fn ask(&mut self) -> Result<RuntimeView, Refused> {
        let gone = || Refused::Gone(self.process.pid);
        let (question, answer) = channel();
        let questions = self.questions.as_ref().ok_or_else(gone)?;
        questions.send(question).map_err(|_| gone())?;
        answer.recv().map_err(|_| gone())?
    }
}

impl Drop for Profiling {
    fn drop(&mut self) {
        self.questions = None;
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// Answers until nobody can ask any more, or the process wants to exit, which it does not before the session has ended.
fn answer(mut profiler: Profiler, questions: &Receiver<Question>) {
    loop {
        match questions.recv_timeout(LOOKS_EVERY) {
            Ok(question) => {
                let _nobody_waits = question.send(profiler.ask());
            }
            Err(RecvTimeoutError::Timeout) if !profiler.session.is_waited_for() => {}
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// The profiler of a process, which is left as it was when this is dropped.
struct Profiler {
    process: ProcessId,
    session: Session,
    /// What was opened for this, and is closed at the end.
    opened: Option<Listening>,
    samples: bool,
}

impl Profiler {
    /// Through an inspector that is open, or else is opened.
    fn reach(process: &Process) -> Result<Self, Refused> {
        let id = process.id();
        let port = port::of(process);
        let before = listening(id)?;
        let mut there = before.iter().filter(|found| found.address.port() == port);
        let (session, opened) = if let Some(own) = there.clone().find(|found| found.is_own) {
            (Session::open(id, own.address)?, None)
        } else if let Some(taken) = there.next() {
            return Err(Refused::Declined(format!(
                "another process listens on {}, where its inspector would: end that one, or close its inspector",
                taken.address
            )));
        } else {
            process.signal(Signal::USR1)?;
            let (session, opened) = appeared(id, &before)?;
            (session, Some(opened))
        };
        Ok(Self {
            process: id,
            session,
            opened,
            samples: false,
        })
    }

    fn ask(&mut self) -> Result<RuntimeView, Refused> {
        let mut view = RuntimeView {
            runtime: runtime::NODE.to_owned(),
            ..RuntimeView::default()
        };
        if self.samples {
            self.call("HeapProfiler.collectGarbage")?;
            view.rows = profile::rows(&self.call("HeapProfiler.getSamplingProfile")?)?;
            view.heap = profile::heap(&self.call("Runtime.getHeapUsage")?)?;
            view.unknown = Some(ESTIMATES.to_owned());
        } else {
            self.start()?;
        }
        Ok(view)
    }

    fn start(&mut self) -> Result<(), Refused> {
        // There is one in a process, and it would be ended with ours.
        if self.call("HeapProfiler.getSamplingProfile").is_ok() {
            return Err(Refused::Declined(
                "its heap is sampled already, by a debugger or by a profiler that it has in it: ask that one"
                    .to_owned(),
            ));
        }
        let interval = json!({ "samplingInterval": weight::INTERVAL });
        self.session
            .call("HeapProfiler.startSampling", &interval, PATIENCE)?;
        self.samples = true;
        Ok(())
    }

    fn call(&mut self, method: &str) -> Result<String, Refused> {
        self.session.call(method, &json!({}), PATIENCE)
    }
}

impl Drop for Profiler {
    fn drop(&mut self) {
        if self.session.is_leaving() {
            return;
        }
        if self.samples {
            // It ends with the session as well.
            let _ended = self
                .session
                .call("HeapProfiler.stopSampling", &json!({}), CLOSES_WITHIN);
        }
        let Some(opened) = self.opened else { return };
        let close = json!({ "expression": CLOSE, "silent": true });
        let _ended = self.session.call("Runtime.evaluate", &close, CLOSES_WITHIN);
        let is_open = || {
            let all = listening(self.process).unwrap_or_default();
            all.iter().any(|found| found.inode == opened.inode)
        };
        let began = Instant::now();
        while is_open() {
            if began.elapsed() > CLOSES_WITHIN {
                let (pid, address) = (self.process.pid, opened.address);
                warn!("the inspector of process {pid} was opened on {address} and could not be closed");
                return;
            }
            sleep(STEP);
        }
    }
}

/// A session with the inspector that was not there before.
fn appeared(process: ProcessId, before: &[Listening]) -> Result<(Session, Listening), Refused> {
    let began = Instant::now();
    let mut refused = None;
    while began.elapsed() < LISTENS_WITHIN {
        for found in listening(process)? {
            let is_new = before.iter().all(|known| known.inode != found.inode);
            if !found.is_own || !is_new {
                continue;
            }
            match Session::open(process, found.address) {
                Ok(session) => return Ok((session, found)),
                Err(error) => refused = Some((error, found.address)),
            }
        }
        sleep(STEP);
    }
    Err(Refused::Declined(match refused {
        Some((error, address)) => format!("it listens on {address} since it was asked to, which stays so, and does not answer: {error}"),
        None => "it got SIGUSR1 and opened no inspector: its program may handle that signal itself, or have opened its \
                 inspector on another port"
            .to_owned(),
    }))
}

//! Interpreters whose frames the probes take: how they are found in each process, and what functions they are of.
//!
//! A probe follows frames by offsets ([`leakwatch_common::interpreter`]) and takes two words of each, uninterpreted. What they
//! mean is read from the process here, when the stack is unwound: code lives far longer than that takes, and what does not
//! look like code is left out. How a process is followed is found out once for each of its images, in a thread of its own,
//! because symbols are read for it.

use std::{
    collections::HashMap,
    io,
    sync::mpsc::{Receiver, Sender, channel},
    thread,
};

use leakwatch_common::interpreter::{FrameWords, ImageKey, Interpreter, MAX_FRAMES};
use log::{debug, warn};

use super::{INTERPRETERS, Unknown, memory::Memory, target::Target};
use crate::{
    model::{
        identity::ProcessId,
        stack::{Function, ScriptFunction, ScriptStack},
    },
    recognise::Recogniser,
};

/// An image is looked at so often before it is given up: an interpreter is there only when it has started. The distance
/// between two looks doubles.
const MAX_LOOKS: u32 = 6;
const FIRST_REST_NS: u64 = 1_000_000_000;
/// Frames of one process whose function is remembered.
const MAX_REMEMBERED: usize = 2048;

/// How an interpreter's frames are found and named in one process.
pub(super) struct Followed {
    /// For the probes.
    pub(super) interpreter: Interpreter,
    /// An address in the interpreter's own code.
    pub(super) code: u64,
    /// Names frames.
    pub(super) frames: Box<dyn ReadsFrames>,
}

/// Knows what the words of a frame mean.
pub(super) trait ReadsFrames: Send {
    /// The function that runs, and where in it; `None` for what is no function of the program, and for what is no code at all.
    fn function(&self, memory: &mut Memory, words: FrameWords) -> Option<Function>;
}

/// A runtime whose frames can be followed.
pub(super) trait Interpreted: Sync {
    /// Its name, as processes are recognised by.
    fn name(&self) -> &'static str;

    /// How to follow this process.
    ///
    /// # Errors
    /// When it is not there, not there yet, or of no version that is known.
    fn follow(&self, target: &Target, memory: &mut Memory) -> Result<Followed, Unknown>;
}

/// One program image.
type Image = (ProcessId, u32);

/// Every process whose frames are taken.
#[derive(Default)]
pub struct Interpreters {
    worker: Option<Worker>,
    images: HashMap<Image, State>,
    added: Vec<(ImageKey, Interpreter)>,
    removed: Vec<ImageKey>,
}

enum State {
    /// Not known how yet.
    Unknown {
        looks: u32,
        due_ns: u64,
        is_asked: bool,
    },
    Known(Known),
}

struct Known {
    runtime: &'static str,
    code: u64,
    frames: Box<dyn ReadsFrames>,
    remembered: HashMap<FrameWords, Option<Function>>,
}

impl Interpreters {
    /// This process has a runtime of that name. It never waits.
    pub fn recognised(&mut self, now_ns: u64, process: ProcessId, exec_id: u32, runtime: &str) {
        let Some(&interpreted) = INTERPRETERS.iter().find(|known| known.name() == runtime) else {
            return;
        };
        let image = (process, exec_id);
        let state = self.images.entry(image).or_insert(State::Unknown {
            looks: 0,
            due_ns: now_ns,
            is_asked: false,
        });
        let State::Unknown {
            looks,
            due_ns,
            is_asked,
        } = state
        else {
            return;
        };
        if *is_asked || *looks == MAX_LOOKS || now_ns < *due_ns {
            return;
        }
        *due_ns = now_ns + (FIRST_REST_NS << *looks);
        *looks += 1;
        if self.worker.is_none() {
            self.worker = Worker::start()
                .inspect_err(|error| warn!("no frames of interpreters: {error}"))
                .ok();
        }
        if let Some(worker) = &self.worker {
            *is_asked = worker.todo.send((image, interpreted)).is_ok();
        }
    }

    /// What the probes are to follow from now on, and what not any more.
    pub fn changes(&mut self) -> (Vec<(ImageKey, Interpreter)>, Vec<ImageKey>) {
        self.collect();
        (std::mem::take(&mut self.added), std::mem::take(&mut self.removed))
    }

    /// Forgets what is not alive, and what frames meant: code may have been replaced meanwhile.
    pub fn retain(&mut self, is_alive: &dyn Fn(ProcessId, u32) -> bool) {
        let removed = &mut self.removed;
        self.images.retain(|&(process, exec_id), state| {
            let is_alive = is_alive(process, exec_id);
            if let State::Known(known) = state {
                known.remembered.clear();
                if !is_alive {
                    removed.push(key((process, exec_id)));
                }
            }
            is_alive
        });
    }

    /// What these frames mean, innermost first; `None` when there are none that mean anything.
    pub fn stack(&mut self, process: ProcessId, exec_id: u32, frames: &[FrameWords]) -> Option<ScriptStack> {
        let State::Known(known) = self.images.get_mut(&(process, exec_id))? else {
            return None;
        };
        let mut memory = Memory::of_process(process.pid);
        let functions: Vec<ScriptFunction> = frames
            .iter()
            .filter_map(|&words| known.function(&mut memory, words))
            .collect();
        (!functions.is_empty()).then_some(ScriptStack {
            functions,
            is_complete: frames.len() < MAX_FRAMES as usize,
            interpreter: known.code,
        })
    }

    fn collect(&mut self) {
        let Some(worker) = &self.worker else {
            return;
        };
        for (image, name, followed) in worker.done.try_iter() {
            let Some(state) = self.images.get_mut(&image) else {
                continue;
            };
            match followed {
                Ok(followed) => {
                    self.added.push((key(image), followed.interpreter));
                    *state = State::Known(Known {
                        runtime: name,
                        code: followed.code,
                        frames: followed.frames,
                        remembered: HashMap::new(),
                    });
                }
                Err(error) => {
                    debug!("no {name} frames of process {}: {error}", image.0.pid);
                    if let State::Unknown { is_asked, .. } = state {
                        *is_asked = false;
                    }
                }
            }
        }
    }
}

impl Known {
    fn function(&mut self, memory: &mut Memory, words: FrameWords) -> Option<ScriptFunction> {
        if self.remembered.len() >= MAX_REMEMBERED {
            self.remembered.clear();
        }
        let frames = &self.frames;
        let function = self
            .remembered
            .entry(words)
            .or_insert_with(|| frames.function(memory, words));
        function.clone().map(|function| ScriptFunction {
            runtime: self.runtime,
            function,
        })
    }
}

fn key((process, exec_id): Image) -> ImageKey {
    ImageKey {
        tgid: process.pid,
        exec_id,
    }
}

type Outcome = (Image, &'static str, Result<Followed, Unknown>);

/// A thread that finds out how to follow processes, until this is dropped.
struct Worker {
    todo: Sender<(Image, &'static dyn Interpreted)>,
    done: Receiver<Outcome>,
}

impl Worker {
    fn start() -> io::Result<Self> {
        let (todo, images) = channel::<(Image, &'static dyn Interpreted)>();
        let (outcomes, done) = channel();
        thread::Builder::new()
            .name("interpreters".to_owned())
            .spawn(move || {
                let mut recogniser = Recogniser::default();
                for (image, interpreted) in images {
                    let followed = follow(image.0, interpreted, &mut recogniser);
                    if outcomes.send((image, interpreted.name(), followed)).is_err() {
                        return;
                    }
                }
            })?;
        Ok(Self { todo, done })
    }
}

fn follow(
    process: ProcessId,
    interpreted: &dyn Interpreted,
    recogniser: &mut Recogniser,
) -> Result<Followed, Unknown> {
    let mut target = Target::open(process)?;
    target.recognise(recogniser);
    let mut memory = Memory::of(&target);
    interpreted.follow(&target, &mut memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process_stat;

    struct Numbered;

    impl ReadsFrames for Numbered {
        fn function(&self, _: &mut Memory, words: FrameWords) -> Option<Function> {
            (words.code != 0).then(|| Function {
                name: format!("f{}", words.code),
                file: None,
                line: u32::try_from(words.position).ok(),
            })
        }
    }

    fn known() -> Interpreters {
        let known = Known {
            runtime: "python",
            code: 0x1000,
            frames: Box::new(Numbered),
            remembered: HashMap::new(),
        };
        Interpreters {
            images: HashMap::from([((process_stat::own(), 0), State::Known(known))]),
            ..Interpreters::default()
        }
    }

    fn words(code: u64) -> FrameWords {
        FrameWords { code, position: 7 }
    }

    #[test]
    fn frames_that_mean_nothing_are_left_out() {
        let mut interpreters = known();
        let process = process_stat::own();
        let stack = interpreters
            .stack(process, 0, &[words(3), words(0), words(2)])
            .expect("two functions");
        let names: Vec<&str> = stack.functions.iter().map(|f| f.function.name.as_str()).collect();
        assert_eq!(names, ["f3", "f2"]);
        assert!(stack.is_complete);
        let all = vec![words(1); MAX_FRAMES as usize];
        assert!(!interpreters.stack(process, 0, &all).expect("many").is_complete);
        assert_eq!(interpreters.stack(process, 0, &[words(0)]), None);
        assert_eq!(interpreters.stack(process, 1, &[words(1)]), None, "another image");
    }

    #[test]
    fn who_ended_is_not_followed_any_more() {
        let mut interpreters = known();
        interpreters.retain(&|_, _| true);
        assert!(interpreters.changes().1.is_empty());
        interpreters.retain(&|_, _| false);
        assert_eq!(interpreters.changes().1, [key((process_stat::own(), 0))]);
    }

    #[test]
    fn what_is_not_there_is_looked_for_a_few_times_only() {
        let mut interpreters = Interpreters::default();
        let process = process_stat::own();
        let mut looks = 0;
        for second in 0..1000 {
            interpreters.recognised(second * FIRST_REST_NS, process, 0, "python");
            let state = interpreters.images.values_mut().next().expect("one");
            let State::Unknown {
                looks: now, is_asked, ..
            } = state
            else {
                panic!("this is no python")
            };
            looks = *now;
            *is_asked = false;
        }
        assert_eq!(looks, MAX_LOOKS);
        interpreters.recognised(0, process, 1, "no such runtime");
        assert_eq!(interpreters.images.len(), 1);
    }
}

//! The thread that reads files and looks addresses up.

use std::{cell::OnceCell, collections::HashMap, sync::Arc, time::Duration};

use super::{
    cache::{Place, Validity},
    perf_map,
    queue::{Answer, Batch, Held, Queue, Task},
    reason::Reason,
    source::Sources,
    vdso::Vdso,
};
use crate::model::stack::{Function, Module, ModuleKind, Symbol};

/// After this long without a question everything is let go: one large program's symbols are tens of MiB.
const IDLE: Duration = Duration::from_secs(30);
/// Copies that are kept between batches, bytes.
const MAX_HELD: u64 = 48 << 20;
/// Files that are kept between batches.
const MAX_FILES: usize = 256;

type Found = Result<Box<[Function]>, Reason>;

/// Answers until the queue is closed.
pub(super) fn run(queue: &Queue) {
    let mut worker = Worker::default();
    loop {
        match queue.next(IDLE) {
            Task::Answer(batch) => {
                let answers = worker.answer(batch);
                queue.answer(answers, worker.held());
            }
            Task::Idle if worker.files.is_empty() => {}
            Task::Idle => {
                worker.files.clear();
                queue.answer(Vec::new(), worker.held());
            }
            Task::End => return,
        }
    }
}

#[derive(Default)]
struct Worker {
    files: HashMap<Place, Open>,
    /// Batches so far.
    batches: u64,
    vdso: OnceCell<Option<Vdso>>,
}

struct Open {
    sources: Sources,
    /// The batch that used it last.
    used: u64,
}

impl Worker {
    fn answer(&mut self, batch: Batch) -> Vec<Answer> {
        self.batches += 1;
        let Batch {
            place,
            module,
            addresses,
        } = batch;
        let found = self.find(&place, &module, &addresses);
        self.limit();
        let answers = addresses.into_iter().zip(found);
        let answers = answers.map(|(address, found)| Answer {
            place: place.clone(),
            address,
            validity: match &found {
                Err(reason) if reason.depends_on_the_process() => Validity::Through(module.seen),
                _ => Validity::Always,
            },
            symbol: Arc::new(match found {
                Ok(functions) => Symbol::Functions(functions),
                Err(reason) => Symbol::Unknown(reason.text()),
            }),
        });
        answers.collect()
    }

    fn find(&mut self, place: &Place, module: &Module, addresses: &[u64]) -> Vec<Found> {
        match (module.kind, module.seen) {
            (ModuleKind::Elf, _) => self.in_file(place, module, addresses),
            (ModuleKind::Vdso, _) => self.in_vdso(module.build_id.as_deref(), addresses),
            (ModuleKind::Anonymous, Some(seen)) => {
                let found = perf_map::find(seen.pid, addresses).into_iter();
                found
                    .map(|found| found.map(|function| Box::from([function])))
                    .collect()
            }
            (ModuleKind::Anonymous, None) => vec![Err(Reason::ProcessGone); addresses.len()],
        }
    }

    fn in_file(&mut self, place: &Place, module: &Module, addresses: &[u64]) -> Vec<Found> {
        if !self.files.contains_key(place) {
            match Sources::open(module) {
                Ok(sources) => {
                    self.files.insert(place.clone(), Open { sources, used: 0 });
                }
                Err(reason) => return vec![Err(reason); addresses.len()],
            }
        }
        let Some(open) = self.files.get_mut(place) else {
            return Vec::new();
        };
        open.used = self.batches;
        addresses
            .iter()
            .map(|&address| open.sources.find(address))
            .collect()
    }

    fn in_vdso(&self, build_id: Option<&[u8]>, addresses: &[u64]) -> Vec<Found> {
        let vdso = self.vdso.get_or_init(Vdso::own);
        let find = |&address: &u64| match vdso {
            Some(vdso) => vdso.find(build_id, address).map(|function| Box::from([function])),
            None => Err(Reason::OtherVdso),
        };
        addresses.iter().map(find).collect()
    }

    /// Lets go of the files that were not used for longest.
    fn limit(&mut self) {
        while self.held().bytes > MAX_HELD || self.files.len() > MAX_FILES {
            let oldest = self.files.iter().min_by_key(|(_, open)| open.used);
            let Some(oldest) = oldest.map(|(place, _)| place.clone()) else {
                return;
            };
            self.files.remove(&oldest);
        }
    }

    fn held(&self) -> Held {
        Held {
            files: self.files.len(),
            bytes: self.files.values().map(|open| open.sources.bytes()).sum(),
        }
    }
}

//! What the handle and the thread share: questions one way, answers the other.

use std::{
    collections::{HashSet, VecDeque},
    mem,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::cache::{Place, Validity};
use crate::model::stack::{Module, Symbol};

/// Most addresses that wait.
const MAX_WAITING: usize = 65_536;
/// Most addresses that the thread takes at a time: so many share a file that is opened once, and the rest of the queue does
/// not wait for them for long.
const MAX_BATCH: usize = 4096;

/// Addresses of one module.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) place: Place,
    pub(super) module: Module,
    pub(super) addresses: Vec<u64>,
}

/// What is known about an address now.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) place: Place,
    pub(super) address: u64,
    pub(super) symbol: Arc<Symbol>,
    pub(super) validity: Validity,
}

/// What the thread holds now.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Held {
    pub(super) files: usize,
    pub(super) bytes: u64,
}

/// What the thread is to do.
pub(super) enum Task {
    Answer(Batch),
    /// Nothing was asked for this long.
    Idle,
    /// The handle is gone.
    End,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Batch>,
    asked: HashSet<(Place, u64)>,
    answers: Vec<Answer>,
    held: Held,
    is_closed: bool,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    asked: Condvar,
    answered: Condvar,
}

impl Queue {
    /// Asks, unless the same is being asked already or too much is.
    pub(super) fn ask(&self, place: Place, module: &Module, address: u64) {
        let mut state = self.lock();
        if state.asked.len() >= MAX_WAITING || !state.asked.insert((place.clone(), address)) {
            return;
        }
        let same = state
            .waiting
            .iter_mut()
            .rev()
            .find(|batch| batch.place == place && batch.addresses.len() < MAX_BATCH);
        match same {
            Some(batch) => {
                // The process that was seen last is the one most likely to be there still.
                batch.module.seen = module.seen;
                batch.addresses.push(address);
            }
            None => state.waiting.push_back(Batch {
                place,
                module: module.clone(),
                addresses: vec![address],
            }),
        }
        self.asked.notify_one();
    }

    /// Takes the answers so far.
    pub(super) fn answers(&self) -> Vec<Answer> {
        mem::take(&mut self.lock().answers)
    }

    /// Waits until nothing is asked for; whether that came.
    pub(super) fn settle(&self, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut state = self.lock();
        while !state.asked.is_empty() {
            let Some(left) = deadline
                .checked_duration_since(Instant::now())
                .filter(|left| !left.is_zero())
            else {
                return false;
            };
            let woken = self.answered.wait_timeout(state, left);
            (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
        }
        true
    }

    /// Addresses without an answer yet.
    pub(super) fn waiting(&self) -> usize {
        self.lock().asked.len()
    }

    pub(super) fn held(&self) -> Held {
        self.lock().held
    }

    /// Ends the thread when it is done with the batch at hand.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.asked.notify_one();
    }

    /// Waits for something to do, at most this long.
    pub(super) fn next(&self, idle: Duration) -> Task {
        let deadline = Instant::now() + idle;
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return Task::End;
            }
            if let Some(batch) = state.waiting.pop_front() {
                return Task::Answer(batch);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Task::Idle;
            }
            let woken = self.asked.wait_timeout(state, left);
            (state, _) = woken.unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn answer(&self, answers: Vec<Answer>, held: Held) {
        let mut state = self.lock();
        for answer in answers {
            state.asked.remove(&(answer.place.clone(), answer.address));
            state.answers.push(answer);
        }
        state.held = held;
        self.answered.notify_all();
    }

    /// A panic of the other side leaves no half-made state: each change is complete when the lock is released.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! Names of functions for addresses in binaries, away from the hot path.
//!
//! A [`Symbols`] handle answers from memory at once, or hands the address to a thread that reads files, and answers when it
//! is asked again. The thread asks one source after another, the one that says most first; each has its file here. All of
//! them read what a hostile process may have written: see [`crate::target_file`] for opening and [`outline`] for why nothing is mapped.

mod cache;
mod debug_files;
pub(crate) mod demangle;
mod elf;
pub(crate) mod elf_file;
pub(crate) mod gopclntab;
mod mini_debug_info;
mod outline;
mod perf_map;
mod queue;
pub(crate) mod reason;
mod source;
pub(crate) mod symbol_table;
#[cfg(test)]
mod tests;
mod vdso;
mod worker;

use std::{io, sync::Arc, thread, time::Duration};

use self::{
    cache::{Cache, Place},
    queue::Queue,
};
use crate::model::stack::{Module, Symbol};

/// Looks addresses up. Its thread ends when it is dropped.
#[derive(Debug)]
pub struct Symbols {
    cache: Cache,
    queue: Arc<Queue>,
}

/// What symbols cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SymbolUsage {
    /// Answers that are kept.
    pub symbols: usize,
    /// Memory of the answers, bytes, without the allocator's own.
    pub symbol_bytes: usize,
    /// Addresses that wait for an answer.
    pub waiting: usize,
    /// Files whose symbols are at hand.
    pub files: usize,
    /// Memory of the copies of those files, bytes; let go after half a minute without a question.
    pub file_bytes: u64,
}

impl Symbols {
    /// Starts the thread.
    pub fn start() -> io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let theirs = Arc::clone(&queue);
        thread::Builder::new()
            .name("symbols".to_owned())
            .spawn(move || worker::run(&theirs))?;
        Ok(Self {
            cache: Cache::default(),
            queue,
        })
    }

    /// What is at an address of a module, as [`CodeAddress`](crate::model::stack::CodeAddress) states it; `None`: asked for,
    /// not answered yet.
    pub fn look_up(&mut self, module: &Module, address: u64) -> Option<Arc<Symbol>> {
        let place = Place::of(module);
        if let Some(known) = self.cache.get(&place, module, address) {
            return Some(known);
        }
        self.take_answers();
        let known = self.cache.get(&place, module, address);
        if known.is_none() {
            self.queue.ask(place, module, address);
        }
        known
    }

    /// Waits until everything that was asked for is answered; whether that came in time.
    pub fn settle(&mut self, timeout: Duration) -> bool {
        let settled = self.queue.settle(timeout);
        self.take_answers();
        settled
    }

    /// What it costs now.
    pub fn usage(&self) -> SymbolUsage {
        let held = self.queue.held();
        SymbolUsage {
            symbols: self.cache.symbols(),
            symbol_bytes: self.cache.bytes(),
            waiting: self.queue.waiting(),
            files: held.files,
            file_bytes: held.bytes,
        }
    }

    fn take_answers(&mut self) {
        for answer in self.queue.answers() {
            let queue::Answer {
                place,
                address,
                symbol,
                validity,
            } = answer;
            self.cache.insert(place, address, symbol, validity);
        }
    }
}

impl Drop for Symbols {
    fn drop(&mut self) {
        // Not waited for: it may be reading from a file system that does not answer.
        self.queue.close();
    }
}

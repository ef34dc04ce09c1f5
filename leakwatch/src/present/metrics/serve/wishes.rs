use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::model::interest::Interest;

/// The processes whose call sites somebody who is being answered waits for.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// How many wait, by pid.
    pids: Arc<Mutex<BTreeMap<u32, usize>>>,
}

impl Wishes {
    /// What the next tick is to read.
    pub fn interest(&self) -> Interest {
        Interest {
            fd_kinds_of: self.lock().keys().copied().collect(),
            ..Interest::default()
        }
    }

    /// From the next tick on the sites of this process are read, until the wish is dropped.
    pub(super) fn wish(&self, pid: u32) -> Wish {
        *self.lock().entry(pid).or_default() += 1;
        Wish {
            wishes: self.clone(),
            pid,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, usize>> {
        // A panic while the lock was held leaves a map that is still a map.
        self.pids.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends when it is dropped.
pub(super) struct Wish {
    wishes: Wishes,
    pid: u32,
}

impl Drop for Wish {
    fn drop(&mut self) {
        let mut pids = self.wishes.lock();
        if let Some(count) = pids.get_mut(&self.pid) {
            *count -= 1;
            if *count == 0 {
                pids.remove(&self.pid);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Wishes;

    #[test]
    fn a_wish_lasts_as_long_as_somebody_has_it() {
        let wishes = Wishes::default();
        let wanted = || wishes.interest().fd_kinds_of.into_iter().collect::<Vec<_>>();
        let first = wishes.wish(7);
        let second = wishes.wish(7);
        let other = wishes.wish(3);
        assert_eq!(wanted(), [3, 7]);
        drop((first, other));
        assert_eq!(wanted(), [7]);
        drop(second);
        assert!(wishes.interest().is_empty());
    }
}

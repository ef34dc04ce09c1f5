//! What is known about addresses, for as long as there is room.

use std::{collections::HashMap, sync::Arc};

use crate::model::stack::{Module, ModuleKind, Sighting, Symbol};

/// Most symbols that are kept.
pub(super) const CAPACITY: usize = 65_536;

/// Where code is, beyond the process that it was seen in where that can be said.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// A file with a build id, anywhere.
    Build(Box<[u8]>),
    /// A file without one, or memory of one process.
    Process(ModuleKind, String, Option<u32>),
}

impl Place {
    pub(super) fn of(module: &Module) -> Self {
        match &module.build_id {
            Some(build_id) if module.kind != ModuleKind::Anonymous => Self::Build(build_id.clone()),
            _ => Self::Process(module.kind, module.path.clone(), module.seen.map(|seen| seen.pid)),
        }
    }
}

/// How long an answer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Validity {
    /// Whoever maps the module.
    Always,
    /// Until the module is seen in another process than this: that one may still have the file.
    Through(Option<Sighting>),
}

/// One answer.
#[derive(Debug)]
struct Known {
    symbol: Arc<Symbol>,
    validity: Validity,
    /// The look-up that used it last.
    used: u64,
}

/// Answers by place and address. When it is full, the half that was not used for longest goes.
#[derive(Debug, Default)]
pub(super) struct Cache {
    places: HashMap<Place, HashMap<u64, Known>>,
    symbols: usize,
    bytes: usize,
    clock: u64,
}

impl Cache {
    /// The answer, unless it is "not found" and the module has been seen in another process since.
    pub(super) fn get(&mut self, place: &Place, module: &Module, address: u64) -> Option<Arc<Symbol>> {
        self.clock += 1;
        let known = self.places.get_mut(place)?.get_mut(&address)?;
        if matches!(known.validity, Validity::Through(seen) if seen != module.seen) {
            return None;
        }
        known.used = self.clock;
        Some(Arc::clone(&known.symbol))
    }

    pub(super) fn insert(&mut self, place: Place, address: u64, symbol: Arc<Symbol>, validity: Validity) {
        if self.symbols >= CAPACITY {
            self.shrink();
        }
        let known = Known {
            validity,
            used: self.clock,
            symbol,
        };
        self.bytes += known.bytes();
        self.symbols += 1;
        let answers = self.places.entry(place).or_default();
        if let Some(replaced) = answers.insert(address, known) {
            self.bytes -= replaced.bytes();
            self.symbols -= 1;
        }
    }

    fn shrink(&mut self) {
        let mut used: Vec<u64> = self.known().map(|known| known.used).collect();
        let (_, &mut median, _) = used.select_nth_unstable(CAPACITY / 2);
        for answers in self.places.values_mut() {
            answers.retain(|_, known| known.used > median);
        }
        self.places.retain(|_, answers| !answers.is_empty());
        self.symbols = self.known().count();
        self.bytes = self.known().map(Known::bytes).sum();
    }

    fn known(&self) -> impl Iterator<Item = &Known> {
        self.places.values().flat_map(HashMap::values)
    }

    /// Symbols that are kept.
    pub(super) fn symbols(&self) -> usize {
        self.symbols
    }

    /// Memory that they take, bytes, without the allocator's own.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Known {
    fn bytes(&self) -> usize {
        let functions = match &*self.symbol {
            Symbol::Unknown(_) => 0,
            Symbol::Functions(functions) => {
                let text = functions.iter();
                let text = text.map(|function| {
                    function.name.capacity() + function.file.as_ref().map_or(0, String::capacity)
                });
                size_of_val(&**functions) + text.sum::<usize>()
            }
        };
        size_of::<(u64, Self)>() + size_of::<Symbol>() + functions
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{CAPACITY, Cache, Place, Validity};
    use crate::model::stack::{Module, ModuleKind, Sighting, Symbol};

    fn module(pid: u32) -> Module {
        Module {
            kind: ModuleKind::Elf,
            path: "/bin/x".to_owned(),
            build_id: Some(Box::from([1, 2, 3])),
            seen: Some(Sighting {
                pid,
                mapping: (0, 4096),
            }),
        }
    }

    #[test]
    fn a_build_is_the_same_in_every_process_and_a_path_is_not() {
        assert_eq!(Place::of(&module(1)), Place::of(&module(2)));
        let without = |pid| Module {
            build_id: None,
            ..module(pid)
        };
        assert_ne!(Place::of(&without(1)), Place::of(&without(2)));
    }

    #[test]
    fn what_another_process_may_know_is_asked_again() {
        let (mut cache, first, second) = (Cache::default(), module(1), module(2));
        let place = Place::of(&first);
        cache.insert(
            place.clone(),
            1,
            Arc::new(Symbol::Unknown("process gone")),
            Validity::Through(first.seen),
        );
        cache.insert(
            place.clone(),
            2,
            Arc::new(Symbol::Unknown("no symbols")),
            Validity::Always,
        );
        assert!(cache.get(&place, &first, 1).is_some());
        assert!(cache.get(&place, &second, 1).is_none());
        assert!(cache.get(&place, &second, 2).is_some());
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let (mut cache, module) = (Cache::default(), module(1));
        let place = Place::of(&module);
        for address in 0..3 * CAPACITY as u64 {
            cache.insert(
                place.clone(),
                address,
                Arc::new(Symbol::Unknown("no symbols")),
                Validity::Always,
            );
            assert!(cache.get(&place, &module, 0).is_some());
            assert!(cache.symbols() <= CAPACITY);
        }
        assert!(cache.get(&place, &module, 3 * CAPACITY as u64 - 1).is_some());
        assert_eq!(
            cache.bytes() / cache.symbols(),
            cache.bytes().div_ceil(cache.symbols())
        );
        assert_eq!(cache.known().count(), cache.symbols());
    }
}

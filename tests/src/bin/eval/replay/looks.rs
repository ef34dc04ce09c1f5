//! The closer looks: which of the overdue things are used between two of them.

use leakwatch::model::confirm::{Confirm, Confirmation, Wish};

use super::process::{ID, LOST, Simulated};
use crate::case::{Body, Curve, Item, Stream, Thing, Use};
use crate::whole::amount;

/// Seconds between the two looks at the least and at the most.
const BETWEEN: (f64, f64) = (5.0, 20.0);

/// The first of two looks.
pub(super) struct Look {
    began_ns: u64,
    until_ns: u64,
    /// What is looked at: index of a thing, or how it is used.
    items: Vec<Seen>,
}

enum Seen {
    Thing(usize),
    /// Part of a heap: used every so many seconds.
    Memory(f64),
}

impl Confirm for Simulated<'_> {
    fn confirm(&mut self, now_ns: u64, wish: &Wish) -> Option<Confirmation> {
        let key = (wish.resource, wish.kind);
        let Some(look) = self.looks.get(&key) else {
            let look = self.first(now_ns, wish);
            self.looks.insert(key, look);
            return None;
        };
        if now_ns < look.until_ns {
            return None;
        }
        let look = self.looks.remove(&key)?;
        Some(self.second(now_ns, wish, &look))
    }
}

impl Simulated<'_> {
    fn first(&mut self, now_ns: u64, wish: &Wish) -> Look {
        let case = self.case;
        let mut age = f64::INFINITY;
        let mut items = Vec::new();
        for &number in &wish.items {
            match &case.body {
                Body::Curve(curve) => items.push(Seen::Memory(self.page(curve, number))),
                Body::Stream(stream) => {
                    if let Some((index, item)) = self.find(stream, number) {
                        age = age.min(self.now() - item.born);
                        items.push(Seen::Thing(index));
                    }
                }
            }
        }
        let between = (age / 3.0).clamp(BETWEEN.0, BETWEEN.1);
        Look {
            began_ns: now_ns,
            until_ns: now_ns + amount(between * 1e9),
            items,
        }
    }

    fn second(&mut self, now_ns: u64, wish: &Wish, look: &Look) -> Confirmation {
        let between = (now_ns - look.began_ns) as f64 / 1e9;
        let mut answer = Confirmation {
            process: wish.process,
            resource: wish.resource,
            kind: wish.kind,
            looked_at: 0,
            stale: 0,
            touched: 0,
            close_wait: 0,
            same_file: 0,
            waiting_alike: 0,
        };
        for seen in &look.items {
            let used_every = match (seen, &self.case.body) {
                (Seen::Memory(used_every), _) => *used_every,
                (Seen::Thing(index), Body::Stream(stream)) => {
                    let item = &stream.items[*index];
                    if item.died <= self.now() {
                        continue;
                    }
                    let thing = self.case.thing;
                    answer.close_wait +=
                        u32::from(thing == Thing::Socket && item.leaked && stream.peer_closed);
                    answer.same_file += u32::from(thing == Thing::File && item.site == 0 && stream.same_file);
                    item.used_every
                }
                (Seen::Thing(_), Body::Curve(_)) => continue,
            };
            answer.looked_at += 1;
            if self.draw.chance(1.0 - (-between / used_every).exp()) {
                answer.touched += 1;
            } else {
                answer.stale += 1;
            }
        }
        if self.case.thing == Thing::Thread {
            answer.waiting_alike = answer.stale;
        }
        answer
    }

    fn now(&self) -> f64 {
        let run_ns = self.moment().boottime_ns - ID.start_time_ns;
        run_ns as f64 / 1e9 - self.case.age
    }

    /// The thing at a number, or the mapping around an address.
    fn find<'s>(&self, stream: &'s Stream, number: u64) -> Option<(usize, &'s Item)> {
        let (&at, &index) = self.held.range(..=number).next_back()?;
        (number - at < stream.bytes.max(1)).then(|| (index, &stream.items[index]))
    }

    /// How often a page of a heap is used.
    fn page(&mut self, curve: &Curve, address: u64) -> f64 {
        match curve.used {
            Use::Between(low, high) if address < LOST => self.draw.log_uniform(low, high),
            Use::Between(..) | Use::Never => f64::INFINITY,
        }
    }
}

//! One process to be judged: what it held and when, and the truth about it.

use leakwatch::model::finding::Resource;
use leakwatch_common::kind::Kind;

use crate::whole::count;

/// What a case takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Thing {
    /// Small objects of an allocator; seen as levels and sampled page faults.
    Heap,
    File,
    Socket,
    Thread,
    /// Mappings of many pages, touched: memory ends first.
    Mapping,
    /// Mappings of a page: `vm.max_map_count` ends first.
    SmallMapping,
}

impl Thing {
    pub(crate) const ALL: [Self; 6] = [
        Self::Heap,
        Self::File,
        Self::Socket,
        Self::Thread,
        Self::Mapping,
        Self::SmallMapping,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Heap => "heap",
            Self::File => "fd (file)",
            Self::Socket => "fd (socket)",
            Self::Thread => "thread",
            Self::Mapping => "mmap",
            Self::SmallMapping => "map count",
        }
    }

    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Heap => Kind::FirstTouch,
            Self::File => Kind::File,
            Self::Socket => Kind::Socket,
            Self::Thread => Kind::Thread,
            Self::Mapping | Self::SmallMapping => Kind::Mapping,
        }
    }

    /// What its limit is a limit of.
    pub(crate) fn resource(self) -> Resource {
        match self {
            Self::Heap | Self::Mapping => Resource::Memory,
            Self::File | Self::Socket => Resource::Fd,
            Self::Thread => Resource::Thread,
            Self::SmallMapping => Resource::Maps,
        }
    }

    /// Resources that leak with it: a thread has a stack, which is a mapping; a mapping that is touched is memory.
    pub(crate) fn moves(self, resource: Resource) -> bool {
        match self {
            Self::Heap => resource == Resource::Memory,
            Self::File | Self::Socket => resource == Resource::Fd,
            Self::Thread => resource != Resource::Fd,
            Self::Mapping | Self::SmallMapping => matches!(resource, Resource::Memory | Resource::Maps),
        }
    }
}

/// How often what is held is used.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Use {
    Never,
    /// Each thing once in so many seconds on average, drawn for each from this range, all magnitudes alike.
    Between(f64, f64),
}

/// One thing that was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Item {
    /// When, seconds.
    pub born: f64,
    /// When it is given back; infinity when never.
    pub died: f64,
    /// Which call site took it.
    pub site: u8,
    /// Mean time between two uses of it, seconds; infinity when it is never used.
    pub used_every: f64,
    /// Whether the program has lost it.
    pub leaked: bool,
}

/// A memory level over a day, and who moves it.
pub(crate) struct Curve {
    /// Share of the limit that is held, per tick.
    pub level: Vec<f64>,
    /// The part of it that is leaked.
    pub leaked: Vec<f64>,
    /// Work done in this tick, in any unit.
    pub load: Vec<f64>,
    /// How often the part that is not leaked is used.
    pub used: Use,
}

/// Things taken and given back.
pub(crate) struct Stream {
    /// In order of birth.
    pub items: Vec<Item>,
    /// Bytes of each; 0 for what is not memory.
    pub bytes: u64,
    /// Held when it begins, in units of the limit.
    pub base: u64,
    /// Whether the peer of a leaked socket has closed.
    pub peer_closed: bool,
    /// Whether all files are one file.
    pub same_file: bool,
}

pub(crate) enum Body {
    Curve(Curve),
    Stream(Stream),
}

/// A leak.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leak {
    /// When it begins, seconds.
    pub onset: f64,
    /// Things, or bytes, per second on average.
    pub rate: f64,
}

/// How fast a leak is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Pace {
    /// 10 things or 4 MiB a second and more.
    Fast,
    /// 1 thing or 0.4 MiB a second and more.
    Medium,
    Slow,
}

impl Pace {
    pub(crate) const ALL: [Self; 3] = [Self::Fast, Self::Medium, Self::Slow];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fast => ">= 10/s or 4 MiB/s",
            Self::Medium => ">= 1/s or 0.4 MiB/s",
            Self::Slow => "slower",
        }
    }
}

/// One process over some hours.
pub(crate) struct Case {
    pub thing: Thing,
    pub leak: Option<Leak>,
    /// Seconds between two looks at it.
    pub tick: f64,
    /// Ticks, up to its end or the limit.
    pub ticks: usize,
    /// Whether it ends because the limit is reached.
    pub exhausts: bool,
    /// The most there may be: bytes of memory, else a count.
    pub limit: u64,
    /// Age of the process when it is first seen, seconds.
    pub age: f64,
    pub body: Body,
}

impl Case {
    /// Seconds that it is watched.
    pub(crate) fn seconds(&self) -> f64 {
        self.ticks as f64 * self.tick
    }

    pub(crate) fn pace(&self) -> Option<Pace> {
        let leak = self.leak?;
        let things = match self.thing {
            Thing::Heap => leak.rate / (4.0 * MIB) * 10.0,
            _ => leak.rate,
        };
        Some(match things {
            10.0.. => Pace::Fast,
            1.0.. => Pace::Medium,
            _ => Pace::Slow,
        })
    }

    /// Share of the limit that is held, at the end of each tick.
    pub(crate) fn level(&self) -> Vec<f64> {
        match &self.body {
            Body::Curve(curve) => curve.level.clone(),
            Body::Stream(stream) => {
                let each = stream.unit(self.thing) as f64 / self.limit as f64;
                let base = stream.base as f64 / self.limit as f64;
                let live = live(&stream.items, self.tick, self.ticks);
                live.into_iter().map(|live| base + live as f64 * each).collect()
            }
        }
    }

    /// What is leaked at this time: things, or bytes of a heap.
    pub(crate) fn leaked(&self, at: f64) -> f64 {
        match &self.body {
            Body::Curve(curve) => {
                let tick = count(at / self.tick).min(curve.leaked.len().saturating_sub(1));
                curve.leaked.get(tick).copied().unwrap_or(0.0) * self.limit as f64
            }
            Body::Stream(stream) => {
                let born = stream.items.partition_point(|item| item.born <= at);
                stream.items[..born].iter().filter(|item| item.leaked).count() as f64
            }
        }
    }

    /// The same as a share of the limit.
    pub(crate) fn leaked_share(&self, at: f64) -> f64 {
        let each = match &self.body {
            Body::Curve(_) => 1.0,
            Body::Stream(stream) => stream.unit(self.thing) as f64,
        };
        self.leaked(at) * each / self.limit as f64
    }
}

impl Stream {
    /// What one of them counts against the limit.
    pub(crate) fn unit(&self, thing: Thing) -> u64 {
        if thing == Thing::Mapping { self.bytes } else { 1 }
    }
}

/// Things held at the end of each tick.
pub(crate) fn live(items: &[Item], tick: f64, ticks: usize) -> Vec<i64> {
    let mut change = vec![0_i64; ticks + 1];
    let end = |at: f64| count(at / tick).min(ticks);
    for item in items {
        change[end(item.born)] += 1;
        change[end(item.died)] -= 1;
    }
    change.truncate(ticks);
    change
        .into_iter()
        .scan(0, |live, change| {
            *live += change;
            Some(*live)
        })
        .collect()
}

pub(crate) const MIB: f64 = 1_048_576.0;

//! One declaration per field of a process: every presenter shows, sorts and filters by these and by nothing else.

use std::{borrow::Cow, cmp::Ordering};

use super::{runtime, units};
use crate::model::snapshot::{ProcessRow, State};

/// What a field's values are, and so how they are written, compared and typed into a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Words.
    Text,
    /// A long identifier that people abbreviate: equal when one begins with the other.
    Identifier,
    /// One of the names of [`State`].
    State,
    /// A number of things.
    Count,
    /// A length of time.
    Nanoseconds,
    /// An amount of memory.
    Bytes,
    /// Growth of memory.
    BytesPerSecond,
    /// Growth of a number of things.
    PerSecond,
}

impl Unit {
    /// Whether values are numbers: aligned right, compared by size, largest first.
    pub fn is_number(self) -> bool {
        matches!(
            self,
            Self::Count | Self::Bytes | Self::BytesPerSecond | Self::PerSecond
        )
    }
}

/// How many digits of an identifier people are shown, as container tools do.
const SHORT_IDENTIFIER: usize = 12;

/// A field of one process, in base units.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Not observed.
    Unknown,
    /// Words.
    Text(&'a str),
    /// A verdict.
    State(State),
    /// Things or bytes.
    Amount(u64),
    /// Things or bytes per second.
    Rate(f64),
}

impl Value<'_> {
    /// The number, if it is one.
    pub fn number(&self) -> Option<f64> {
        match *self {
            Self::Amount(amount) => Some(amount as f64),
            Self::Rate(rate) if rate.is_finite() => Some(rate),
            Self::Rate(_) | Self::Unknown | Self::Text(_) | Self::State(_) => None,
        }
    }

    /// Order of two values of one field. Text ignores case; states go from unremarkable to worst.
    pub fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(a), Self::Text(b)) => a.to_lowercase().cmp(&b.to_lowercase()),
            (Self::State(a), Self::State(b)) => severity(*a).cmp(&severity(*b)),
            (Self::Amount(a), Self::Amount(b)) => a.cmp(b),
            _ => self
                .number()
                .partial_cmp(&other.number())
                .unwrap_or(Ordering::Equal),
        }
    }

    /// The value for a program: base units, no decoration; empty when unknown.
    pub fn raw(&self) -> Cow<'_, str> {
        match *self {
            Self::Unknown => "".into(),
            Self::Rate(rate) if !rate.is_finite() => "".into(),
            Self::Text(text) => text.into(),
            Self::State(state) => state_name(state).into(),
            Self::Amount(amount) => amount.to_string().into(),
            Self::Rate(rate) => rate.to_string().into(),
        }
    }
}

/// A column of the process table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnShape {
    /// Terminal columns it needs.
    pub width: u16,
    /// Terminal columns it makes use of when there is room; 0 for all there are.
    pub most: u16,
    /// When there is no room the column with the highest rank goes first.
    pub rank: u8,
}

/// The declaration of a field.
#[derive(Debug)]
pub struct Field {
    /// Which one.
    pub id: FieldId,
    /// What a person types: `--sort`, `--filter`.
    pub name: &'static str,
    /// What a program reads: the name in the JSON contract, with its unit.
    pub key: &'static str,
    /// Head of the column.
    pub title: &'static str,
    /// What the values are.
    pub unit: Unit,
    /// One sentence.
    pub help: &'static str,
    /// Its place in the process table, if it has one.
    pub shape: Option<ColumnShape>,
    /// The value of a process.
    pub value: fn(&ProcessRow) -> Value<'_>,
}

impl Field {
    /// The value as a person reads it; `-` when unknown.
    pub fn cell<'a>(&self, process: &'a ProcessRow) -> Cow<'a, str> {
        let value = (self.value)(process);
        match (self.id, self.unit, value) {
            (_, _, Value::Unknown) => "-".into(),
            (FieldId::Fds, _, Value::Amount(fds)) => {
                let limit = process.fd_limit.map_or_else(|| "-".to_owned(), units::count);
                format!("{}/{limit}", units::count(fds)).into()
            }
            (FieldId::Runtime, _, Value::Text(name)) => {
                runtime::named(name, process.runtime_version.as_deref())
            }
            (FieldId::Pid | FieldId::ParentPid, _, Value::Amount(pid)) => pid.to_string().into(),
            (_, Unit::Identifier, Value::Text(text)) => text
                .char_indices()
                .nth(SHORT_IDENTIFIER)
                .map_or(text, |(end, _)| &text[..end])
                .into(),
            (_, _, Value::Text(text)) => text.into(),
            (_, _, Value::State(state)) => state_name(state).into(),
            (_, Unit::Bytes, Value::Amount(amount)) => units::bytes(amount).into(),
            (_, Unit::Nanoseconds, Value::Amount(amount)) => units::duration(amount).into(),
            (_, _, Value::Amount(amount)) => units::count(amount).into(),
            (_, Unit::BytesPerSecond, Value::Rate(rate)) => units::bytes_per_minute(rate).into(),
            (_, _, Value::Rate(rate)) => units::count_per_minute(rate).into(),
        }
    }
}

/// Every state, from what says least to worst. A zombie holds nothing any more.
pub const STATES: [State; 7] = [
    State::Observing,
    State::Zombie,
    State::Healthy,
    State::Recovered,
    State::Growing,
    State::Suspected,
    State::Leaking,
];

/// The name of a state, as in the JSON contract.
pub fn state_name(state: State) -> &'static str {
    match state {
        State::Observing => "observing",
        State::Healthy => "healthy",
        State::Recovered => "recovered",
        State::Growing => "growing",
        State::Suspected => "suspected",
        State::Leaking => "leaking",
        State::Zombie => "zombie",
    }
}

/// Place among [`STATES`].
pub fn severity(state: State) -> usize {
    STATES.iter().position(|known| *known == state).unwrap_or(0)
}

fn text(value: Option<&str>) -> Value<'_> {
    value.map_or(Value::Unknown, Value::Text)
}

fn rate(value: Option<f64>) -> Value<'static> {
    value.map_or(Value::Unknown, Value::Rate)
}

const fn shape(width: u16, most: u16, rank: u8) -> ColumnShape {
    ColumnShape { width, most, rank }
}

macro_rules! fields {
    ($($id:ident $name:literal $key:literal $title:literal $unit:ident $shape:expr, $help:literal, $value:expr;)*) => {
        /// Names every field.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum FieldId {
            $(#[doc = $help] $id,)*
        }

        /// Every field; those with a place in the process table stand in the order of its columns.
        pub static FIELDS: &[Field] = &[
            $(Field {
                id: FieldId::$id,
                name: $name,
                key: $key,
                title: $title,
                unit: Unit::$unit,
                help: $help,
                shape: $shape,
                value: $value,
            },)*
        ];
    };
}

impl FieldId {
    /// The declaration.
    pub fn field(self) -> &'static Field {
        &FIELDS[self as usize]
    }

    /// The field a person or a program calls by this name.
    pub fn named(name: &str) -> Option<Self> {
        FIELDS
            .iter()
            .find(|field| field.name == name || field.key == name)
            .map(|field| field.id)
    }
}

fields! {
    Pid "pid" "pid" "PID" Count Some(shape(7, 7, 0)),
        "Process id in the initial PID namespace.",
        |p| Value::Amount(p.id.pid.into());
    User "user" "user" "USER" Text Some(shape(8, 10, 7)),
        "User name of the effective uid.",
        |p| Value::Text(&p.user);
    Name "name" "name" "NAME" Text Some(shape(9, 15, 0)),
        "Command name, at most 15 bytes.",
        |p| Value::Text(&p.name);
    Runtime "runtime" "runtime" "RUNTIME" Text Some(shape(8, 11, 9)),
        "Language runtime, when known; columns show its version beside it.",
        |p| text(p.runtime.as_deref());
    Container "container" "container_id" "CONTAINER" Identifier Some(shape(12, 12, 10)),
        "Container id; its first digits are enough to compare.",
        |p| text(p.container_id.as_deref());
    Rss "rss" "rss_anon_bytes" "RSS" Bytes Some(shape(8, 8, 1)),
        "Resident anonymous memory.",
        |p| Value::Amount(p.rss_anon_bytes);
    Growth "growth" "memory_bytes_per_second" "MEM/MIN" BytesPerSecond Some(shape(11, 11, 1)),
        "Growth of resident anonymous memory and swap together: median slope over the last minute.",
        |p| rate(p.growth.memory_bytes_per_second);
    Fds "fds" "fds" "FDS" Count Some(shape(11, 13, 2)),
        "Open file descriptors, shown with their limit.",
        |p| Value::Amount(p.fds.into());
    FdGrowth "fd_growth" "fds_per_second" "FDS/MIN" PerSecond Some(shape(9, 9, 5)),
        "Growth of open file descriptors: median slope over the last minute.",
        |p| rate(p.growth.fds_per_second);
    Threads "threads" "threads" "THR" Count Some(shape(5, 6, 3)),
        "Live threads.",
        |p| Value::Amount(p.threads.into());
    ThreadGrowth "thread_growth" "threads_per_second" "THR/MIN" PerSecond Some(shape(9, 9, 6)),
        "Growth of threads: median slope over the last minute.",
        |p| rate(p.growth.threads_per_second);
    State "state" "state" "STATE" State Some(shape(11, 11, 4)),
        "Verdict by the worst finding: observing, healthy, recovered, zombie, growing, suspected or leaking.",
        |p| Value::State(p.state);
    Cmdline "cmdline" "cmdline" "COMMAND" Text Some(shape(20, 0, 11)),
        "Arguments joined by spaces.",
        |p| text(p.cmdline.as_deref());
    FdLimit "fd_limit" "fd_limit" "FD LIMIT" Count None,
        "Soft limit on open descriptors; unknown when unlimited.",
        |p| p.fd_limit.map_or(Value::Unknown, Value::Amount);
    MappedAnon "mapped_anon" "mapped_anon_bytes" "MAPPED" Bytes None,
        "Mapped anonymous memory, touched or not.",
        |p| p.mapped_anon_bytes.map_or(Value::Unknown, Value::Amount);
    Swap "swap" "swap_bytes" "SWAP" Bytes None,
        "Swapped-out memory.",
        |p| Value::Amount(p.swap_bytes);
    RssFile "rss_file" "rss_file_bytes" "RSS FILE" Bytes None,
        "Resident file-backed memory.",
        |p| Value::Amount(p.rss_file_bytes);
    RssShmem "rss_shmem" "rss_shmem_bytes" "RSS SHMEM" Bytes None,
        "Resident shared memory.",
        |p| Value::Amount(p.rss_shmem_bytes);
    Maps "maps" "maps" "MAPS" Count None,
        "Mappings.",
        |p| Value::Amount(p.maps.into());
    UnattributedFds "unattributed_fds" "unattributed_fds" "FDS ?" Count None,
        "Open descriptors that no observed birth explains.",
        |p| Value::Amount(p.unattributed.fds.into());
    UnattributedThreads "unattributed_threads" "unattributed_threads" "THR ?" Count None,
        "Threads, the main thread aside, that no observed birth explains.",
        |p| Value::Amount(p.unattributed.threads.into());
    Started "started" "start_time_ns" "STARTED" Nanoseconds None,
        "When it started: time since boot. Together with the pid, its identity.",
        |p| Value::Amount(p.id.start_time_ns);
    ParentPid "parent" "parent_pid" "PPID" Count None,
        "The parent's process id; 0 for none.",
        |p| Value::Amount(p.parent_pid.into());
    Exe "exe" "exe" "EXE" Text None,
        "Path of the executable in its own mount namespace.",
        |p| text(p.exe.as_deref());
    RuntimeVersion "runtime_version" "runtime_version" "VERSION" Text None,
        "Version of the language runtime, as it says itself.",
        |p| text(p.runtime_version.as_deref());
    Allocator "allocator" "allocator" "MALLOC" Text None,
        "What answers malloc: glibc, musl, jemalloc, tcmalloc or mimalloc, when known.",
        |p| text(p.allocator.as_deref());
}

#[cfg(test)]
mod tests {
    use super::{FIELDS, FieldId, Value};
    use crate::model::snapshot::State;
    use crate::present::sample;
    use std::collections::HashSet;

    #[test]
    fn an_id_leads_to_its_own_declaration() {
        for field in FIELDS {
            assert!(std::ptr::eq(field.id.field(), field));
            assert_eq!(FieldId::named(field.name), Some(field.id));
            assert_eq!(FieldId::named(field.key), Some(field.id));
        }
        assert_eq!(FieldId::named("nosuch"), None);
    }

    #[test]
    fn no_two_fields_share_a_name() {
        let names: HashSet<_> = FIELDS.iter().map(|field| field.name).collect();
        let keys: HashSet<_> = FIELDS.iter().map(|field| field.key).collect();
        assert_eq!((names.len(), keys.len()), (FIELDS.len(), FIELDS.len()));
    }

    #[test]
    fn cells_are_for_people_and_raw_values_for_programs() {
        let process = sample::process(4711, "payments");
        let shown = |id: FieldId| id.field().cell(&process).into_owned();
        let raw = |id: FieldId| (id.field().value)(&process).raw().into_owned();
        assert_eq!(shown(FieldId::Rss), "412 MiB");
        assert_eq!(raw(FieldId::Rss), "432013312");
        assert_eq!(shown(FieldId::Fds), "412/4096");
        assert_eq!(raw(FieldId::Fds), "412");
        assert_eq!(shown(FieldId::Growth), "+1.20 MiB/m");
        assert_eq!(shown(FieldId::State), "growing");
    }

    #[test]
    fn what_was_not_observed_is_a_dash_and_not_a_number() {
        let mut process = sample::process(1, "init");
        process.mapped_anon_bytes = None;
        process.growth.memory_bytes_per_second = Some(f64::NAN);
        assert_eq!(FieldId::MappedAnon.field().cell(&process), "-");
        assert_eq!((FieldId::Growth.field().value)(&process).raw(), "");
        assert_eq!((FieldId::Growth.field().value)(&process).number(), None);
    }

    #[test]
    fn leaking_is_the_worst_state_and_growing_worse_than_any_that_does_not_accuse() {
        for [better, worse] in [
            [State::Suspected, State::Leaking],
            [State::Growing, State::Suspected],
            [State::Recovered, State::Growing],
            [State::Healthy, State::Recovered],
            [State::Zombie, State::Healthy],
            [State::Observing, State::Zombie],
        ] {
            assert!(Value::State(worse).order(&Value::State(better)).is_gt());
        }
    }
}

//! Whom the detector judges: every process, and the processes of each container and systemd unit together.
//!
//! A service that forks a worker for each job may leak in none of them and yet in all.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use crate::{
    aggregate::{Host, Process},
    attribute::Attribution,
    detect::{Levels, Observed, SubjectKey},
    model::{identity::ProcessId, snapshot::LimitUse},
    raw::{Moment, SiteReading},
};

/// Limits in force, as far as they were read, by process.
pub type LimitsByProcess = HashMap<ProcessId, Vec<LimitUse>>;

/// What is known at one tick, of which [`Observed`] borrows.
pub struct Subjects<'a> {
    host: &'a Host,
    attribution: &'a Attribution,
    limits: &'a LimitsByProcess,
    counts: HashMap<ProcessId, Vec<SiteReading>>,
    groups: BTreeMap<SubjectKey, Group>,
    moment: Moment,
}

/// Several processes together.
#[derive(Debug, Default)]
struct Group {
    levels: Levels,
    age_ns: u64,
    load: u64,
    limits: Vec<LimitUse>,
}

impl<'a> Subjects<'a> {
    /// Whom to judge at this tick.
    pub fn new(
        host: &'a Host,
        attribution: &'a Attribution,
        limits: &'a LimitsByProcess,
        moment: Moment,
    ) -> Self {
        let mut subjects = Self {
            counts: host.sites_by_process(),
            groups: BTreeMap::new(),
            host,
            attribution,
            limits,
            moment,
        };
        let mut groups: BTreeMap<SubjectKey, Group> = BTreeMap::new();
        for process in host.processes() {
            if let Some(key) = group(attribution, &process.id) {
                groups.entry(key).or_default().add(&subjects.process(process));
            }
        }
        subjects.groups = groups;
        subjects
    }

    /// All of them.
    pub fn observed(&self) -> impl Iterator<Item = Observed<'_>> {
        let processes = self.host.processes().map(|process| self.process(process));
        let groups = self.groups.iter().map(|(key, group)| Observed {
            subject: key.clone(),
            program: match key {
                SubjectKey::Unit(name) => Some(Arc::clone(name)),
                SubjectKey::Container(_) | SubjectKey::Process(_) => None,
            },
            age_ns: group.age_ns,
            levels: group.levels,
            load: group.load,
            limits: &group.limits,
            sites: None,
            counts: &[],
            blind: self.host.deaths_lost(),
        });
        processes.chain(groups)
    }

    fn process<'b>(&'b self, process: &'b Process) -> Observed<'b> {
        let counts = self.counts.get(&process.id).map_or(&[][..], Vec::as_slice);
        let amounts = process.amounts();
        Observed {
            subject: SubjectKey::Process(process.id),
            program: self.attribution.program(&process.id),
            age_ns: self.moment.boottime_ns.saturating_sub(process.id.start_time_ns),
            levels: Levels {
                memory: amounts.memory,
                fds: amounts.fds,
                threads: amounts.threads,
                maps: u64::from(process.row.map_count),
            },
            load: counts.iter().map(|site| site.counts.born).sum(),
            limits: self.limits.get(&process.id).map_or(&[], Vec::as_slice),
            sites: Some(process),
            counts,
            blind: self.host.deaths_lost(),
        }
    }
}

/// The group that a process is one of.
pub fn group(attribution: &Attribution, id: &ProcessId) -> Option<SubjectKey> {
    let container = attribution.container(id).map(SubjectKey::Container);
    container.or_else(|| attribution.unit(id).map(SubjectKey::Unit))
}

impl Group {
    fn add(&mut self, member: &Observed<'_>) {
        self.levels.memory += member.levels.memory;
        self.levels.fds += member.levels.fds;
        self.levels.threads += member.levels.threads;
        self.levels.maps += member.levels.maps;
        self.age_ns = self.age_ns.max(member.age_ns);
        self.load += member.load;
        // Of what is in force for a member those that bound all of them together.
        for limit in member.limits.iter().filter(|limit| limit.is_shared()) {
            if !self
                .limits
                .iter()
                .any(|known| known.resource == limit.resource && known.limit.name == limit.limit.name)
            {
                self.limits.push(limit.clone());
            }
        }
    }
}

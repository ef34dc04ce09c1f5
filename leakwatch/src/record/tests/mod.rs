mod broken;
mod host;

use std::{fs, path::Path, time::Duration};

use self::host::{Host, SECRET, interest, reading};
use super::{
    Ending, Header, HostFacts, RecordError, Recorder, Replay,
    reader::{Piece, Reader},
};
use crate::{
    model::snapshot::Snapshot,
    run::{Pipeline, Setup},
};

fn header() -> Header {
    let setup = Setup {
        host_name: "host".to_owned(),
        fault_period_bytes: 4096,
    };
    Header::new(
        setup,
        HostFacts::default(),
        Duration::from_secs(1),
        1_760_000_000_000,
    )
}

/// A recording, and the snapshots that were seen while it was made.
fn recorded(ticks: u64) -> (Vec<u8>, Vec<Snapshot>) {
    let mut file = Vec::new();
    let mut snapshots = Vec::new();
    let header = header();
    let mut pipeline = Pipeline::new(header.setup.clone());
    let mut host = Host::default();
    let mut recorder = Recorder::begin(&mut file, &header).expect("memory");
    for tick in 0..ticks {
        let (reading, interest) = (reading(tick), interest(tick));
        let mut snapshot = recorder.listen(host.world(), |world| pipeline.tick(&reading, &interest, world));
        if tick % 4 == 1 {
            // Names have come in between.
            snapshot = recorder.listen(host.world(), |world| {
                pipeline.reassemble(&reading, &interest, world, snapshot)
            });
        }
        recorder.write(&reading, &interest).expect("memory");
        snapshots.push(snapshot);
    }
    drop(recorder);
    (file, snapshots)
}

fn json(snapshots: &[Snapshot]) -> Vec<String> {
    let json = |snapshot| serde_json::to_string_pretty(snapshot).expect("JSON");
    snapshots.iter().map(json).collect()
}

/// Every snapshot that can be read, and why there are no more.
fn replayed(file: &[u8]) -> (Vec<Snapshot>, Result<Ending, RecordError>) {
    let mut replay = match Replay::open(file) {
        Ok(replay) => replay,
        Err(error) => return (Vec::new(), Err(error)),
    };
    let mut snapshots = Vec::new();
    for snapshot in &mut replay {
        match snapshot {
            Ok(snapshot) => snapshots.push(snapshot),
            Err(error) => return (snapshots, Err(error)),
        }
    }
    (snapshots, Ok(replay.ending().expect("it has ended")))
}

#[test]
fn a_replay_gives_the_same_snapshots_byte_for_byte() {
    let (file, seen) = recorded(40);
    assert!(
        seen.iter()
            .flat_map(|seen| &seen.processes)
            .any(|process| !process.sites.is_empty())
    );
    let (again, ending) = replayed(&file);
    assert_eq!(json(&again), json(&seen));
    assert_eq!(ending.ok(), Some(Ending::Whole));
}

#[test]
fn two_recordings_of_the_same_are_the_same() {
    assert!(recorded(20).0 == recorded(20).0);
}

#[test]
fn nothing_of_a_process_is_in_the_file() {
    let (file, _) = recorded(8);
    let (mut reader, header) = Reader::open(&file[..]).expect("a header");
    assert_eq!(header, self::header());
    let mut ticks = 0;
    while let Piece::Tick(tick) = reader.next().expect("a tick") {
        ticks += 1;
        assert!(!tick.windows(SECRET.len()).any(|window| window == SECRET));
    }
    assert_eq!(ticks, 8);
}

#[test]
fn a_moment_can_be_found() {
    let (file, seen) = recorded(10);
    let at = |unix_ms| {
        Replay::open(&file[..])
            .expect("a header")
            .at(unix_ms)
            .expect("whole")
    };
    assert_eq!(at(seen[4].time_unix_ms + 999), Some(seen[4].clone()));
    assert_eq!(at(0), Some(seen[0].clone()));
    assert_eq!(at(u64::MAX), Some(seen[9].clone()));
}

#[test]
fn what_a_tick_has_in_common_with_the_one_before_it_costs_little() {
    let (short, _) = recorded(20);
    let (long, _) = recorded(40);
    let each = (long.len() - short.len()) / 20;
    assert!(each < 2_000, "{each} bytes a tick");
}

#[test]
#[ignore = "writes what the fuzz targets begin with"]
fn seeds() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    let (file, _) = recorded(3);
    fs::write(seeds.join("recording/three-ticks"), &file).expect("a file");
    let (mut reader, _) = Reader::open(&file[..]).expect("a header");
    for number in 1..=3 {
        let Ok(Piece::Tick(tick)) = reader.next() else {
            panic!("three ticks were recorded");
        };
        fs::write(seeds.join(format!("tick/{number}")), tick).expect("a file");
    }
}

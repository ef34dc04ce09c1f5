//! `leakwatch check --duration 0`: what is near a limit now.

use std::{collections::BTreeMap, time::Duration};

use tokio::sync::watch;

use super::{CheckArgs, Checked, target::Target};
use crate::{
    cli::{
        Failure,
        source::{self, Source},
    },
    confirm::Staleness,
    model::{finding::FINDINGS_VERSION, interest::Interest, snapshot::Snapshot},
    present::findings::{self, Document},
};

/// One reading is enough.
pub(super) async fn look(args: &CheckArgs, staleness: Staleness) -> Result<Checked, Failure> {
    let target = args.target();
    let (publish, mut snapshots) = watch::channel(None);
    let (_want, wanted) = watch::channel(Interest {
        limits_of_all: true,
        ..Interest::default()
    });
    let source = Source::connect(args.connect.as_deref(), staleness, target.stacks_of()).await?;
    let snapshot = tokio::select! {
        biased;
        snapshot = source::next(&mut snapshots) => snapshot,
        ended = source.run(Duration::from_secs(1), wanted, publish, Duration::ZERO) => {
            ended?;
            None
        }
    };
    let snapshot = snapshot.ok_or_else(|| Failure::because("the readings ended"))?;
    super::watch::is_there(&target, &snapshot)?;
    Ok(Checked {
        document: document(&target, &snapshot),
        command: None,
    })
}

fn document(target: &Target, snapshot: &Snapshot) -> Document {
    let known = BTreeMap::new();
    Document {
        schema_version: FINDINGS_VERSION,
        tool_version: env!("CARGO_PKG_VERSION").to_owned(),
        host: snapshot.host.clone(),
        time_unix_ms: snapshot.time_unix_ms,
        observed_seconds: 0.0,
        complete: true,
        problems: Vec::new(),
        targets: Vec::new(),
        findings: Vec::new(),
        limits: findings::near_limits(snapshot, |process| target.is_meant(process, &known)),
    }
}

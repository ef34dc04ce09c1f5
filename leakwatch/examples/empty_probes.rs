//! Attaches an empty program to every hook of leakwatch's catalogue that runs with other programs' work, says so, and holds
//! them until its standard input ends. `cargo xtask bench overhead` compares leakwatch with it.
//!
//! Prints first how many programs of the same names were loaded before: another leakwatch, which would be measured too.

use std::io::{self, Read as _};

use anyhow::{Context as _, Result};
use aya::{
    Btf, Ebpf,
    programs::{
        BtfTracePoint, PerfEvent, Program, loaded_programs,
        perf_event::{PerfEventConfig, PerfEventScope, SamplePolicy, SoftwareEvent},
    },
    util::online_cpus,
};
use leakwatch::kernel::{
    LoadOptions,
    catalog::{Hook, PROBES},
};

/// The empty programs, named like leakwatch's own; built by build.rs.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/empty"));

fn main() -> Result<()> {
    let btf = Btf::from_sys_fs().context("the kernel's type information")?;
    let others = loaded_programs().filter_map(Result::ok).filter(|other| {
        PROBES
            .iter()
            .any(|probe| other.name_as_str() == Some(probe.program))
    });
    println!("others: {}", others.count());
    let mut ebpf = Ebpf::load(OBJECT).context("the object")?;
    for probe in PROBES {
        attach(&mut ebpf, &btf, probe.program, probe.hook).context(probe.program)?;
    }
    println!("attached");
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

fn attach(ebpf: &mut Ebpf, btf: &Btf, name: &str, hook: Hook) -> Result<()> {
    match hook {
        Hook::Tracepoint(tracepoint) => {
            let program: &mut BtfTracePoint = program(ebpf, name)?.try_into()?;
            program.load(tracepoint, btf)?;
            program.attach()?;
        }
        Hook::PageFaults => {
            let program: &mut PerfEvent = program(ebpf, name)?.try_into()?;
            program.load()?;
            for cpu in online_cpus().map_err(|(path, error)| io::Error::other(format!("{path}: {error}")))? {
                program.attach(
                    PerfEventConfig::Software(SoftwareEvent::PageFaults),
                    PerfEventScope::AllProcessesOneCpu { cpu },
                    SamplePolicy::Period(LoadOptions::default().fault_period),
                    false,
                )?;
            }
        }
        // Runs only when the agent reads.
        Hook::Iterator(_) => {}
    }
    Ok(())
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Program> {
    ebpf.program_mut(name).context("no such program in the object")
}

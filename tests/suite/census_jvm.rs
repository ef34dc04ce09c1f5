//! The objects of a Java heap, counted from outside, are those that the JVM counts itself, with every collector that can be
//! read and in every release that is here; and what that costs is printed.

use std::{collections::BTreeMap, path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use leakwatch::model::census::{Census, Counted};
use leakwatch_tests::{
    binary::stdout,
    java,
    subject::{Subject, view},
};
use serde::Deserialize;

/// Objects of the class that the program has most of.
const ORDERS: u64 = 400_000;
const MANY_ORDERS: u64 = 3_000_000;
/// Classes that are compared: those with most bytes.
const COMPARED: usize = 8;
/// A hundredth that the two counts may differ by: the JVM makes some objects to answer, and the census leaves out what no
/// page is resident of.
const PERCENT: u64 = 2;
const COLLECTORS: [&str; 3] = ["-XX:+UseG1GC", "-XX:+UseSerialGC", "-XX:+UseParallelGC"];
/// How the JVM calls what it fills holes with. Up to JDK 18 these are arrays of `int`, so those are not compared.
const FILLERS: [&str; 2] = ["jdk.internal.vm.FillerElement[]", "int[]"];

#[derive(Debug, Deserialize)]
struct Latency {
    requests: u64,
    p99_ns: u64,
}

#[test]
fn counts_are_those_of_the_jvm_itself() -> Result<()> {
    let classes = java::classes("Census.java")?;
    for java in java::all()? {
        for collector in COLLECTORS {
            let what = format!("{} {collector}", java.display());
            let subject = start(&java, classes.path(), &[collector], ORDERS)?;
            let census = subject.census()?;
            let histogram = histogram(&subject)?;
            compare(&census, &histogram).with_context(|| what.clone())?;
            let seconds = census.took_ns as f64 / 1e9;
            let gib = histogram.values().map(|(_, bytes)| bytes).sum::<u64>() as f64 / (1_u64 << 30) as f64;
            println!(
                "{what}: {:?} within {PERCENT} %; {} bytes read, {seconds:.2} s, {:.1} s for each GiB of heap",
                census.views[0].version,
                census.read_bytes,
                seconds / gib,
            );
        }
    }
    Ok(())
}

#[test]
fn what_cannot_be_read_is_said() -> Result<()> {
    let classes = java::classes("Census.java")?;
    for (options, why) in [
        (vec!["-XX:+UseZGC"], "ZGC"),
        (vec!["-XX:+UseSerialGC", "-XX:-UsePerfData"], "no counters"),
    ] {
        let subject = start(Path::new("java"), classes.path(), &options, 1000)?;
        let census = subject.census()?;
        let unknown = census.views[0].unknown.clone().unwrap_or_default();
        ensure!(unknown.contains(why), "{options:?}: {unknown:?}");
        let has_rows = census.views[0]
            .rows
            .iter()
            .any(|row| row.counted == Counted::Class);
        ensure!(has_rows == (why != "ZGC"), "{options:?}: {census:?}");
    }
    Ok(())
}

#[test]
fn a_program_goes_on_while_its_heap_is_read() -> Result<()> {
    let classes = java::classes("Census.java")?;
    let mut subject = start(Path::new("java"), classes.path(), &["-Xmx1g"], MANY_ORDERS)?;
    let before: Latency = subject.ask("")?;
    let (during, censuses): (Latency, _) = subject.ask_while_counted("")?;
    let after: Latency = subject.ask("")?;
    for (when, latency) in [("before", before), ("during", during), ("after", after)] {
        println!("{when}: {} requests, p99 {} ns", latency.requests, latency.p99_ns);
        ensure!(latency.requests > 0);
    }
    for census in &censuses {
        let orders = count(census, "Census$Order").context("no orders")?;
        // Requests make garbage: what is collected while it is read is left out, and said to be.
        match &view(census, "java")?.unknown {
            None => ensure!(orders == MANY_ORDERS, "{orders} orders"),
            Some(why) => ensure!(
                orders <= MANY_ORDERS && why.contains("were collected while they were read"),
                "{orders} orders: {why}"
            ),
        }
    }
    println!("{} censuses during that second", censuses.len());
    Ok(())
}

/// The classes with most bytes by the JVM's own count are counted alike.
fn compare(census: &Census, histogram: &BTreeMap<String, (u64, u64)>) -> Result<()> {
    let mut largest: Vec<_> = histogram
        .iter()
        .filter(|(name, _)| !FILLERS.contains(&name.as_str()))
        .collect();
    largest.sort_by_key(|(_, (_, bytes))| std::cmp::Reverse(*bytes));
    ensure!(
        largest.len() >= COMPARED,
        "the JVM's own answer is not understood"
    );
    for (name, (expected, _)) in largest.into_iter().take(COMPARED) {
        let counted = count(census, name).with_context(|| format!("{name} is missing: {census:?}"))?;
        let apart = counted.abs_diff(*expected);
        ensure!(
            apart * 100 <= expected * PERCENT,
            "{name}: counted {counted}, the JVM says {expected}"
        );
    }
    ensure!(count(census, "Census$Order") == Some(ORDERS), "{census:?}");
    Ok(())
}

fn count(census: &Census, class: &str) -> Option<u64> {
    let mut rows = census.views.iter().flat_map(|view| &view.rows);
    rows.find(|row| row.counted == Counted::Class && row.name == class)
        .map(|row| row.count)
}

/// The program, holding so many orders.
fn start(java: &Path, classes: &Path, options: &[&str], orders: u64) -> Result<Subject> {
    let mut command = Command::new(java);
    command.args(options).arg("-cp").arg(classes);
    Subject::start_ready(command.args(["Census", &orders.to_string()]))
}

/// What the JVM counts itself, garbage included: objects and bytes by class, named as Java does.
fn histogram(subject: &Subject) -> Result<BTreeMap<String, (u64, u64)>> {
    let pid = subject.pid().to_string();
    let text = stdout(Path::new("jcmd"), [pid.as_str(), "GC.class_histogram", "-all"])?;
    let mut classes = BTreeMap::new();
    for line in String::from_utf8(text)?.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        if let [number, count, bytes, name, ..] = words[..]
            && number.ends_with(':')
            && let (Ok(count), Ok(bytes)) = (count.parse::<u64>(), bytes.parse::<u64>())
        {
            let sum: &mut (u64, u64) = classes.entry(java_name(name)).or_default();
            *sum = (sum.0 + count, sum.1 + bytes);
        }
    }
    Ok(classes)
}

/// `[Ljava.lang.String;` is `java.lang.String[]`.
fn java_name(name: &str) -> String {
    let element = name.trim_start_matches('[');
    let dimensions = name.len() - element.len();
    let primitive = match element {
        "B" => "byte",
        "C" => "char",
        "I" => "int",
        "J" => "long",
        _ if dimensions > 0 => element.trim_start_matches('L').trim_end_matches(';'),
        _ => element,
    };
    let named = if dimensions > 0 { primitive } else { element };
    let named = named.split("+0x").next().unwrap_or(named);
    let named = named.split("/0x").next().unwrap_or(named);
    named.to_owned() + &"[]".repeat(dimensions)
}

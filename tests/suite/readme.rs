//! Every example of the README that ends by itself is run as it stands there.

use std::{env, fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};
use leakwatch_tests::binary;

/// Commands of the `console` blocks, without their prompt.
fn examples(readme: &str) -> Vec<&str> {
    let mut inside = false;
    let mut commands = Vec::new();
    for line in readme.lines() {
        if let Some(language) = line.strip_prefix("```") {
            inside = language == "console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| inside) {
            commands.push(command);
        }
    }
    commands
}

#[test]
fn every_example_works_as_written() -> Result<()> {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md"))?;
    let commands = examples(&readme);
    ensure!(commands.len() >= 5, "only {} examples found", commands.len());
    let leakwatch = binary::leakwatch()?;
    let directory = leakwatch.parent().context("the binary has a directory")?;
    ensure!(
        leakwatch.ends_with("leakwatch"),
        "{} has another name",
        leakwatch.display()
    );
    // What one example writes the next one reads.
    let scratch = tempfile::tempdir()?;
    let path = format!("{}:{}", directory.display(), env::var("PATH")?);
    for command in commands {
        // The tests are root already, and where they run there may be no sudo.
        let command = command.strip_prefix("sudo ").unwrap_or(command);
        let output = Command::new("sh")
            .args(["-c", command])
            .env("PATH", &path)
            .current_dir(&scratch)
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "`{command}` ended with {}: {said}",
            output.status
        );
        ensure!(!output.stdout.is_empty(), "`{command}` printed nothing");
    }
    Ok(())
}

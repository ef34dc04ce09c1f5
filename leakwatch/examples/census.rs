//! What the runtimes of one process hold, read once from outside: `cargo run --example census -- PID`.

use std::{env, error::Error};

use leakwatch::runtimes::census_now;

fn main() -> Result<(), Box<dyn Error>> {
    let pid = env::args().nth(1).ok_or("usage: census PID")?.parse()?;
    let census = census_now(pid, 0).ok_or("no such process, or no runtime that leakwatch knows")?;
    println!("{}", serde_json::to_string_pretty(&census)?);
    Ok(())
}

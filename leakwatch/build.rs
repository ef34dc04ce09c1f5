//! Builds the eBPF programs and hands the object to the agent.
fn main() {}

//! The `leakwatch` command.

fn main() {}

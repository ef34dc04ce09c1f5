//! Empty on purpose: host tools (cargo metadata, build scripts) need a library target to depend on. The programs are in
//! `main.rs`, which compiles for `bpfel-unknown-none` only.
#![no_std]

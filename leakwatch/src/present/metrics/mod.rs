//! What Prometheus, Kubernetes and pprof clients see: `/metrics`, `/healthz`, `/readyz`, `/debug/pprof/`, `/` and, where it
//! is safe, `/api/v1/snapshot`.
//!
//! `catalog` declares every metric once. `group` sums processes by name and container, `admit` caps how many such
//! groups get series of their own, `books` sums what their runtimes hold, `collector` turns both into one exposition, and `serve` answers requests.
//! No metric carries a PID, a command line or a path: labels of unbounded variety are what makes a Prometheus fall over,
//! and command lines hold secrets.

mod admit;
mod books;
mod catalog;
mod collector;
#[cfg(test)]
mod fixture;
mod group;
mod serve;
mod standing;

pub use catalog::markdown;
pub use serve::{DEFAULT_MAX_GROUPS, MetricsOptions, Wishes, router, serve};

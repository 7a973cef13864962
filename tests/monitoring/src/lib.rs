//! What is watched: dashboards for Grafana, alerting rules for Prometheus with their unit tests, all made here of the metrics' own
//! names, so that a wrong one does not compile, and a wrong label fails a test.
//!
//! The files in `deploy/grafana` and `deploy/prometheus` are what this crate says, committed for those who only want the files. A
//! test compares; `make monitoring` writes them anew. A system test has a real Prometheus scrape a real cluster and ask every
//! query of them.

pub mod dashboards;
mod grafana;
pub mod query;
pub mod rules;

use std::path::PathBuf;

/// A file that is made here.
#[derive(Debug)]
pub struct File {
    /// From the root of the repository.
    pub path: String,
    /// What is in it.
    pub content: String,
}

/// All files.
pub fn files() -> Vec<File> {
    let mut files = dashboards::files();
    files.extend(rules::files());
    files
}

/// The root of the repository.
pub fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

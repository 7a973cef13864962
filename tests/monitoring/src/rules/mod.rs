//! The rules for Prometheus, and for each alert a case in which it fires and one in which it stays quiet, which `promtool` tries.
//!
//! Who is woken (`page`) is woken because people are affected or will be within the hour; the rest (`ticket`) waits for the
//! morning. Each alert has a page in `docs/runbooks`, named as the alert is.

mod cluster;
mod connections;
mod delivery;
mod objectives;
mod yaml;

use claw_telemetry::metrics::Spec;

use crate::File;
use crate::query::{Where, selector};

pub use objectives::{LATENCY_BOUND, PEOPLE};

/// Where the pages are read.
const PAGES: &str = "https://github.com/ii-claw/ii-claw/blob/main/docs/runbooks";

/// How soon somebody has to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Now, at night, too.
    Page,
    /// On the next working day.
    Ticket,
}

impl Severity {
    /// As the label of an alert says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Ticket => "ticket",
        }
    }
}

/// A query that Prometheus asks in advance, under a name.
#[derive(Debug)]
pub struct Record {
    /// The name of what it answers.
    pub name: String,
    /// What is asked.
    pub query: String,
}

/// An alert.
#[derive(Debug)]
pub struct Alert {
    /// Its name.
    pub name: &'static str,
    /// How soon somebody has to look.
    pub severity: Severity,
    /// For how long the query must answer something before anybody hears of it.
    pub after: &'static str,
    /// It fires for each series that this answers.
    pub query: String,
    /// What is wrong, in a line.
    pub summary: &'static str,
    /// What people feel of it.
    pub effect: &'static str,
    /// A case in which it fires.
    pub fires: Case,
    /// A case near to that in which it stays quiet.
    pub quiet: Case,
}

impl Alert {
    /// Where its page is read.
    pub fn page(&self) -> String {
        format!("{PAGES}/{}.md", self.name)
    }
}

/// What Prometheus has scraped, once a minute.
#[derive(Debug)]
pub struct Case {
    /// Series and values, in promtool's notation: `0+5x30` begins at 0 and grows by 5 thirty times.
    pub series: Vec<(String, &'static str)>,
    /// When it is looked at.
    pub at: &'static str,
    /// The labels of the alert that fires, but for its severity.
    pub labels: Vec<(&'static str, &'static str)>,
}

impl Case {
    fn at(at: &'static str) -> Self {
        Self { series: Vec::new(), at, labels: Vec::new() }
    }

    fn with(mut self, spec: &Spec, labels: &[Where], values: &'static str) -> Self {
        self.series.push((selector(spec, "", labels), values));
        self
    }

    fn with_part(mut self, spec: &Spec, part: &str, labels: &[Where], values: &'static str) -> Self {
        self.series.push((selector(spec, part, labels), values));
        self
    }

    fn of(mut self, label: &'static str, value: &'static str) -> Self {
        self.labels.push((label, value));
        self
    }
}

/// A file of rules.
#[derive(Debug)]
pub struct Group {
    /// The file's name, and the group's.
    pub name: &'static str,
    /// Come first, for the alerts ask for them.
    pub records: Vec<Record>,
    /// The alerts.
    pub alerts: Vec<Alert>,
}

/// All rules.
pub fn all() -> Vec<Group> {
    let group = |name, alerts| Group { name, records: Vec::new(), alerts };
    vec![
        objectives::group(),
        group("cluster", cluster::alerts()),
        group("delivery", delivery::alerts()),
        group("connections", connections::alerts()),
    ]
}

pub(crate) fn files() -> Vec<File> {
    let mut files = Vec::new();
    for group in all() {
        let (path, content) = (format!("deploy/prometheus/rules/{}.yaml", group.name), yaml::rules(&group));
        files.push(File { path, content });
        let (path, content) = (format!("deploy/prometheus/tests/{}.yaml", group.name), yaml::tests(&group));
        files.push(File { path, content });
    }
    files
}

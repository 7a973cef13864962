//! The rules for Prometheus, and for each alert a case in which it fires and one in which it stays quiet, which `promtool` tries:
//! by themselves, as where Prometheus watches one cluster, and beside clusters in which all is well.
//!
//! Who is woken (`page`) is woken because people are affected or will be within the hour; the rest (`ticket`) waits for the
//! morning. Each alert has a page in `docs/runbooks`, named as the alert is.

mod case;
mod cluster;
mod connections;
mod delivery;
mod objectives;
mod yaml;

use crate::File;

pub use case::Case;
pub(crate) use objectives::{FACTORS, OBJECTIVES, Objective, WINDOWS};

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
    /// Further ones, each with what it tells of the alert.
    pub also: Vec<(&'static str, Case)>,
}

impl Alert {
    /// Where its page is read.
    pub fn page(&self) -> String {
        format!("{PAGES}/{}.md", self.name)
    }

    /// All cases of it, each with what it tells.
    pub(crate) fn cases(&self) -> Vec<(&'static str, Case)> {
        let mut cases = vec![
            ("fires", self.fires.clone()),
            ("stays quiet", self.quiet.clone()),
            ("fires for one of three clusters", case::beside_quiet_ones(&self.fires, &self.quiet)),
            ("stays quiet with three clusters", case::beside_quiet_ones(&self.quiet, &self.quiet)),
        ];
        cases.extend(self.also.iter().cloned());
        cases
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

//! `ii-claw channels exam`: what every adapter must do, tried in this process against servers on this machine.

use std::fmt::Write as _;

use anyhow::{anyhow, bail};
use claw_channels::exam::{Outcome, Report, Requirement, examine};
use claw_channels::registry;
use serde_json::{Value, json};

use crate::api::{lined_up, print};

/// Examines one type of channels, or all.
///
/// # Errors
/// When there is no such type, and when one of them does not meet a requirement.
pub(super) async fn run(only: Option<&str>, as_json: bool) -> anyhow::Result<()> {
    if let Some(unknown) = only.filter(|name| registry::find(name).is_none()) {
        bail!("there is no type {unknown:?}; the types are {}", registry::names());
    }
    let mut reports = Vec::new();
    for entry in claw_channels::ALL.iter().filter(|entry| only.is_none_or(|only| entry.name == only)) {
        reports.push(examine(entry).await);
    }
    let text = if as_json { format!("{:#}", as_value(&reports)) } else { shown(&reports) };
    print(text.trim_end())?;
    let failed: Vec<_> =
        reports.iter().filter(|report| !report.is_passed()).map(|report| report.channel_type).collect();
    if failed.is_empty() { Ok(()) } else { Err(anyhow!("the exam is not passed by: {}", failed.join(", "))) }
}

fn shown(reports: &[Report]) -> String {
    let mut rows = vec![heads(reports)];
    rows.extend(Requirement::ALL.iter().enumerate().map(|(row, requirement)| {
        let cells = reports.iter().map(|report| cell(&report.outcomes[row].1).to_owned());
        std::iter::once(requirement.name().to_owned()).chain(cells).collect()
    }));
    let mut text = lined_up(&rows.iter().map(Vec::as_slice));
    for report in reports {
        for (requirement, outcome) in &report.outcomes {
            if let Outcome::PlatformCant(why) | Outcome::NotBuilt(why) | Outcome::Failed(why) = outcome {
                let (name, what) = (requirement.name(), cell(outcome));
                // Writing into a text can't fail.
                let _ = write!(text, "\n{} {name}: {what}: {why}", report.channel_type);
            }
        }
    }
    text
}

fn heads(reports: &[Report]) -> Vec<String> {
    let types = reports.iter().map(|report| report.channel_type.to_owned());
    std::iter::once("requirement".to_owned()).chain(types).collect()
}

fn cell(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Met => "yes",
        Outcome::PlatformCant(_) => "platform can't",
        Outcome::NotBuilt(_) => "not built",
        Outcome::Failed(_) => "FAILED",
    }
}

fn as_value(reports: &[Report]) -> Value {
    let one = |report: &Report| {
        let outcomes = report.outcomes.iter().map(|(requirement, outcome)| {
            let mut row = json!(outcome);
            row["requirement"] = json!(requirement.name());
            row
        });
        json!({"type": report.channel_type, "passed": report.is_passed(), "outcomes": outcomes.collect::<Vec<_>>()})
    };
    reports.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcome: Outcome) -> Report {
        let outcomes = Requirement::ALL.iter().map(|requirement| (*requirement, Outcome::Met)).collect();
        let mut report = Report { channel_type: "some_type", outcomes };
        report.outcomes[0].1 = outcome;
        report
    }

    #[test]
    fn what_a_platform_cant_is_never_shown_as_met() {
        let text = shown(&[report(Outcome::PlatformCant("it has none".to_owned())), report(Outcome::Met)]);
        let row = text.lines().nth(1).unwrap();
        assert_eq!(
            row.split("  ").filter(|cell| !cell.is_empty()).nth(1).map(str::trim),
            Some("platform can't")
        );
        assert!(row.ends_with("yes"), "{row}");
        assert!(text.ends_with("some_type configuration: platform can't: it has none"), "{text}");
    }

    #[test]
    fn what_is_ours_is_not_the_platforms() {
        let missing = report(Outcome::NotBuilt("nobody did".to_owned()));
        assert!(missing.is_passed());
        let text = shown(std::slice::from_ref(&missing));
        assert!(text.lines().nth(1).is_some_and(|row| row.trim_end().ends_with("not built")), "{text}");
        assert!(text.ends_with("some_type configuration: not built: nobody did"), "{text}");
        let row = json!({"requirement": "configuration", "outcome": "not_built", "why": "nobody did"});
        assert_eq!(as_value(&[missing])[0]["outcomes"][0], row);
    }

    #[test]
    fn one_failure_is_a_failure() {
        assert!(report(Outcome::PlatformCant(String::new())).is_passed());
        assert!(!report(Outcome::Failed("no".to_owned())).is_passed());
        let value = as_value(&[report(Outcome::Failed("no".to_owned()))]);
        let row = json!({"requirement": "configuration", "outcome": "failed", "why": "no"});
        assert_eq!((&value[0]["passed"], &value[0]["outcomes"][0]), (&json!(false), &row));
    }
}

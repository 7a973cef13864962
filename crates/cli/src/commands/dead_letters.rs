//! `ii-claw dead-letters`: messages that ended without success, one user's or everybody's.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::messages::{Filter, Page, listed};
use crate::api::{Api, ApiSettings, cell};

/// Messages that ended without success
#[derive(Args)]
pub(crate) struct DeadLetters {
    #[command(flatten)]
    api: ApiSettings,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List dead letters, newest first
    List(List),
    /// Set dead letters back to work: some by id, or the oldest that match
    Replay(Replay),
    /// Put dead letters aside: some by id, or the oldest that match
    Discard(Discard),
}

#[derive(Args)]
struct List {
    /// Whose; everybody's when absent
    #[arg(long)]
    user: Option<String>,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    page: Page,
}

#[derive(Args)]
struct Replay {
    /// Whose; everybody's when absent
    #[arg(long)]
    user: Option<String>,
    #[command(flatten)]
    which: Which,
}

#[derive(Args)]
struct Discard {
    /// Whose
    #[arg(long)]
    user: String,
    /// Why they are not worth another try
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    which: Which,
}

#[derive(Args)]
struct Which {
    /// These
    #[arg(conflicts_with_all = ["oldest", "channel", "direction", "state", "since", "until"], required_unless_present = "oldest")]
    ids: Vec<String>,
    /// The oldest that match, at most this many: 1 to 500. Uncertain ones only with --state uncertain
    #[arg(long, value_name = "HOW MANY")]
    oldest: Option<u32>,
    #[command(flatten)]
    filter: Filter,
}

impl Which {
    fn body(&self) -> Map<String, Value> {
        let mut body = Map::new();
        if let Some(limit) = self.oldest {
            let filter: Map<String, Value> =
                self.filter.given().into_iter().map(|(key, value)| (key.to_owned(), json!(value))).collect();
            body.insert("filter".to_owned(), filter.into());
            body.insert("limit".to_owned(), json!(limit));
        } else {
            body.insert("ids".to_owned(), json!(self.ids));
        }
        body
    }
}

pub(crate) async fn run(command: DeadLetters) -> anyhow::Result<()> {
    let api = Api::new(&command.api)?;
    match command.what {
        What::List(List { user, filter, page }) => {
            let mut query = filter.given();
            query.extend(page.given());
            let answer = api.get(&path(user.as_deref(), &[]), &query).await?;
            api.show(&answer, |answer| listed(answer, user.is_none()))
        }
        What::Replay(Replay { user, which }) => {
            let body = which.body().into();
            let answer = api.post(&path(user.as_deref(), &["replay"]), &body).await?;
            api.show(&answer, |answer| replayed(answer, which.oldest))
        }
        What::Discard(Discard { user, reason, which }) => {
            let mut body = which.body();
            body.insert("reason".to_owned(), json!(reason));
            let answer = api.post(&path(Some(&user), &["discard"]), &body.into()).await?;
            api.show(&answer, |answer| {
                let done = format!("{} discarded", cell(&answer["discarded"]));
                std::iter::once(done).chain(refused(answer)).collect::<Vec<_>>().join("\n")
            })
        }
    }
}

fn path<'a>(user: Option<&'a str>, rest: &[&'a str]) -> Vec<&'a str> {
    let mut path = user.map_or_else(Vec::new, |user| vec!["users", user]);
    path.push("dead-letters");
    path.extend(rest);
    path
}

fn replayed(answer: &Value, oldest: Option<u32>) -> String {
    let revived = answer["revived"].as_u64().unwrap_or(0);
    let mut lines = vec![format!("{revived} back at work")];
    for message in answer["messages"].as_array().into_iter().flatten() {
        if let Some(note) = message["note"].as_str() {
            lines.push(format!("{}: {note}", cell(&message["id"])));
        }
    }
    if oldest.is_some_and(|limit| revived >= u64::from(limit)) {
        lines.push("there may be more: repeat the command".to_owned());
    }
    lines.extend(refused(answer));
    lines.join("\n")
}

fn refused(answer: &Value) -> impl Iterator<Item = String> {
    let refused = answer["refused"].as_array().into_iter().flatten();
    refused.map(|one| format!("not {}: {}", cell(&one["id"]), cell(&one["reason"])))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_done_is_told_with_its_reason() {
        let answer = json!({"revived": 1, "messages": [{"id": "1", "note": "twice"}],
            "refused": [{"id": "2", "reason": "it is done"}]});
        assert_eq!(replayed(&answer, None), "1 back at work\n1: twice\nnot 2: it is done");
        assert!(replayed(&answer, Some(1)).contains("repeat the command"));
    }
}

//! `ii-claw messages`: what became of messages, and another try for those that ended without success.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::api::{Api, ApiSettings, cell, table};

/// What became of messages
#[derive(Args)]
pub(crate) struct Messages {
    #[command(flatten)]
    api: ApiSettings,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List a user's messages, newest first
    List(List),
    /// Show one message with its body, its attempts and its way
    Show(One),
    /// Set a message back to work that ended without success
    Retry(One),
    /// Put a dead letter aside
    Discard(Discard),
}

#[derive(Args)]
struct List {
    /// Whose
    #[arg(long)]
    user: String,
    /// Only those of this conversation
    #[arg(long)]
    conversation: Option<String>,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    page: Page,
}

/// What lists can be narrowed by.
#[derive(Args)]
pub(crate) struct Filter {
    /// Only those of the channel of this name
    #[arg(long)]
    pub(crate) channel: Option<String>,
    /// Only those that go this way: in or out
    #[arg(long)]
    pub(crate) direction: Option<String>,
    /// Only those in this state: pending, done, failed, uncertain, expired, dead, discarded
    #[arg(long)]
    pub(crate) state: Option<String>,
    /// Only those accepted then or later: 2026-11-23T01:45:53Z
    #[arg(long)]
    pub(crate) since: Option<String>,
    /// Only those accepted before then
    #[arg(long)]
    pub(crate) until: Option<String>,
}

/// Which part of a list.
#[derive(Args)]
pub(crate) struct Page {
    /// How many at most: 1 to 200
    #[arg(long, default_value_t = 50)]
    limit: u32,
    /// Go on where a list ended
    #[arg(long)]
    cursor: Option<String>,
}

#[derive(Args)]
struct One {
    /// Whose
    #[arg(long)]
    user: String,
    /// Its id
    id: String,
}

#[derive(Args)]
struct Discard {
    #[command(flatten)]
    one: One,
    /// Why it is not worth another try
    #[arg(long)]
    reason: String,
}

impl Filter {
    /// What is set, by its key in the API.
    pub(crate) fn given(&self) -> Vec<(&'static str, String)> {
        let all = [
            ("channel", &self.channel),
            ("direction", &self.direction),
            ("state", &self.state),
            ("since", &self.since),
            ("until", &self.until),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))).collect()
    }
}

impl Page {
    /// As the API takes it.
    pub(crate) fn given(&self) -> Vec<(&'static str, String)> {
        let cursor = self.cursor.clone().map(|cursor| ("cursor", cursor));
        std::iter::once(("limit", self.limit.to_string())).chain(cursor).collect()
    }
}

pub(crate) async fn run(command: Messages) -> anyhow::Result<()> {
    let api = Api::new(&command.api)?;
    match command.what {
        What::List(List { user, conversation, filter, page }) => {
            let mut query = filter.given();
            query.extend(conversation.map(|text| ("conversation", text)));
            query.extend(page.given());
            let answer = api.get(&["users", &user, "messages"], &query).await?;
            api.show(&answer, |answer| listed(answer, false))
        }
        What::Show(One { user, id }) => {
            let answer = api.get(&["users", &user, "messages", &id], &[]).await?;
            api.show(&answer, shown)
        }
        What::Retry(One { user, id }) => {
            let answer = api.post(&["users", &user, "messages", &id, "retry"], &json!({})).await?;
            api.show(&answer, retried)
        }
        What::Discard(Discard { one: One { user, id }, reason }) => {
            let path = ["users", &user, "messages", &id, "discard"];
            let answer = api.post(&path, &json!({"reason": reason})).await?;
            api.show(&answer, |answer| format!("{} is discarded", cell(&answer["id"])))
        }
    }
}

/// A page of a list.
pub(crate) fn listed(answer: &Value, of_all: bool) -> String {
    let none = Vec::new();
    let messages = answer["messages"].as_array().unwrap_or(&none);
    if messages.is_empty() {
        return "none".to_owned();
    }
    let text = if of_all {
        let rows: Vec<_> = messages.iter().map(|m| row(m, cell(&m["user_id"]))).collect();
        table(["id", "accepted", "way", "user", "state", "tries", "error or text"], &rows)
    } else {
        let rows: Vec<_> = messages.iter().map(|m| row(m, cell(&m["channel"]["instance_name_id"]))).collect();
        table(["id", "accepted", "way", "channel", "state", "tries", "error or text"], &rows)
    };
    match answer["next_cursor"].as_str() {
        Some(cursor) => format!("{text}there are more: --cursor {cursor}\n"),
        None => text,
    }
}

fn row(message: &Value, whose: String) -> [String; 7] {
    let said = if message["error"].is_null() { &message["text"] } else { &message["error"] };
    [
        cell(&message["id"]),
        cell(&message["accepted_at"]).chars().take(19).collect(),
        cell(&message["direction"]),
        whose,
        cell(&message["state"]),
        cell(&message["attempts"]),
        cell(said).chars().take(80).collect(),
    ]
}

fn shown(message: &Value) -> String {
    let simple = [
        "id",
        "user_id",
        "direction",
        "conversation",
        "recipient",
        "content_type",
        "state",
        "attempts",
        "retries",
        "error",
        "discard_reason",
        "accepted_at",
        "retried_at",
        "finished_at",
        "next_attempt_at",
    ];
    let mut rows: Vec<_> = simple
        .iter()
        .filter(|key| !message[**key].is_null())
        .map(|key| [(*key).to_owned(), cell(&message[*key])])
        .collect();
    let channel = &message["channel"];
    let named = format!("{} ({})", cell(&channel["instance_name_id"]), cell(&channel["channel_type"]));
    rows.push(["channel".to_owned(), named]);
    for id in message["platform_message_ids"].as_array().into_iter().flatten() {
        rows.push(["platform_message_id".to_owned(), cell(id)]);
    }
    for receipt in message["receipts"].as_array().into_iter().flatten() {
        rows.push(["receipt".to_owned(), format!("{}  {}", cell(&receipt["at"]), cell(&receipt["kind"]))]);
    }
    for attempt in message["attempt_log"].as_array().into_iter().flatten() {
        let what = [&attempt["at"], &attempt["retry"], &attempt["n"], &attempt["outcome"], &attempt["error"]];
        rows.push(["attempt".to_owned(), what.map(cell).join("  ")]);
    }
    let payload = serde_json::to_string_pretty(&message["payload"]).unwrap_or_default();
    let payload: Vec<String> = payload.lines().map(crate::api::printable).collect();
    format!("{}payload\n{}", table(["", ""], &rows).trim_start(), payload.join("\n"))
}

fn retried(answer: &Value) -> String {
    let text = format!("{} was {} and is back at work", cell(&answer["id"]), cell(&answer["was"]));
    match answer["note"].as_str() {
        Some(note) => format!("{text}\nnote: {note}"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Value {
        json!({"id": "1", "user_id": "ada", "accepted_at": "2026-11-23T01:45:53.454983Z", "direction": "out",
            "channel": {"instance_name_id": "chat", "channel_type": "kind"}, "state": "dead", "attempts": 3,
            "text": "hi", "error": "it broke\u{1b}", "payload": {"text": "hi"}, "retries": 0,
            "receipts": [{"kind": "queued", "at": "t"}], "platform_message_ids": ["p"],
            "attempt_log": [{"retry": 0, "n": 1, "at": "t", "outcome": "dead", "error": "it broke"}]})
    }

    #[test]
    fn a_list_is_a_table_with_the_way_on() {
        let answer = json!({"messages": [message()], "next_cursor": "5.1"});
        assert_eq!(
            listed(&answer, false),
            "id  accepted             way  channel  state  tries  error or text\n\
             1   2026-11-23T01:45:53  out  chat     dead   3      it broke\u{fffd}\n\
             there are more: --cursor 5.1\n"
        );
        assert!(listed(&answer, true).contains("  ada  "));
        assert_eq!(listed(&json!({"messages": []}), false), "none");
    }

    #[test]
    fn a_message_is_shown_with_all_that_is_known() {
        let text = shown(&message());
        for part in ["id ", "chat (kind)", "receipt", "attempt", "t  0  1  dead  it broke", "payload\n{\n"] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
    }
}

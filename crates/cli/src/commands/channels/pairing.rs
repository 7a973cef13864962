//! `ii-claw channels pairing`: letting people in to a channel whose `dm_policy` is `pairing`.

use clap::{Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::Channel;
use crate::api::{Api, cell, table};

#[derive(Subcommand)]
pub(super) enum What {
    /// List who asked, who was let in or turned away, and open invitations, newest first
    List {
        #[command(flatten)]
        channel: Channel,
        /// Only those in this state
        #[arg(long)]
        state: Option<State>,
        /// Entries to show: 1 to 200
        #[arg(long)]
        limit: Option<u32>,
        /// Where the list before this one ended
        #[arg(long)]
        cursor: Option<String>,
    },
    /// Let in the person whose request has this code
    Approve {
        #[command(flatten)]
        channel: Channel,
        /// The code
        code: String,
    },
    /// Make a code that lets in whoever sends it to the bot first
    Invite {
        #[command(flatten)]
        channel: Channel,
        /// For how many seconds it is good; a day when absent
        #[arg(long, value_name = "SECONDS")]
        expires_in: Option<u64>,
    },
    /// Turn away who asked, or take back an approval or an invitation
    Revoke {
        #[command(flatten)]
        channel: Channel,
        /// The code
        code: String,
    },
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum State {
    Pending,
    Invited,
    Approved,
    Denied,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Invited => "invited",
            Self::Approved => "approved",
            Self::Denied => "denied",
        }
    }
}

/// The path of one channel's book of people.
fn book<'a>(channel: &'a Channel, rest: &[&'a str]) -> Vec<&'a str> {
    channel.path(&[&["pairing"], rest].concat())
}

pub(super) async fn run(api: &Api, what: What) -> anyhow::Result<()> {
    match what {
        What::List { channel, state, limit, cursor } => {
            let given = [
                ("state", state.map(|state| state.as_str().to_owned())),
                ("limit", limit.map(|limit| limit.to_string())),
                ("cursor", cursor),
            ];
            let query: Vec<(&str, String)> =
                given.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
            api.show(&api.get(&book(&channel, &[]), &query).await?, listed)
        }
        What::Approve { channel, code } => {
            let answer = api.post(&book(&channel, &[&code, "approve"]), &Value::Null).await?;
            api.show(&answer, |one| format!("{} may write now, and was told so", named(one)))
        }
        What::Invite { channel, expires_in } => {
            let body = expires_in.map_or_else(|| json!({}), |secs| json!({"expires_in_seconds": secs}));
            api.show(&api.post(&book(&channel, &[]), &body).await?, |one| {
                format!("{}\ngood once, until {}", cell(&one["code"]), cell(&one["expires_at"]))
            })
        }
        What::Revoke { channel, code } => {
            api.show(&api.delete(&book(&channel, &[&code]), &[]).await?, revoked)
        }
    }
}

fn named(one: &Value) -> String {
    format!("{} ({})", cell(&one["display_name"]), cell(&one["platform_id"]))
}

fn revoked(before: &Value) -> String {
    match before["state"].as_str() {
        Some("pending") => format!("{} was turned away, and is not answered for a day", named(before)),
        Some("approved") => format!("{} may not write any more", named(before)),
        Some("denied") => format!("{} may ask again", named(before)),
        _ => "the invitation lets nobody in any more".to_owned(),
    }
}

fn listed(answer: &Value) -> String {
    let pairings = answer["pairings"].as_array().map(Vec::as_slice).unwrap_or_default();
    if pairings.is_empty() {
        return "nobody asked, and nobody is invited".to_owned();
    }
    let keys = ["code", "state", "platform_id", "expires_at", "decided_by", "display_name"];
    let rows: Vec<[String; 6]> = pairings.iter().map(|one| keys.map(|key| cell(&one[key]))).collect();
    let mut text = table(["code", "state", "person", "good until", "decided by", "name"], &rows);
    if let Some(cursor) = answer["next_cursor"].as_str() {
        text.push_str("more: --cursor ");
        text.push_str(cursor);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_stranger_calls_themselves_does_not_steer_the_terminal() {
        let one = json!({"code": "ABCD2345", "state": "pending", "platform_id": "42", "display_name": "A\u{1b}[2J"});
        let text = listed(&json!({"pairings": [one], "next_cursor": "c"}));
        assert!(!text.contains('\u{1b}') && text.contains("ABCD2345  pending  42"), "{text}");
        assert!(text.ends_with("more: --cursor c"), "{text}");
        assert_eq!(revoked(&json!({"state": "invited"})), "the invitation lets nobody in any more");
    }
}

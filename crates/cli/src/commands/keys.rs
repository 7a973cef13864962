//! `ii-claw keys`: keys to the API beside the operator's own.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::api::{Api, ApiSettings, cell};

/// Keys to the API
#[derive(Args)]
pub(crate) struct Keys {
    #[command(flatten)]
    api: ApiSettings,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Make a key; it is shown this once
    Create(Create),
    /// List keys, newest first
    List,
    /// Take a key back
    Revoke {
        /// Its id, as the list shows it
        id: String,
    },
}

#[derive(Args)]
struct Create {
    /// What it is for
    #[arg(long)]
    name: String,
    /// The one user it is to be good for; all users when absent
    #[arg(long)]
    user: Option<String>,
    /// What it opens, once for each; everything when absent
    #[arg(long = "scope", value_parser = ["read", "send", "manage"])]
    scopes: Vec<String>,
    /// Until when it is good, like 2030-01-01T00:00:00Z; always when absent
    #[arg(long)]
    expires_at: Option<String>,
}

pub(crate) async fn run(command: Keys) -> anyhow::Result<()> {
    let api = Api::new(&command.api)?;
    match command.what {
        What::Create(Create { name, user, scopes, expires_at }) => {
            let scopes = (!scopes.is_empty()).then_some(scopes);
            let body = json!({"name": name, "user_id": user, "scopes": scopes, "expires_at": expires_at});
            let made = api.post(&["keys"], &body).await?;
            api.show(&made, |made| format!("{}\n{}", cell(&made["key"]), line(made)))
        }
        What::List => {
            let answer = api.get(&["keys"], &[("limit", "200".to_owned())]).await?;
            api.show(&answer, listed)
        }
        What::Revoke { id } => {
            let revoked = api.delete(&["keys", &id], &[]).await?;
            api.show(&revoked, |revoked| format!("revoked: {}", line(revoked)))
        }
    }
}

fn listed(answer: &Value) -> String {
    let mut lines: Vec<String> = answer["keys"].as_array().into_iter().flatten().map(line).collect();
    if lines.is_empty() {
        lines.push("no keys but the operator's own".to_owned());
    }
    if !answer["next_cursor"].is_null() {
        lines.push("there are more: `GET /api/keys` shows all".to_owned());
    }
    lines.join("\n")
}

fn line(key: &Value) -> String {
    let scopes: Vec<String> = key["scopes"].as_array().into_iter().flatten().map(cell).collect();
    let user = key["user_id"].as_str().map_or_else(|| "all users".to_owned(), |_| cell(&key["user_id"]));
    let mut line = format!("{}  {}  {user}  {}", cell(&key["id"]), cell(&key["name"]), scopes.join(","));
    for (what, at) in [("revoked", "revoked_at"), ("expires", "expires_at"), ("last used", "last_used_at")] {
        if key[at].is_string() {
            line = format!("{line}  {what} {}", cell(&key[at]));
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_what_a_key_opens_and_until_when() {
        let key = json!({"id": "1", "name": "front end", "user_id": null, "scopes": ["read", "send"],
            "expires_at": "2030-01-01T00:00:00Z", "revoked_at": null, "last_used_at": null});
        assert_eq!(line(&key), "1  front end  all users  read,send  expires 2030-01-01T00:00:00Z");
        assert_eq!(listed(&json!({"keys": []})), "no keys but the operator's own");
    }
}

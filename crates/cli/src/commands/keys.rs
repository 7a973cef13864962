//! `ii-claw keys`: keys to the API beside the operator's own.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::api::{Api, ApiSettings, cell, table};

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
    let rows: Vec<_> = answer["keys"].as_array().into_iter().flatten().map(row).collect();
    if rows.is_empty() {
        return "no keys but the operator's own".to_owned();
    }
    let mut text = table(["id", "user", "opens", "expires", "revoked", "last used", "name"], &rows);
    if !answer["next_cursor"].is_null() {
        text.push_str("there are more: `GET /api/keys` shows all");
    }
    text
}

fn row(key: &Value) -> [String; 7] {
    let at = |what: &str| cell(&key[what]);
    [at("id"), user(key), scopes(key), at("expires_at"), at("revoked_at"), at("last_used_at"), at("name")]
}

fn user(key: &Value) -> String {
    if key["user_id"].is_null() { "all users".to_owned() } else { cell(&key["user_id"]) }
}

fn scopes(key: &Value) -> String {
    key["scopes"].as_array().into_iter().flatten().map(cell).collect::<Vec<_>>().join(",")
}

/// One key, which was just made or taken back.
fn line(key: &Value) -> String {
    let mut line = format!("{}  {}  {}  {}", cell(&key["id"]), cell(&key["name"]), user(key), scopes(key));
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
        let table = "id  user       opens      expires               revoked  last used  name\n\
                     1   all users  read,send  2030-01-01T00:00:00Z  -        -          front end\n";
        assert_eq!(listed(&json!({"keys": [key]})), table);
        assert_eq!(listed(&json!({"keys": []})), "no keys but the operator's own");
    }
}

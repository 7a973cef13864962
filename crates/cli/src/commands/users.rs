//! `ii-claw users`: what a person has set, and removing everything that is kept of them.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use crate::api::{Api, ApiSettings, cell, table};

/// Users as a whole
#[derive(Args)]
pub(crate) struct Users {
    #[command(flatten)]
    api: ApiSettings,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show what a user has set for jobs and heartbeats, and change it
    Settings {
        /// Whose
        user: String,
        /// What to change, as the API takes it, such as heartbeat=null or 'alerts={"channel": "bot", "recipient": "1001"}'; null
        /// for the default. The rest stays
        #[arg(long, value_name = "KEY=JSON", value_parser = setting)]
        set: Vec<(String, Value)>,
    },
    /// Remove everything that is kept of a user, for good
    Erase {
        /// Whose data
        user: String,
        /// The same id once more, because it can't be undone
        #[arg(long)]
        confirm: String,
    },
    /// Show how far that is
    Erasure {
        /// Whose
        user: String,
    },
}

pub(crate) async fn run(command: Users) -> anyhow::Result<()> {
    let api = Api::new(&command.api)?;
    let erasure = match command.what {
        What::Settings { user, set } => return settings(&api, &user, set).await,
        What::Erase { user, confirm } => api.delete(&["users", &user], &[("confirm", confirm)]).await?,
        What::Erasure { user } => api.get(&["users", &user, "erasure"], &[]).await?,
    };
    api.show(&erasure, text)
}

async fn settings(api: &Api, user: &str, set: Vec<(String, Value)>) -> anyhow::Result<()> {
    let path = ["users", user, "settings"];
    let mut settings = api.get(&path, &[]).await?;
    if !set.is_empty() {
        settings = api.put(&path, &changed(&settings, set)?.into()).await?;
    }
    api.show(&settings, |settings| {
        let keys = settings.as_object().into_iter().flatten();
        let rows: Vec<[String; 2]> = keys.map(|(key, value)| [key.clone(), cell(value)]).collect();
        table(["key", "value"], &rows)
    })
}

/// All of the settings as they are to be.
fn changed(settings: &Value, set: Vec<(String, Value)>) -> anyhow::Result<Map<String, Value>> {
    let mut all = settings.as_object().cloned().context("the API answered no settings")?;
    // What follows from them can't be set.
    all.remove("next_heartbeat_at");
    all.extend(set);
    Ok(all)
}

/// `KEY=JSON`; what is no JSON is a text.
fn setting(given: &str) -> Result<(String, Value), String> {
    let (key, value) = given.split_once('=').ok_or("write KEY=VALUE, such as alert_after=5")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    Ok((key.trim().to_owned(), value))
}

fn text(erasure: &Value) -> String {
    let user = cell(&erasure["user_id"]);
    let state = if erasure["complete"] == true {
        format!("complete: nothing of {user} is left since {}", cell(&erasure["finished_at"]))
    } else {
        format!("under way: it goes on by itself; `ii-claw users erasure {user}` shows how far it is")
    };
    let kinds = erasure["removed"].as_object().into_iter().flatten();
    let some = kinds.filter(|(_, count)| **count != 0);
    let removed: Vec<String> =
        some.map(|(kind, count)| format!("{} {}", cell(count), kind.replace('_', " "))).collect();
    let removed = if removed.is_empty() { "nothing".to_owned() } else { removed.join(", ") };
    format!("{state}\nremoved so far: {removed}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_named_stays_as_it_is() {
        let now = json!({"alert_after": 3, "pause_after": null, "next_heartbeat_at": "then"});
        let set = ["alert_after=null", r#"alerts={"channel": "bot", "recipient": 7}"#, "pause_after=a"];
        let set = set.map(|given| setting(given).unwrap()).to_vec();
        assert_eq!(
            Value::from(changed(&now, set).unwrap()),
            json!({"alert_after": null, "alerts": {"channel": "bot", "recipient": 7}, "pause_after": "a"})
        );
        assert!(setting("alert_after").unwrap_err().contains("KEY=VALUE"));
    }

    #[test]
    fn it_says_complete_only_when_it_is() {
        let removed = json!({"messages": 12, "api_keys": 1, "hooks": 0});
        let done = json!({"user_id": "ada", "complete": true, "finished_at": "then", "removed": removed});
        assert_eq!(
            text(&done),
            "complete: nothing of ada is left since then\nremoved so far: 1 api keys, 12 messages"
        );
        let begun = json!({"user_id": "ada", "complete": false, "removed": {"messages": 0}});
        let said = text(&begun);
        assert!(said.starts_with("under way") && said.ends_with("removed so far: nothing"), "{said}");
    }
}

//! `ii-claw users`: removing everything that is kept of a person.

use clap::{Args, Subcommand};
use serde_json::Value;

use crate::api::{Api, ApiSettings, cell};

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
        What::Erase { user, confirm } => api.delete(&["users", &user], &[("confirm", confirm)]).await?,
        What::Erasure { user } => api.get(&["users", &user, "erasure"], &[]).await?,
    };
    api.show(&erasure, text)
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

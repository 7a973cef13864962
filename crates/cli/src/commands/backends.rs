//! `ii-claw backends`: where a user's or a channel's messages go instead of the operator's backend.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use crate::api::{Api, ApiSettings, cell};

/// Backends of users' own
#[derive(Args)]
pub(crate) struct Backends {
    #[command(flatten)]
    api: ApiSettings,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Show it, and whether it answers
    Show(Place),
    /// Make it, or change parts of it; one that was switched off gets messages again
    Set(Set),
    /// Have the messages go where they went before
    Delete(Place),
}

#[derive(Args)]
struct Place {
    /// Whose messages
    user: String,
    /// Only those of the channel of this name
    #[arg(long)]
    channel: Option<String>,
}

#[derive(Args)]
struct Set {
    #[command(flatten)]
    place: Place,
    /// Where messages are posted to
    #[arg(long)]
    to: Option<String>,
    /// A file with the keys of the signatures, one a line, the first one first; - for the standard input
    #[arg(long)]
    secrets: Option<PathBuf>,
    /// Webhooks of one worker that may be under way at once
    #[arg(long)]
    max_in_flight: Option<u16>,
}

impl Place {
    fn path(&self) -> Vec<&str> {
        let channel = self.channel.as_deref().map(|channel| ["channels", channel]);
        ["users", &self.user].into_iter().chain(channel.into_iter().flatten()).chain(["backend"]).collect()
    }
}

pub(crate) async fn run(command: Backends) -> anyhow::Result<()> {
    let api = Api::new(&command.api)?;
    match command.what {
        What::Show(place) => api.show(&api.get(&place.path(), &[]).await?, text),
        What::Set(set) => {
            let body = body(&set)?;
            api.show(&api.put(&set.place.path(), &body).await?, text)
        }
        What::Delete(place) => {
            let deleted = api.delete(&place.path(), &[]).await?;
            api.show(&deleted, |deleted| format!("deleted: {}", line(deleted)))
        }
    }
}

fn body(set: &Set) -> anyhow::Result<Value> {
    let mut body = Map::new();
    if let Some(to) = &set.to {
        body.insert("url".to_owned(), json!(to));
    }
    if let Some(file) = &set.secrets {
        let secrets = read(file)?;
        let lines = secrets.lines().map(str::trim).filter(|line| !line.is_empty());
        body.insert("secrets".to_owned(), lines.collect());
    }
    if let Some(most) = set.max_in_flight {
        body.insert("max_in_flight".to_owned(), json!(most));
    }
    Ok(Value::Object(body))
}

/// Not an argument: those of a running command are seen by everybody on the machine.
fn read(file: &Path) -> anyhow::Result<String> {
    if file != Path::new("-") {
        return std::fs::read_to_string(file).with_context(|| format!("can't read {}", file.display()));
    }
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).context("can't read the standard input")?;
    Ok(text)
}

fn line(backend: &Value) -> String {
    format!(
        "{}  secrets: {}  at once: {}",
        cell(&backend["url"]),
        cell(&backend["secrets"]),
        cell(&backend["max_in_flight"])
    )
}

fn text(backend: &Value) -> String {
    let line = line(backend);
    if backend["enabled"] == false {
        return format!("{line}\nswitched off: {}", cell(&backend["disabled_reason"]));
    }
    match backend["state"].as_str() {
        Some("closed") => format!("{line}\nit answers, as far as is known"),
        Some("open" | "half_open") => {
            format!("{line}\nit has not answered for {} ms: messages to it wait", cell(&backend["away_ms"]))
        }
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_how_the_backend_fares() {
        let mut backend = json!({"url": "https://a/b", "secrets": 2, "max_in_flight": 16, "enabled": true,
            "disabled_reason": null, "state": "closed", "away_ms": null});
        assert_eq!(text(&backend), "https://a/b  secrets: 2  at once: 16\nit answers, as far as is known");
        backend["state"] = json!("open");
        backend["away_ms"] = json!(1500);
        assert!(text(&backend).ends_with("it has not answered for 1500 ms: messages to it wait"));
        backend["enabled"] = json!(false);
        backend["disabled_reason"] = json!("the backend answered 410");
        assert!(text(&backend).ends_with("switched off: the backend answered 410"));
    }

    #[test]
    fn the_path_is_the_users_or_the_channels() {
        let mut place = Place { user: "ada".to_owned(), channel: None };
        assert_eq!(place.path(), ["users", "ada", "backend"]);
        place.channel = Some("hook".to_owned());
        assert_eq!(place.path(), ["users", "ada", "channels", "hook", "backend"]);
    }
}

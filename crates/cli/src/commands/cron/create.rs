//! The body of a new job: of flags, for what is made most often, or as JSON, for all that a job can be.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde_json::{Map, Value, json};

/// A job as its flags say
#[derive(Args)]
pub(super) struct Create {
    /// Whose job
    pub(super) user: String,
    /// A file with the job as the API takes it, JSON; - for the standard input. It says all of the job
    #[arg(long, conflicts_with_all = ["name", "schedule", "tz", "does", "body", "next_heartbeat", "agent", "channel", "to",
                                      "label", "disabled"])]
    file: Option<PathBuf>,
    /// The name to show
    #[arg(long, required_unless_present = "file")]
    name: Option<String>,
    #[command(flatten)]
    schedule: Schedule,
    /// The time zone of --cron, like Europe/Berlin; UTC when absent
    #[arg(long, requires = "schedule", conflicts_with_all = ["every", "at"])]
    tz: Option<String>,
    #[command(flatten)]
    does: Does,
    /// What --webhook posts beside the names of job and run, a JSON object
    #[arg(long, value_name = "JSON", requires = "does", conflicts_with_all = ["message", "task", "wake"])]
    body: Option<String>,
    /// Wake the agent at the user's next heartbeat instead of at once
    #[arg(long, requires = "does", conflicts_with_all = ["message", "task", "webhook"])]
    next_heartbeat: bool,
    /// Which agent gets it; when absent, the one that the channel is bound to
    #[arg(long, requires = "does", conflicts_with_all = ["message", "webhook"])]
    agent: Option<String>,
    /// The channel of the message, or of the agent's answer
    #[arg(long, requires = "to", conflicts_with = "webhook")]
    channel: Option<String>,
    /// The platform's id of the chat
    #[arg(long, requires = "channel")]
    to: Option<String>,
    /// What it is grouped by
    #[arg(long)]
    label: Option<String>,
    /// Leave it switched off
    #[arg(long)]
    disabled: bool,
}

#[derive(Args)]
#[group(id = "schedule", required = false, multiple = false)]
struct Schedule {
    /// Run every so many seconds
    #[arg(long, value_name = "SECONDS")]
    every: Option<u64>,
    /// Run by the calendar, like "0 9 * * 1-5"
    #[arg(long, value_name = "EXPR")]
    cron: Option<String>,
    /// Run once, like 2030-01-01T09:00:00Z
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

#[derive(Args)]
#[group(id = "does", required = false, multiple = false)]
struct Does {
    /// Send this text
    #[arg(long, requires = "channel")]
    message: Option<String>,
    /// Give an agent this to do
    #[arg(long)]
    task: Option<String>,
    /// Have an agent hear of this
    #[arg(long)]
    wake: Option<String>,
    /// Post to this URL, signed
    #[arg(long, value_name = "URL")]
    webhook: Option<String>,
}

impl Create {
    /// What the API is sent.
    pub(super) fn body(&self) -> anyhow::Result<Value> {
        if let Some(file) = &self.file {
            return read(file);
        }
        let mut body = Map::new();
        body.insert("name".to_owned(), json!(self.name));
        body.insert("label".to_owned(), json!(self.label));
        body.insert("enabled".to_owned(), json!(!self.disabled));
        body.insert(
            "schedule".to_owned(),
            self.schedule.json(self.tz.as_deref()).context("say when: --every, --cron or --at")?,
        );
        body.insert(
            "action".to_owned(),
            self.action()?.context("say what: --message, --task, --wake or --webhook")?,
        );
        Ok(body.into())
    }

    fn action(&self) -> anyhow::Result<Option<Value>> {
        let Some(url) = &self.does.webhook else { return Ok(self.addressed()) };
        let body = self.body.as_deref().map(serde_json::from_str::<Map<String, Value>>).transpose();
        let body = body.context("--body is no JSON object")?;
        Ok(Some(json!({"type": "webhook", "url": url, "body": body})))
    }

    /// What goes to a person or an agent.
    fn addressed(&self) -> Option<Value> {
        let place = self.channel.as_ref().zip(self.to.as_ref());
        let message = |(channel, to)| json!({"type": "channel_message", "channel": channel, "recipient": to});
        if let Some(text) = &self.does.message {
            let mut action = place.map(message)?;
            action["message"] = json!(text);
            return Some(action);
        }
        if let Some(text) = &self.does.wake {
            let mode = if self.next_heartbeat { "next_heartbeat" } else { "now" };
            return Some(json!({"type": "hook", "text": text, "mode": mode, "agent_id": self.agent,
                               "channel": self.channel, "recipient": self.to}));
        }
        let context = self.does.task.as_ref()?;
        let (agent, delivery) = (&self.agent, place.map(message));
        Some(json!({"type": "assistant_task", "context": context, "agent_id": agent, "delivery": delivery}))
    }
}

impl Schedule {
    fn json(&self, tz: Option<&str>) -> Option<Value> {
        match (&self.every, &self.cron, &self.at) {
            (Some(seconds), _, _) => Some(json!({"type": "every", "every_secs": seconds})),
            (_, Some(expr), _) => Some(json!({"type": "cron", "expr": expr, "tz": tz})),
            (_, _, Some(at)) => Some(json!({"type": "at", "at": at})),
            _ => None,
        }
    }
}

/// What a file says, JSON.
pub(super) fn read(file: &Path) -> anyhow::Result<Value> {
    let text = if file == Path::new("-") {
        std::io::read_to_string(std::io::stdin()).context("the standard input can't be read")?
    } else {
        std::fs::read_to_string(file).with_context(|| format!("{} can't be read", file.display()))?
    };
    serde_json::from_str(&text).with_context(|| format!("{} is not JSON", file.display()))
}

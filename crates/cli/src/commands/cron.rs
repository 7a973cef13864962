//! `ii-claw cron`: a user's scheduled jobs and their runs.

mod create;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use self::create::Create;
use crate::api::{Api, ApiSettings, cell, table};

/// Scheduled jobs
#[derive(Args)]
pub(crate) struct Cron {
    #[command(flatten)]
    api: ApiSettings,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// List a user's jobs, oldest first
    List {
        /// Whose jobs
        user: String,
        /// Only those with this label
        #[arg(long)]
        label: Option<String>,
        /// Only those with this text in their name or label
        #[arg(long)]
        search: Option<String>,
        /// Only those that are switched on (true), or off (false)
        #[arg(long)]
        enabled: Option<bool>,
        /// Only those that do this: `channel_message`, `assistant_task`, `hook` or `webhook`
        #[arg(long)]
        action_type: Option<String>,
    },
    /// Show all of a job
    Show(Job),
    /// Make a job
    Create(Box<Create>),
    /// Replace all of a job; what the file leaves out is none, but for `enabled`, which then stays as it is
    Replace {
        #[command(flatten)]
        job: Job,
        /// A file with the job as the API takes it, JSON; - for the standard input
        #[arg(long)]
        file: PathBuf,
    },
    /// Switch a job on
    Enable(Job),
    /// Switch a job off
    Disable(Job),
    /// Delete a job; its runs stay known
    Delete(Job),
    /// Run a job now, whether it is switched on or not
    Test(Job),
    /// List the runs of a user's jobs, newest first
    History {
        /// Whose jobs
        user: String,
        /// Only those of the job with this id
        job: Option<String>,
        /// Runs to show: 1 to 200
        #[arg(long)]
        limit: Option<u32>,
        /// Where the list before this one ended
        #[arg(long)]
        cursor: Option<i64>,
    },
    /// Say what became of a run that goes on; without more, that it went well
    Complete {
        /// Whose run
        user: String,
        /// Its id, as the history shows it
        run: String,
        /// It failed; it is tried again if its job says so
        #[arg(long)]
        failed: bool,
        /// What there is to say about it; the history shows it
        #[arg(long)]
        message: Option<String>,
    },
    /// Show what the webhooks of a user's jobs are signed with
    SigningSecret {
        /// Whose jobs
        user: String,
    },
    /// Show when a schedule would run
    Preview {
        /// A user
        user: String,
        /// A file with what the API takes, such as {"schedule": {"type": "cron", "expr": "0 9 * * 1-5"}}; - for the standard
        /// input
        #[arg(long, required_unless_present = "cron")]
        file: Option<PathBuf>,
        /// A schedule by the calendar, like "0 9 * * 1-5"
        #[arg(long, value_name = "EXPR", conflicts_with = "file")]
        cron: Option<String>,
        /// The time zone of --cron, like Europe/Berlin; UTC when absent
        #[arg(long, requires = "cron")]
        tz: Option<String>,
        /// Times to show: 1 to 50
        #[arg(long, requires = "cron")]
        count: Option<u32>,
    },
}

#[derive(Args)]
struct Job {
    /// Whose job
    user: String,
    /// Its id, as the list shows it
    id: String,
}

impl Job {
    fn path<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        let mut path = vec!["users", &self.user, "cron", "jobs", &self.id];
        path.extend(rest);
        path
    }
}

pub(crate) async fn run(command: Cron) -> anyhow::Result<()> {
    let api = Api::new(&command.api)?;
    match command.what {
        What::List { user, label, search, enabled, action_type } => {
            let enabled = enabled.map(|on| on.to_string());
            let given = [("label", label), ("q", search), ("enabled", enabled), ("action_type", action_type)];
            api.show(&api.get(&["users", &user, "cron", "jobs"], &set(given)).await?, listed)
        }
        What::Show(job) => api.show(&api.get(&job.path(&[]), &[]).await?, shown),
        What::Create(create) => {
            let made = api.post(&["users", &create.user, "cron", "jobs"], &create.body()?).await?;
            api.show(&made, |made| format!("made: {}", line(made)))
        }
        What::Replace { job, file } => {
            let changed = api.put(&job.path(&[]), &create::read(&file)?).await?;
            api.show(&changed, |changed| format!("replaced: {}", line(changed)))
        }
        What::Enable(job) => switch(&api, &job, true).await,
        What::Disable(job) => switch(&api, &job, false).await,
        What::Delete(job) => {
            let gone = api.delete(&job.path(&[]), &[]).await?;
            api.show(&gone, |gone| format!("deleted: {}  {}", cell(&gone["id"]), cell(&gone["name"])))
        }
        What::Test(job) => api.show(&api.post(&job.path(&["test"]), &Value::Null).await?, tested),
        What::History { user, job, limit, cursor } => {
            let mut path = vec!["users", user.as_str(), "cron"];
            path.extend(job.as_deref().into_iter().flat_map(|job| ["jobs", job]));
            path.push("history");
            let given = [
                ("limit", limit.map(|limit| limit.to_string())),
                ("cursor", cursor.map(|at| at.to_string())),
            ];
            api.show(&api.get(&path, &set(given)).await?, history)
        }
        What::Complete { user, run, failed, message } => {
            let path = ["users", user.as_str(), "cron", "runs", run.as_str(), "complete"];
            api.show(&api.post(&path, &outcome(failed, message.as_deref())).await?, completed)
        }
        What::SigningSecret { user } => {
            let shown = api.get(&["users", &user, "cron", "signing-secret"], &[]).await?;
            api.show(&shown, |shown| {
                let others = shown["others"].as_array().into_iter().flatten();
                let others =
                    others.map(|other| format!("{}  (signs, too, in webhook-signature)", cell(other)));
                std::iter::once(cell(&shown["secret"])).chain(others).collect::<Vec<_>>().join("\n")
            })
        }
        What::Preview { user, file, cron, tz, count } => {
            let body = match &file {
                Some(file) => create::read(file)?,
                None => json!({"schedule": {"type": "cron", "expr": cron, "tz": tz}, "count": count}),
            };
            api.show(&api.post(&["users", &user, "cron", "preview"], &body).await?, previewed)
        }
    }
}

async fn switch(api: &Api, job: &Job, enabled: bool) -> anyhow::Result<()> {
    let changed = api.put(&job.path(&["enable"]), &json!({"enabled": enabled})).await?;
    api.show(&changed, line)
}

/// What is said of a run.
fn outcome(failed: bool, message: Option<&str>) -> Value {
    json!({"status": if failed { "error" } else { "ok" }, "message": message})
}

/// What of a query is given.
fn set<const N: usize>(given: [(&'static str, Option<String>); N]) -> Vec<(&'static str, String)> {
    given.into_iter().filter_map(|(key, value)| Some((key, value?))).collect()
}

fn line(job: &Value) -> String {
    format!(
        "{}  {}  {}, next {}",
        cell(&job["id"]),
        cell(&job["name"]),
        state(job),
        cell(&job["next_run_at"])
    )
}

fn state(job: &Value) -> &'static str {
    match (job["enabled"].as_bool(), job["paused"].is_string(), job["over"].as_str()) {
        (Some(true), ..) => "on",
        (_, true, _) => "paused",
        (_, _, Some("ran")) => "over",
        // Its last time was passed over.
        (_, _, Some(_)) => "missed",
        _ => "off",
    }
}

/// When it runs, in one cell.
fn when(job: &Value) -> String {
    let schedule = &job["schedule"];
    match job["schedule_type"].as_str() {
        Some("every") => format!("every {} s", cell(&schedule["every_secs"])),
        Some("cron") if schedule["tz"].is_string() => {
            format!("{} ({})", cell(&schedule["expr"]), cell(&schedule["tz"]))
        }
        Some("cron") => cell(&schedule["expr"]),
        _ => cell(&schedule["at"]),
    }
}

fn listed(answer: &Value) -> String {
    let jobs = answer["jobs"].as_array().map(Vec::as_slice).unwrap_or_default();
    if jobs.is_empty() {
        return "no jobs".to_owned();
    }
    let row = |job: &Value| {
        let [id, failures, action, next, name] =
            ["id", "failures", "action_type", "next_run_at", "name"].map(|key| cell(&job[key]));
        [id, state(job).to_owned(), failures, action, when(job), next, name]
    };
    let rows: Vec<[String; 7]> = jobs.iter().map(row).collect();
    table(["id", "state", "failures", "does", "schedule", "next run", "name"], &rows)
}

fn shown(job: &Value) -> String {
    let keys = job.as_object().into_iter().flatten();
    let rows: Vec<[String; 2]> = keys.map(|(key, value)| [key.clone(), cell(value)]).collect();
    table(["key", "value"], &rows)
}

fn tested(tested: &Value) -> String {
    let said = if tested["error"].is_string() { &tested["error"] } else { &tested["message"] };
    format!("{}: {} (run {})", cell(&tested["status"]), cell(said), cell(&tested["run_id"]))
}

fn completed(run: &Value) -> String {
    format!("{}  {}  {}", cell(&run["id"]), cell(&run["job_name"]), cell(&run["status"]))
}

fn history(answer: &Value) -> String {
    let runs = answer["runs"].as_array().map(Vec::as_slice).unwrap_or_default();
    if runs.is_empty() {
        return "no runs".to_owned();
    }
    let keys = ["id", "started_at", "status", "attempt", "duration_ms", "job_name", "error_message"];
    // The attempts before the latest one are below it.
    let rows: Vec<[String; 7]> = runs
        .iter()
        .flat_map(|run| std::iter::once(keys.map(|key| cell(&run[key]))).chain(earlier(run)))
        .collect();
    let mut text = table(["run", "started", "status", "attempt", "ms", "job", "error"], &rows);
    if !answer["next_cursor"].is_null() {
        text.push_str("more: --cursor ");
        text.push_str(&cell(&answer["next_cursor"]));
    }
    text
}

/// The earlier attempts of a run, the latest first, in the columns of its line.
fn earlier(run: &Value) -> impl Iterator<Item = [String; 7]> {
    let attempts = run["attempts"].as_array().into_iter().flatten().rev();
    attempts.map(|attempt| {
        let [status, n, error] = ["status", "n", "error"].map(|key| cell(&attempt[key]));
        [String::new(), String::new(), status, n, String::new(), String::new(), error]
    })
}

fn previewed(answer: &Value) -> String {
    let mut lines: Vec<String> =
        answer["description"].as_str().map(|_| cell(&answer["description"])).into_iter().collect();
    lines.extend(answer["runs"].as_array().into_iter().flatten().map(cell));
    lines.join("\n")
}

#[cfg(test)]
mod tests;

//! A small client of the REST API, for the commands that look at a running cluster and change it.
//!
//! They go through the API rather than to the database: what they do is checked, noted in the audit log, and works from
//! a machine that can only reach a gateway.

use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::Args;
use claw_config::values;
use reqwest::{Client, Method, RequestBuilder, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

/// No call takes longer.
const LIMIT: Duration = Duration::from_secs(60);

/// Which gateway to call, as whom, and how to show its answers.
#[derive(Args)]
pub(crate) struct ApiSettings {
    /// A gateway to call, like the default
    #[arg(long, env = "II_CLAW_URL", default_value = "http://localhost:4200", global = true, value_parser = values::http_url)]
    url: Url,
    /// The key to call it with; default: the one that `ii-claw up` made in this folder
    #[arg(long, env = "II_CLAW_API_KEY", global = true, value_parser = values::secret, hide_env_values = true)]
    api_key: Option<SecretString>,
    /// Where `ii-claw up` keeps its key
    #[arg(long, env = "II_CLAW_DATA", default_value = ".ii-claw", global = true)]
    data: PathBuf,
    /// Print the API's answer as it is
    #[arg(long, global = true)]
    json: bool,
}

/// The API of one gateway.
pub(crate) struct Api {
    client: Client,
    base: Url,
    key: SecretString,
    json: bool,
}

impl ApiSettings {
    /// Whether the answer is wanted as JSON.
    pub(crate) fn json(&self) -> bool {
        self.json
    }
}

impl Api {
    /// Finds the key; calls nothing yet.
    pub(crate) fn new(settings: &ApiSettings) -> anyhow::Result<Self> {
        let key = match &settings.api_key {
            Some(key) => key.clone(),
            None => key_of(&settings.data)?,
        };
        let client = claw_channels::kit::http::operator_client(LIMIT)?;
        Ok(Self { client, base: settings.url.clone(), key, json: settings.json })
    }

    /// `GET /api/...`; the path in its parts, which may hold anything.
    pub(crate) async fn get(&self, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<Value> {
        self.call(self.request(Method::GET, path)?.query(query)).await
    }

    /// `POST /api/...`
    pub(crate) async fn post(&self, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        self.call(self.request(Method::POST, path)?.json(body)).await
    }

    /// `PUT /api/...`
    pub(crate) async fn put(&self, path: &[&str], body: &Value) -> anyhow::Result<Value> {
        self.call(self.request(Method::PUT, path)?.json(body)).await
    }

    /// `DELETE /api/...`
    pub(crate) async fn delete(&self, path: &[&str], query: &[(&str, String)]) -> anyhow::Result<Value> {
        self.call(self.request(Method::DELETE, path)?.query(query)).await
    }

    /// Prints an answer: as it is with `--json`, else as `text` puts it.
    pub(crate) fn show(&self, answer: &Value, text: impl FnOnce(&Value) -> String) -> anyhow::Result<()> {
        let shown = if self.json { serde_json::to_string_pretty(answer)? } else { text(answer) };
        print(shown.trim_end())?;
        Ok(())
    }

    /// Whether answers are to be printed as they are.
    pub(crate) fn is_json(&self) -> bool {
        self.json
    }

    fn request(&self, method: Method, path: &[&str]) -> anyhow::Result<RequestBuilder> {
        Ok(self.client.request(method, address(&self.base, path)?).bearer_auth(self.key.expose_secret()))
    }

    async fn call(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        let sent = request.send().await.map_err(reqwest::Error::without_url);
        let response = sent.with_context(|| {
            format!("no gateway answers at {}: start one, or say where by II_CLAW_URL (or --url)", self.base)
        })?;
        let status = response.status();
        let body = response.bytes().await.map_err(reqwest::Error::without_url)?;
        let Ok(answer) = serde_json::from_slice::<Value>(&body) else {
            bail!("{} answered {status}, and not as a gateway does: check II_CLAW_URL (or --url)", self.base);
        };
        if status.is_success() {
            return Ok(answer);
        }
        match answer["detail"].as_str() {
            Some(detail) => bail!("{} ({})", printable(detail), status.as_u16()),
            None => bail!("the gateway answered {status}"),
        }
    }
}

/// Prints a line or several. `false`: the reader has seen enough and closed the pipe, which is no failure.
pub(crate) fn print(text: &str) -> anyhow::Result<bool> {
    match writeln!(std::io::stdout(), "{text}") {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// The key of an `ii-claw up` that keeps its data here.
fn key_of(data: &std::path::Path) -> anyhow::Result<SecretString> {
    let path = data.join("api-key");
    let text = std::fs::read_to_string(&path).with_context(|| {
        format!("II_CLAW_API_KEY is not set, and there is no key of an `ii-claw up` in {}", path.display())
    })?;
    values::secret(&text).map_err(|why| anyhow::anyhow!("{} {why}", path.display()))
}

/// The address of a path below `/api`.
fn address(base: &Url, path: &[&str]) -> anyhow::Result<Url> {
    let mut url = base.clone();
    // Whoever reads a URL resolves these, however they are written.
    if let Some(part) = path.iter().find(|part| matches!(**part, "." | ".." | "")) {
        bail!("{part:?} can't be part of a path");
    }
    let parts = url.path_segments_mut();
    let mut parts = parts.map_err(|()| anyhow::anyhow!("II_CLAW_URL (or --url) can't have a path"))?;
    parts.pop_if_empty().push("api").extend(path);
    drop(parts);
    Ok(url)
}

/// A text without what would steer a terminal: much of what is shown was written by strangers.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A value in a line of text.
pub(crate) fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    }
}

/// A table with columns as wide as they must be; the last one may be as long as it likes.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let head = head.map(str::to_owned);
    lined_up(&std::iter::once(head.as_slice()).chain(rows.iter().map(<[String; N]>::as_slice)))
}

/// The same of rows, the head among them, of any number of columns.
pub(crate) fn lined_up<'a>(rows: &(impl Iterator<Item = &'a [String]> + Clone)) -> String {
    let width = |column: usize| {
        let cells = rows.clone().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let columns = rows.clone().map(<[String]>::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |cells: &[String]| {
        let padded: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    rows.clone().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whatever_a_user_is_called_stays_one_part_of_the_path() {
        let base: Url = "http://h:1/behind/".parse().unwrap();
        let of = |user: &str| address(&base, &["users", user, "messages"]);
        assert_eq!(of("ada").unwrap().as_str(), "http://h:1/behind/api/users/ada/messages");
        assert_eq!(of("a/b?c#d%é").unwrap().path(), "/behind/api/users/a%2Fb%3Fc%23d%25%C3%A9/messages");
        for wrong in ["", ".", ".."] {
            assert!(of(wrong).unwrap_err().to_string().ends_with("can't be part of a path"), "{wrong}");
        }
    }

    #[test]
    fn what_strangers_wrote_does_not_steer_the_terminal() {
        assert_eq!(cell(&json!("a\u{1b}[2J\u{9b}\nb")), "a\u{fffd}[2J\u{fffd}\u{fffd}b");
        assert_eq!(cell(&Value::Null), "-");
        assert_eq!(cell(&json!(5)), "5");
    }

    #[test]
    fn a_table_lines_up() {
        let rows = [["1".to_owned(), "é".to_owned()], ["22".to_owned(), "long text".to_owned()]];
        assert_eq!(table(["n", "what"], &rows), "n   what\n1   é\n22  long text\n");
    }

    #[test]
    fn the_key_is_the_one_that_up_made() {
        let folder = std::env::temp_dir().join(format!("ii-claw-test-{}", std::process::id()));
        assert!(key_of(&folder).unwrap_err().to_string().starts_with("II_CLAW_API_KEY is not set"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("api-key"), "claw_1\n").unwrap();
        assert_eq!(key_of(&folder).unwrap().expose_secret(), "claw_1");
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

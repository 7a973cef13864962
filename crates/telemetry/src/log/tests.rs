use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use tracing_subscriber::layer::SubscriberExt as _;

use super::line::{Object, Text};
use super::speak_as;
use super::speaker::Speakers;
use crate::metrics::Role;

/// Macros that write a line.
const MACROS: [&str; 5] = ["trace!(", "debug!(", "info!(", "warn!(", "error!("];
/// What is there without any macro that writes it.
const BY_ITSELF: [&str; 4] = ["role", "member", "trace_id", "span_id"];

fn root() -> PathBuf {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize().unwrap()
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Written {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

#[test]
fn every_line_says_who_writes_it() {
    speak_as(Role::Worker, "one");
    let (text, json) = (Written::default(), Written::default());
    let (to_text, to_json) = (text.clone(), json.clone());
    let people = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(move || to_text.clone())
        .event_format(Text::new());
    let machines = tracing_subscriber::fmt::layer()
        .json()
        .with_writer(move || to_json.clone())
        .event_format(Object::new());
    let subscriber = tracing_subscriber::registry().with(people).with(machines);
    tracing::subscriber::with_default(subscriber, || tracing::info!(shard.id = 7, "took it {{over}}"));
    let line = text.text();
    let (time, rest) = line.split_once(' ').unwrap();
    assert!(time.starts_with("20") && time.ends_with('Z'), "{line}");
    assert!(rest.starts_with("role=worker member=one  INFO claw_telemetry::log::tests: "), "{line}");
    assert!(rest.ends_with("took it {over} shard.id=7\n"), "{line}");
    let line = json.text();
    assert!(line.starts_with("{\"timestamp\":\"20") && line.contains("\"shard.id\":7"), "{line}");
    assert!(line.ends_with(",\"role\":\"worker\",\"member\":\"one\"}\n"), "{line}");
}

#[test]
fn of_several_roles_the_crate_tells_which_and_what_they_share_says_all() {
    let mut speakers = Speakers::new();
    assert_eq!(speakers.of("claw_gateway::hub"), None);
    speakers.add(Role::Gateway, "g");
    assert_eq!(speakers.of("claw_store::pool").unwrap().text, "role=gateway member=g");
    speakers.add(Role::Worker, "w");
    assert_eq!(speakers.of("claw_shard_worker").unwrap().text, "role=worker member=w");
    assert_eq!(speakers.of("claw_gateway::hub").unwrap().text, "role=gateway member=g");
    assert_eq!(speakers.of("claw_store::pool").unwrap().text, "role=gateway+worker member=g+w");
    speakers.add(Role::Gateway, "an \"odd\"\n\\name");
    let odd = speakers.of("claw_gateway").unwrap();
    assert_eq!(odd.text, r#"role=gateway member="an \"odd\"\n\\name""#);
    assert_eq!(odd.json, r#""role":"gateway","member":"an \"odd\"\u000a\\name""#);
}

/// The names in the table of `docs/logs.md`.
fn documented() -> BTreeSet<String> {
    let page = fs::read_to_string(root().join("docs/logs.md")).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next().map(str::to_owned));
    let names: Vec<_> = rows.collect();
    let all: BTreeSet<String> = names.iter().cloned().collect();
    assert_eq!(all.len(), names.len(), "a field is listed twice in docs/logs.md");
    all
}

#[test]
fn every_field_has_the_one_spelling_of_the_table() {
    let mut used = BTreeMap::new();
    for folder in ["crates", "gateway", "shard-worker", "scheduler-leader", "tests"] {
        read_all(&root().join(folder), &mut used);
    }
    assert!(used.values().map(Vec::len).sum::<usize>() > 150, "the macros are not found: {used:?}");
    let documented = documented();
    for (name, places) in &used {
        assert!(!BY_ITSELF.contains(&name.as_str()), "every line has {name} anyway: {places:?}");
        assert!(
            documented.contains(name),
            "{name} is no field of docs/logs.md: use the one that is meant, or add it there: {places:?}"
        );
    }
    for name in documented.iter().filter(|name| !BY_ITSELF.contains(&name.as_str())) {
        assert!(used.contains_key(name), "nothing writes {name}: take it out of docs/logs.md");
    }
    for name in BY_ITSELF {
        assert!(documented.contains(name), "{name} is missing in docs/logs.md");
    }
}

#[test]
fn the_fields_of_a_macro_are_read() {
    let code = r#"
        // info!(commented, "not read");
        tracing::warn!(channel.id = %id, ?wait, text = f("a, b", (1, 2)), error = %e, "said: {x}, y = 3");
        info!("alone");
        debug!(pid, "{}", count);
    "#;
    assert_eq!(fields(code), ["pid", "channel.id", "wait", "text", "error"]);
}

/// By name, the files that write it.
fn read_all(path: &Path, used: &mut BTreeMap<String, Vec<String>>) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if path.is_dir() {
        if name.starts_with('.') || ["target", "node_modules"].contains(&&*name) {
            return;
        }
        for entry in fs::read_dir(path).unwrap() {
            read_all(&entry.unwrap().path(), used);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("log/tests.rs") {
        let file = path.strip_prefix(root()).unwrap().display().to_string();
        for field in fields(&fs::read_to_string(path).unwrap()) {
            used.entry(field).or_default().push(file.clone());
        }
    }
}

/// The names of the fields in the macros of this code.
fn fields(code: &str) -> Vec<String> {
    let code: String = code.lines().filter(|line| !line.trim_start().starts_with("//")).fold(
        String::new(),
        |mut all, line| {
            all.push_str(line);
            all.push('\n');
            all
        },
    );
    let mut names = Vec::new();
    for what in MACROS {
        let begins_there = |at: &usize| !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        for at in code.match_indices(what).map(|(at, _)| at).filter(begins_there) {
            let arguments = arguments(&code[at + what.len()..]);
            let before_the_text = arguments.iter().take_while(|argument| !argument.starts_with('"'));
            names.extend(before_the_text.map(|argument| name_of(argument)));
        }
    }
    names
}

/// Of `channel.id = %id`, `%wait` or `pid`.
fn name_of(argument: &str) -> String {
    let name = argument.split('=').next().unwrap_or_default().trim().trim_start_matches(['%', '?']);
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '.';
    assert!(!name.is_empty() && name.chars().all(plain), "{argument:?} is no field of a log line");
    name.to_owned()
}

/// What stands between the commas, up to the bracket that closes.
fn arguments(code: &str) -> Vec<String> {
    let (mut all, mut depth, mut quoted, mut escaped) = (vec![String::new()], 0, false, false);
    for c in code.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '(' | '[' | '{' => depth += 1,
            ')' if depth == 0 => break,
            ')' | ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                all.push(String::new());
                continue;
            }
            _ => {}
        }
        if let Some(last) = all.last_mut() {
            last.push(c);
        }
    }
    all.iter().map(|argument| argument.trim().to_owned()).filter(|argument| !argument.is_empty()).collect()
}

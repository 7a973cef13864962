//! What is sent, and what is shown.

use clap::Parser as _;

use super::*;

#[derive(clap::Parser)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

fn read(args: &str) -> Result<What, String> {
    let args = std::iter::once("ii-claw").chain(args.split('|'));
    Ok(Cli::try_parse_from(args).map_err(|error| error.to_string())?.what)
}

fn body(args: &str) -> Result<Value, String> {
    let What::Create(create) = read(&format!("create|ada|{args}"))? else { panic!("another command") };
    create.body().map_err(|error| error.to_string())
}

#[test]
fn flags_make_a_job() {
    let message =
        body("--name|n|--cron|0 9 * * 1-5|--tz|Europe/Berlin|--message|hi|--channel|chat_1|--to|U1").unwrap();
    assert_eq!(message["schedule"], json!({"type": "cron", "expr": "0 9 * * 1-5", "tz": "Europe/Berlin"}));
    let action = json!({"type": "channel_message", "channel": "chat_1", "recipient": "U1", "message": "hi"});
    assert_eq!((&message["action"], &message["enabled"]), (&action, &json!(true)));
    let task = body("--name|n|--every|300|--task|look|--disabled").unwrap();
    assert_eq!(task["schedule"], json!({"type": "every", "every_secs": 300}));
    let action = json!({"type": "assistant_task", "context": "look", "agent_id": null, "delivery": null});
    assert_eq!((&task["action"], &task["enabled"]), (&action, &json!(false)));
    let wake = body("--name|n|--every|300|--wake|look|--next-heartbeat").unwrap();
    let action = json!({"type": "hook", "text": "look", "mode": "next_heartbeat", "agent_id": null, "channel": null,
                        "recipient": null});
    assert_eq!(wake["action"], action);
    let webhook = body(r#"--name|n|--every|300|--webhook|https://example.org/|--body|{"a": 1}"#).unwrap();
    assert_eq!(
        webhook["action"],
        json!({"type": "webhook", "url": "https://example.org/", "body": {"a": 1}})
    );
}

#[test]
fn what_is_missing_or_too_much_is_told() {
    for (args, said) in [
        ("--every|300|--task|look", "--name"),
        ("--name|n|--task|look", "--every"),
        ("--name|n|--every|300", "--message"),
        ("--name|n|--every|300|--message|hi", "--channel"),
        ("--name|n|--every|300|--message|hi|--channel|a", "--to"),
        ("--name|n|--every|300|--cron|* * * * *|--task|look", "cannot be used with"),
        ("--name|n|--every|300|--tz|UTC|--task|look", "cannot be used with"),
        ("--name|n|--every|300|--message|hi|--channel|a|--to|b|--agent|c", "cannot be used with"),
        ("--name|n|--every|300|--task|look|--next-heartbeat", "cannot be used with"),
        ("--name|n|--every|300|--task|look|--body|{}", "cannot be used with"),
        ("--name|n|--every|300|--webhook|https://a.org/|--body|[1]", "no JSON object"),
        ("--name|n|--every|300|--webhook|https://a.org/|--agent|a", "cannot be used with"),
        ("--file|x|--name|n", "cannot be used with"),
        ("--file|x|--every|300", "cannot be used with"),
        ("--file|x|--tz|UTC", "cannot be used with"),
        ("--file|x|--body|{}", "cannot be used with"),
        ("--file|x|--next-heartbeat", "cannot be used with"),
        ("--file|x|--agent|a", "cannot be used with"),
        ("--file|x|--channel|a|--to|b", "cannot be used with"),
        ("--file|x|--label|a", "cannot be used with"),
        ("--file|x|--disabled", "cannot be used with"),
        ("--file|/no/such/file", "can't be read"),
    ] {
        let refused = body(args).unwrap_err();
        assert!(refused.contains(said), "{args}: {refused}");
    }
}

#[test]
fn a_job_is_replaced_by_a_file_only() {
    let What::Replace { job, file } = read("replace|ada|1|--file|job.json").unwrap() else {
        panic!("another command")
    };
    assert_eq!((job.path(&[]), file), (vec!["users", "ada", "cron", "jobs", "1"], PathBuf::from("job.json")));
    for (args, said) in [("replace|ada|1", "--file"), ("replace|ada|--file|job.json", "<ID>")] {
        let Err(refused) = read(args) else { panic!("{args} was taken") };
        assert!(refused.contains(said), "{args}: {refused}");
    }
}

#[test]
fn a_run_went_well_unless_it_is_said_otherwise() {
    let said = |args: &str| {
        let What::Complete { failed, message, .. } = read(args).unwrap() else { panic!("another command") };
        outcome(failed, message.as_deref())
    };
    assert_eq!(said("complete|ada|1"), json!({"status": "ok", "message": null}));
    let failed = json!({"status": "error", "message": "no way"});
    assert_eq!(said("complete|ada|1|--failed|--message|no way"), failed);
    let run = json!({"id": "1", "job_name": "A\u{1b}[2J", "status": "ok"});
    assert!(completed(&run).ends_with("  ok") && !completed(&run).contains('\u{1b}'));
}

#[test]
fn a_list_says_what_each_job_does_and_when() {
    let job = json!({"id": "1", "name": "A\u{1b}[2J", "enabled": false, "failures": 5, "paused": "it failed 5 times", "action_type": "assistant_task",
        "schedule_type": "cron", "schedule": {"type": "cron", "expr": "0 9 * * *", "tz": "Asia/Tokyo"}, "next_run_at": null});
    let text = listed(&json!({"jobs": [job]}));
    assert!(text.contains("1   paused  5         assistant_task  0 9 * * * (Asia/Tokyo)  -"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    assert_eq!(listed(&json!({"jobs": []})), "no jobs");
}

#[test]
fn a_job_without_a_further_time_is_not_merely_off() {
    let state = |over: Value| state(&json!({"enabled": false, "paused": null, "over": over}));
    assert_eq!(
        [json!("ran"), json!("missed"), json!("overlap"), Value::Null].map(state),
        ["over", "missed", "missed", "off"]
    );
    let shown = shown(&json!({"enabled": false, "over": "missed"}));
    assert!(shown.contains("over     missed"), "{shown}");
}

#[test]
fn a_history_says_where_it_goes_on() {
    let run = json!({"id": "1", "started_at": "2030-01-01T00:00:00Z", "status": "error", "attempt": 2, "duration_ms": 5,
        "job_name": "n", "error_message": "no way"});
    let text = history(&json!({"runs": [run], "next_cursor": 7}));
    assert!(
        text.contains("error   2        5   n    no way") && text.ends_with("more: --cursor 7"),
        "{text}"
    );
    assert_eq!(history(&json!({"runs": []})), "no runs");
}

#[test]
fn a_history_shows_the_earlier_attempts_of_a_run_below_it() {
    let attempts = json!([{"n": 1, "status": "error", "error": "refused"}, {"n": 2, "status": "timeout", "error": "late"}]);
    let run = json!({"id": "1", "started_at": "2030-01-01T00:00:00Z", "status": "ok", "attempt": 3, "duration_ms": 5,
        "job_name": "n", "error_message": null, "attempts": attempts});
    let text = history(&json!({"runs": [run]}));
    let lines: Vec<Vec<&str>> = text.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["1", "2030-01-01T00:00:00Z", "ok", "3", "5", "n", "-"]);
    assert_eq!(lines[1..], [vec!["timeout", "2", "late"], vec!["error", "1", "refused"]]);
}

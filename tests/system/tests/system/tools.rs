//! Commands that need no cluster: the exam of the adapters, manual pages, and completions for shells.

use claw_testkit::Claw;
use serde_json::{Value, json};

/// Runs to its end without lines of the log; answers the exit code and everything it printed.
async fn run(args: &[&str]) -> (Option<i32>, String) {
    let mut claw = Claw::start(args, &[("II_CLAW_LOG", "off")]);
    let code = claw.wait().await;
    (code, claw.all_output().await)
}

#[tokio::test]
async fn an_adapter_sits_the_exam_and_a_table_tells_how_it_went() {
    let (code, output) = run(&["channels", "exam", "--type", "webhook"]).await;
    assert_eq!(code, Some(0), "{output}");
    let mut lines = output.lines();
    let head = lines.next().unwrap_or_default();
    assert_eq!(head.split_whitespace().collect::<Vec<_>>(), ["requirement", "webhook"], "{output}");
    let first = lines.next().unwrap_or_default();
    assert_eq!(first.split_whitespace().collect::<Vec<_>>(), ["configuration", "yes"], "{output}");
    assert!(!output.contains("FAILED"), "{output}");

    let (code, output) = run(&["channels", "exam", "--type", "webhook", "--json"]).await;
    assert_eq!(code, Some(0), "{output}");
    let reports: Value = serde_json::from_str(&output).unwrap();
    assert_eq!((&reports[0]["type"], &reports[0]["passed"]), (&json!("webhook"), &json!(true)));
    assert!(reports[0]["outcomes"].as_array().unwrap().len() > 5, "{output}");

    let (code, output) = run(&["channels", "exam", "--type", "carrier_pigeon"]).await;
    assert_eq!(code, Some(1), "{output}");
    assert!(output.starts_with("ii-claw: there is no type \"carrier_pigeon\"; the types are "), "{output}");
}

#[tokio::test]
async fn every_command_has_a_manual_page() {
    let (code, output) = run(&["man"]).await;
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains(".TH") && output.contains("doctor"), "{output}");

    let folder = tempfile::tempdir().unwrap();
    let (code, output) = run(&["man", "--all", folder.path().to_str().unwrap()]).await;
    assert_eq!((code, output.as_str()), (Some(0), ""));
    for (page, says) in [
        ("ii-claw.1", "doctor"),
        ("ii-claw-doctor.1", "strict"),
        ("ii-claw-channels-exam.1", "adapter"),
        ("ii-claw-worker-drain.1", "drain"),
    ] {
        let text = std::fs::read_to_string(folder.path().join(page)).unwrap_or_default();
        assert!(text.contains(".TH") && text.contains(says), "{page}: {text:?}");
    }
}

#[tokio::test]
async fn the_usual_shells_complete_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, output) = run(&["completions", shell]).await;
        assert_eq!(code, Some(0), "{shell}: {output}");
        for word in ["ii-claw", "doctor", "dead-letters", "exam"] {
            assert!(output.contains(word), "{shell} does not know {word}");
        }
    }
    let (code, output) = run(&["completions", "abacus"]).await;
    assert_eq!(code, Some(2), "{output}");
}

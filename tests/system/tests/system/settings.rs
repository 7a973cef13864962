//! A bad setting stops the start with one line that names it.

use claw_testkit::Claw;

/// Runs to its end; answers the exit code and everything it printed.
async fn start(args: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut claw = Claw::start(args, environment);
    let code = claw.wait().await;
    (code, claw.all_output().await)
}

#[tokio::test]
async fn a_bad_setting_is_named_on_one_line() {
    let good = [
        ("DATABASE_URL", "postgres://me:hidden-password@127.0.0.1:1/none"),
        ("NATS_URL", "nats://127.0.0.1:1"),
        ("II_CLAW_API_KEY", "key"),
        ("AI_WEBHOOK_URL", "http://127.0.0.1:1/"),
        ("AI_WEBHOOK_SECRET", "secret"),
    ];
    let cases = [
        ("gateway", "DATABASE_URL", "mysql://me:hidden-password@x/y"),
        ("gateway", "NATS_URL", "http://x"),
        ("gateway", "II_CLAW_API_KEY", " "),
        ("gateway", "II_CLAW_LISTEN", "everywhere"),
        ("gateway", "II_CLAW_MASTER_KEY", "dG9vIHNob3J0"),
        ("gateway", "II_CLAW_OTHER_MASTER_KEYS", "bm90LWEtcmVhbC1tYXN0ZXIta2V5LTMyLWJ5dGVzISE=,dG9vIHNob3J0"),
        ("gateway", "II_CLAW_ALLOW_PRIVATE_URLS", "perhaps"),
        ("worker", "AI_WEBHOOK_URL", "backend:8000"),
        ("worker", "AI_WEBHOOK_SECRET", ""),
        ("worker", "II_CLAW_RPC_LISTEN", "4201"),
        ("worker", "II_CLAW_SHARDS", "0"),
        ("worker", "II_CLAW_WEIGHT", "-1"),
        ("scheduler", "II_CLAW_LOG_FORMAT", "xml"),
        ("scheduler", "II_CLAW_LOG", "info,=="),
        ("up", "AI_WEBHOOK_URL", "ftp://x"),
    ];
    for (role, name, bad) in cases {
        let environment: Vec<_> =
            good.iter().copied().filter(|(other, _)| *other != name).chain([(name, bad)]).collect();
        let (code, output) = start(&[role], &environment).await;
        let last = output.lines().last().unwrap_or_default();
        assert!(code.is_some_and(|code| code > 0), "{role} {name}: exit {code:?}\n{output}");
        assert!(last.contains(name), "{role} {name} is not named in:\n{output}");
        assert!(!output.contains("hidden-password"), "{role} {name} shows a secret:\n{output}");
        let complaints = output.lines().filter(|line| line.starts_with("ii-claw:")).count();
        assert_eq!(complaints, 1, "{role} {name}: one line, not:\n{output}");
    }
}

#[tokio::test]
async fn a_missing_setting_is_named_on_one_line() {
    for (role, missing) in
        [("gateway", "II_CLAW_API_KEY"), ("worker", "AI_WEBHOOK_URL"), ("migrate", "DATABASE_URL")]
    {
        let (code, output) = start(&[role], &[]).await;
        assert_eq!(code, Some(1), "{output}");
        assert_eq!(output, format!("ii-claw: {missing} is not set"), "{role}");
    }
}

#[tokio::test]
async fn the_doctor_says_what_is_wrong() {
    let (code, output) = start(
        &["doctor"],
        &[
            ("DATABASE_URL", "postgres://me:hidden-password@127.0.0.1:1/none"),
            ("NATS_URL", "nats://127.0.0.1:1"),
            ("II_CLAW_API_KEY", "key"),
        ],
    )
    .await;
    assert_eq!(code, Some(1));
    for line in [
        "ok    keys",
        "FAIL  database: DATABASE_URL",
        "FAIL  leases: II_CLAW_LEASE_DATABASE_URL",
        "FAIL  nats: NATS_URL",
        "FAIL  backend: AI_WEBHOOK_URL is not set",
    ] {
        assert!(output.contains(line), "no {line:?} in:\n{output}");
    }
    assert!(!output.contains("hidden-password"), "{output}");
}

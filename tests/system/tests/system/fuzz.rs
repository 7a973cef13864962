//! A short fuzzing of the API by its own document; `make fuzz-api` is the long one.

use claw_system_tests::python;

/// The same in every run: a test must not fail by chance.
const SEED: &str = "1";

#[tokio::test(flavor = "multi_thread")]
async fn five_hundred_generated_calls_answer_as_the_document_says() {
    let runner = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/run.py");
    let report = python(&[runner, "--requests", "500", "--seed", SEED], &[]).await;
    let outcome = report.lines().last().unwrap_or_default();
    let sent: usize = outcome.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default();
    assert!(sent >= 500 && outcome.ends_with("no finding"), "{report}");
    println!("{report}");
}

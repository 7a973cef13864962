//! The table of faults (docs/faults.md) names tests that exist and are run, and loses none of them unnoticed.
#![allow(clippy::unwrap_used, reason = "a test that can't be set up must fail loudly")]

use std::path::{Path, PathBuf};

/// The rows of the table. Whoever adds one, or takes one away, says so here.
const ROWS: usize = 51;
/// Where the tests are made that each adapter has as `conformance::...`.
const EXAM: &str = "crates/channels/src/exam/tests.rs";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Whether a file has this test, and `cargo test` runs it.
fn runs(source: &str, test: &str) -> bool {
    if let Some(requirement) = test.strip_prefix("conformance::") {
        let exam = std::fs::read_to_string(root().join(EXAM)).unwrap();
        let listed = exam.split("@tests $adapter:\n").nth(1).and_then(|list| list.split('}').next()).unwrap();
        return source.contains("exam::conformance!(")
            && listed.split_whitespace().any(|name| name == requirement);
    }
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let named = format!("fn {test}(");
    let is_it = |line: &&str| line.strip_prefix("async ").unwrap_or(line).starts_with(&named);
    let Some(at) = lines.iter().position(is_it) else { return false };
    let above = lines[..at].iter().rev().take_while(|line| line.starts_with("#[") || line.starts_with("//"));
    let marks: Vec<&str> = above.filter(|line| line.starts_with("#[")).copied().collect();
    let is_test = marks.iter().any(|mark| mark.starts_with("#[test]") || mark.starts_with("#[tokio::test"));
    is_test && !marks.iter().any(|mark| mark.contains("ignore"))
}

#[test]
fn every_fault_has_its_test() {
    let table = std::fs::read_to_string(root().join("docs/faults.md")).unwrap();
    let rows: Vec<&str> =
        table.lines().filter(|line| line.starts_with("| ") && line.contains("::")).collect();
    assert_eq!(rows.len(), ROWS, "the table lost rows, has new ones, or has another form");
    for row in rows {
        let (file, test) = row.rsplit('`').nth(1).and_then(|named| named.split_once("::")).unwrap();
        let source =
            std::fs::read_to_string(root().join(file)).unwrap_or_else(|_| panic!("no {file}: {row}"));
        assert!(runs(&source, test), "no such test, or it is not run: {row}");
    }
}

#[test]
fn what_is_not_run_counts_as_no_test() {
    for (source, run) in [
        ("#[test]\nfn it_holds() {}", true),
        ("    /// Why.\n    #[tokio::test(start_paused = true)]\n    async fn it_holds() {}", true),
        ("#[test]\n#[ignore]\nfn it_holds() {}", false),
        ("#[ignore = \"later\"]\n// Why.\n#[tokio::test]\nasync fn it_holds() {}", false),
        ("#[test]\n#[cfg_attr(not(slow), ignore)]\nfn it_holds() {}", false),
        ("fn it_holds() {}", false),
        ("#[test]\nfn it_holds_not() {}", false),
        ("// fn it_holds()", false),
    ] {
        assert_eq!(runs(source, "it_holds"), run, "{source}");
    }
    assert!(runs("crate::exam::conformance!(Some);", "conformance::forged"));
    assert!(!runs("crate::exam::conformance!(Some);", "conformance::nothing"));
    assert!(!runs("", "conformance::forged"));
}

//! The table of faults (docs/faults.md) names tests that exist.
#![allow(clippy::unwrap_used, reason = "a test that can't be set up must fail loudly")]

use std::path::Path;

#[test]
fn every_fault_has_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let table = std::fs::read_to_string(root.join("docs/faults.md")).unwrap();
    let rows: Vec<&str> =
        table.lines().filter(|line| line.starts_with("| ") && line.contains("::")).collect();
    assert!(rows.len() >= 20, "the table has another form: {} rows", rows.len());
    for row in rows {
        let (file, test) = row.rsplit('`').nth(1).and_then(|named| named.split_once("::")).unwrap();
        let source = std::fs::read_to_string(root.join(file)).unwrap_or_else(|_| panic!("no {file}: {row}"));
        assert!(source.contains(&format!("fn {test}(")), "no such test: {row}");
    }
}

//! Descriptions, word for word. That they are true is the oracle's part: it reads them back.

use crate::{cron, rows};

const TABLE: &str = include_str!("english.tsv");

#[test]
fn descriptions_are_those_that_were_read_back() {
    let rows = rows(TABLE);
    for row in &rows {
        let [expr, zone, description] = row[..] else { panic!("{row:?}") };
        assert_eq!(cron(expr, zone).describe(), description, "{expr}");
    }
    assert!(rows.len() >= 80, "{}", rows.len());
}

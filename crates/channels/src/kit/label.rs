//! What is written on buttons.

use unicode_segmentation::UnicodeSegmentation as _;

/// At most `limit` of what a person sees as characters, the last of them a sign that something is missing.
pub fn shortened(text: &str, limit: usize) -> String {
    if text.graphemes(true).count() <= limit {
        return text.to_owned();
    }
    text.graphemes(true).take(limit.saturating_sub(1)).chain(["…"]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_shows_that_something_is_missing() {
        let family = "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}";
        assert_eq!(shortened(&family.repeat(20), 20), family.repeat(20));
        assert_eq!(shortened(&"a".repeat(21), 20), format!("{}…", "a".repeat(19)));
    }
}

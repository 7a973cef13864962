//! What is written on buttons. A label is cut between what a person sees as characters, but measured as its platform measures it:
//! one too long by that measure would be refused, and the whole message with it.

use unicode_segmentation::UnicodeSegmentation as _;

use crate::TextUnit;

/// Says that something is missing.
const SIGN: &str = "…";

/// At most `limit` units of `text`, the last of them a sign that something is missing.
pub fn shortened(text: &str, limit: usize, unit: TextUnit) -> String {
    if unit.count(text) <= limit {
        return text.to_owned();
    }
    let room = limit.saturating_sub(unit.count(SIGN));
    let mut used = 0;
    let fitting = text.graphemes(true).take_while(|cluster| {
        used += unit.count(cluster);
        used <= room
    });
    fitting.chain([SIGN]).collect()
}

/// The same for labels of one message of which no two may be alike: one that would be like another ends with a number. Capitals make no
/// difference, as they may make none to the platform.
pub fn distinct<'t>(texts: impl Iterator<Item = &'t str>, limit: usize, unit: TextUnit) -> Vec<String> {
    let mut labels: Vec<String> = Vec::new();
    for text in texts {
        let numbered = |number: usize| {
            let number = format!(" {number}");
            shortened(text, limit.saturating_sub(unit.count(&number)), unit) + &number
        };
        let mut all = std::iter::once(shortened(text, limit, unit)).chain((2..).map(numbered));
        let is_new = |label: &String| {
            let small = label.to_lowercase();
            labels.iter().all(|other| other.to_lowercase() != small)
        };
        let label = all.find(is_new);
        labels.extend(label);
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILY: &str = "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}";

    #[test]
    fn what_is_too_long_shows_that_something_is_missing() {
        assert_eq!(shortened(&FAMILY.repeat(20), 20, TextUnit::Graphemes), FAMILY.repeat(20));
        assert_eq!(shortened(&"a".repeat(21), 20, TextUnit::Chars), format!("{}…", "a".repeat(19)));
    }

    #[test]
    fn labels_are_cut_between_characters_and_measured_in_units() {
        // A family has 8 UTF-16 code units, 5 scalar values and 18 bytes.
        for (unit, whole) in
            [(TextUnit::Utf16, 2), (TextUnit::Chars, 3), (TextUnit::Bytes, 0), (TextUnit::Graphemes, 19)]
        {
            let label = shortened(&FAMILY.repeat(30), 20, unit);
            assert_eq!(label, format!("{}…", FAMILY.repeat(whole)), "{unit:?}");
            assert!(unit.count(&label) <= 20, "{unit:?}");
        }
        // What a person sees as one character is two or three scalar values here.
        for text in ["क्या आप सहमत हैं या नहीं बताइए", "ยืนยันการสั่งซื้อสินค้านี้หรือไม่"]
        {
            let label = shortened(text, 20, TextUnit::Utf16);
            assert!(TextUnit::Utf16.count(&label) <= 20, "{label}");
            let kept: Vec<&str> = label.trim_end_matches(SIGN).graphemes(true).collect();
            let all: Vec<&str> = text.graphemes(true).collect();
            assert!(!kept.is_empty() && all.starts_with(&kept), "{label}");
        }
    }

    #[test]
    fn no_two_labels_are_alike() {
        let texts = ["I agree to all of the terms", "I agree to all of them, but", "Yes", "yes", "Yes"];
        let labels = distinct(texts.into_iter(), 20, TextUnit::Utf16);
        assert_eq!(labels, ["I agree to all of t…", "I agree to all of… 2", "Yes", "yes 2", "Yes 3"]);
    }
}

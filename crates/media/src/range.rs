//! The `Range` header (RFC 9110, section 14), against a size that is known.
//!
//! One range of bytes is served. Several of them, other units and what can't be read are ignored, as the RFC allows: the
//! answer is the whole. `If-Range` is the caller's: when it does not name [`crate::Stored::etag`], there is no range.

use std::ops::Range;

use http_range_header::{SyntacticallyCorrectRange as Asked, parse_range_header};

/// What to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// 200, all of it.
    Whole,
    /// 206, these bytes: never empty, never beyond the size.
    Part(Range<u64>),
    /// 416, with `Content-Range: bytes */<size>`.
    Unsatisfiable,
}

impl Answer {
    /// The `Content-Range` of the answer, if it has one.
    pub fn content_range(&self, size: u64) -> Option<String> {
        match self {
            Self::Whole => None,
            Self::Part(range) => {
                Some(format!("bytes {}-{}/{size}", range.start, range.end.saturating_sub(1)))
            }
            Self::Unsatisfiable => Some(format!("bytes */{size}")),
        }
    }
}

/// What a `Range` header asks of something of this size.
pub fn select(header: Option<&str>, size: u64) -> Answer {
    let parsed = header.and_then(|header| parse_range_header(header).ok());
    let Some(asked) = parsed.and_then(|ranges| <[Asked; 1]>::try_from(ranges.into_ranges()).ok()) else {
        return Answer::Whole;
    };
    let [asked] = asked;
    let range = match asked {
        Asked::FromStart(start) => start..size,
        Asked::Indexed(start, last) => start..last.saturating_add(1).min(size),
        // "Nothing, from the end" can't be satisfied; all of nothing can, but has no Content-Range.
        Asked::FromLast(0) => return Answer::Unsatisfiable,
        Asked::FromLast(_) if size == 0 => return Answer::Whole,
        Asked::FromLast(length) => size.saturating_sub(length)..size,
    };
    if range.is_empty() { Answer::Unsatisfiable } else { Answer::Part(range) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table() {
        use Answer::{Part, Unsatisfiable, Whole};

        for (header, size, answer) in [
            ("bytes=0-0", 10, Part(0..1)),
            ("bytes=0-9", 10, Part(0..10)),
            ("bytes=2-5", 10, Part(2..6)),
            ("bytes=5-", 10, Part(5..10)),
            ("bytes=9-", 10, Part(9..10)),
            ("bytes=0-", 10, Part(0..10)),
            ("bytes=-1", 10, Part(9..10)),
            ("bytes=-10", 10, Part(0..10)),
            ("bytes=-99", 10, Part(0..10)),
            ("bytes=5-99", 10, Part(5..10)),
            ("BYTES=1-2", 10, Part(1..3)),
            ("bytes= 1-2", 10, Part(1..3)),
            ("bytes=1-2,", 10, Part(1..3)),
            ("bytes=007-8", 10, Part(7..9)),
            ("bytes=0-18446744073709551615", 10, Part(0..10)),
            ("bytes=0-99999999999999999999", 10, Part(0..10)),
            ("bytes=-99999999999999999999", 10, Part(0..10)),
            ("bytes=10-", 10, Unsatisfiable),
            ("bytes=10-20", 10, Unsatisfiable),
            ("bytes=99999999999999999999-", 10, Unsatisfiable),
            ("bytes=-0", 10, Unsatisfiable),
            ("bytes=0-", 0, Unsatisfiable),
            ("bytes=0-0", 0, Unsatisfiable),
            ("bytes=-5", 0, Whole),
            ("bytes=0-1,4-5", 10, Whole),
            ("bytes=0-1,x", 10, Whole),
            ("bytes=5-2", 10, Whole),
            ("bytes=--5", 10, Whole),
            ("bytes=+1-5", 10, Whole),
            ("bytes=1-5x", 10, Whole),
            ("bytes=1 - 5", 10, Whole),
            ("bytes=a-b", 10, Whole),
            ("bytes=-", 10, Whole),
            ("bytes=", 10, Whole),
            ("bytes", 10, Whole),
            ("bytes 1-5", 10, Whole),
            ("items=0-1", 10, Whole),
            ("\u{1f600}", 10, Whole),
            ("", 10, Whole),
        ] {
            assert_eq!(select(Some(header), size), answer, "{header:?} of {size}");
        }
        assert_eq!(select(None, 10), Whole);
    }

    #[test]
    fn the_header_of_the_answer() {
        assert_eq!(Answer::Whole.content_range(10), None);
        assert_eq!(Answer::Part(2..6).content_range(10).as_deref(), Some("bytes 2-5/10"));
        assert_eq!(Answer::Unsatisfiable.content_range(10).as_deref(), Some("bytes */10"));
    }

    fn within(answer: &Answer, size: u64) -> bool {
        match answer {
            Answer::Part(range) => range.start < range.end && range.end <= size,
            Answer::Whole | Answer::Unsatisfiable => true,
        }
    }

    proptest! {
        #[test]
        fn any_text_is_answered_within_bounds(header in ".*", size: u64) {
            prop_assert!(within(&select(Some(&header), size), size));
        }

        #[test]
        fn any_range_is_answered_within_bounds(header in "bytes=[ 0-9,-]{0,45}", size in prop_oneof![0..50_u64, any::<u64>()]) {
            prop_assert!(within(&select(Some(&header), size), size));
        }

        #[test]
        fn a_range_is_what_it_says(start: u64, length in 1..1_000_000_u64, size: u64) {
            let last = start.saturating_add(length - 1);
            let expected = if start >= size {
                Answer::Unsatisfiable
            } else {
                Answer::Part(start..size.min(last.saturating_add(1)))
            };
            prop_assert_eq!(select(Some(&format!("bytes={start}-{last}")), size), expected);
        }
    }
}

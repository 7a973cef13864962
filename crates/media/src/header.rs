//! What stands before an attachment's bytes: 256 bytes, its media type in JSON, filled up with spaces.
//!
//! A file beside it could be missing, or belong to the version before or after; S3's own attributes have no counterpart in a
//! folder. In the object itself it comes and goes with the bytes, and one request reads it together with the size.

use serde::{Deserialize, Serialize};

/// Bytes before the attachment's own.
pub(crate) const LENGTH: usize = 256;

const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Header<'a> {
    ii_claw_media: u32,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    content_type: Option<std::borrow::Cow<'a, str>>,
}

/// The header of an attachment of this type.
pub(crate) fn encode(content_type: Option<&str>) -> [u8; LENGTH] {
    let text = |content_type: Option<&str>| {
        let header = Header { ii_claw_media: VERSION, content_type: content_type.map(Into::into) };
        // A struct of a number and a text can always be written.
        serde_json::to_vec(&header).unwrap_or_default()
    };
    let mut text_or_shorter = text(content_type.filter(|value| usable(value)));
    if text_or_shorter.len() >= LENGTH {
        text_or_shorter = text(None);
    }
    let mut bytes = [b' '; LENGTH];
    bytes[..text_or_shorter.len()].copy_from_slice(&text_or_shorter);
    bytes[LENGTH - 1] = b'\n';
    bytes
}

/// The media type, or `None` in the outer place when this is not a header.
#[expect(clippy::option_option, reason = "no header and no type are different things")]
pub(crate) fn decode(bytes: &[u8]) -> Option<Option<String>> {
    let header: Header<'_> = serde_json::from_slice(bytes.get(..LENGTH)?).ok()?;
    let content_type = header.content_type.map(std::borrow::Cow::into_owned);
    (header.ii_claw_media == VERSION).then_some(content_type)
}

/// Whether it could be sent as a header of HTTP again; a stranger's text that could not is no type.
fn usable(content_type: &str) -> bool {
    !content_type.is_empty() && content_type.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_type_is_left_out() {
        for odd in ["", "image/png\r\nX: y", "im\u{e4}ge/png", &"x".repeat(300), &"\"".repeat(120)] {
            assert_eq!(decode(&encode(Some(odd))), Some(None), "{odd:?}");
        }
        assert_eq!(decode(&encode(None)), Some(None));
        assert_eq!(decode(b"{}"), None);
        assert_eq!(decode(&[b' '; LENGTH]), None);
    }

    proptest! {
        #[test]
        fn a_type_survives(content_type in "[a-z]{1,20}/[a-z0-9.+-]{1,80}(; [a-z]{1,9}=\"[a-z0-9, ]{1,20}\")?") {
            prop_assert_eq!(decode(&encode(Some(&content_type))), Some(Some(content_type)));
        }

        #[test]
        fn anything_can_be_read(bytes: Vec<u8>) {
            decode(&bytes);
        }
    }
}

//! Messages with several attachments, of which the rest of the system knows one each.

use claw_types::{Inbound, MediaRef};

/// The message with its first attachment, then one more for each of the others, without words. Each has a key of its own, the same
/// whenever the platform sends the message again.
pub fn one_each(first: Inbound, others: impl IntoIterator<Item = MediaRef>) -> Vec<Inbound> {
    let another = |(n, media): (usize, MediaRef)| Inbound {
        dedup_key: first.dedup_key.as_ref().map(|key| format!("{key}#{}", n + 2)),
        content_type: media.kind.as_str().to_owned(),
        media: Some(media),
        text: None,
        answers: None,
        media_duration_seconds: None,
        ..first.clone()
    };
    let mut messages: Vec<_> = others.into_iter().enumerate().map(another).collect();
    messages.insert(0, first);
    messages
}

#[cfg(test)]
mod tests {
    use claw_types::MediaKind;

    use super::*;

    #[test]
    fn every_attachment_is_a_message_of_its_own_and_the_words_are_said_once() {
        let media = |handle: &str| MediaRef {
            kind: MediaKind::File,
            handle: handle.to_owned(),
            filename: None,
            mime: None,
        };
        let first = Inbound {
            dedup_key: Some("k".to_owned()),
            text: Some("look".to_owned()),
            content_type: "file".to_owned(),
            media: Some(media("1")),
            recipient: "r".to_owned(),
            ..Inbound::default()
        };
        let all = one_each(first, [media("2"), media("3")]);
        let told: Vec<_> = all
            .iter()
            .map(|one| {
                let handle = one.media.as_ref().map(|media| media.handle.as_str());
                (one.dedup_key.as_deref(), one.text.as_deref(), handle, one.recipient.as_str())
            })
            .collect();
        let expected = [
            (Some("k"), Some("look"), Some("1"), "r"),
            (Some("k#2"), None, Some("2"), "r"),
            (Some("k#3"), None, Some("3"), "r"),
        ];
        assert_eq!(told, expected);
    }
}

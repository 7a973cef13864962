//! Links to inbound attachments: the gateway's own, short-lived and signed, because a platform's link may carry the
//! bot's token.

use chrono::{DateTime, Utc};
use claw_secrets::signature::{hmac_sha256, same};
use claw_types::{MediaRef, MessageId};

const GOOD_FOR_SECONDS: i64 = 6 * 3600;

/// Path and query of a link to a message's attachment, good for six hours from `now`.
pub fn of(key: &[u8; 32], id: MessageId, media: &MediaRef, now: DateTime<Utc>) -> String {
    path(key, id, &file_name(media), now.timestamp() + GOOD_FOR_SECONDS)
}

/// The platform's name for it or, where there is none, one whose ending tells the type: some readers go by that.
fn file_name(media: &MediaRef) -> String {
    let ending = match media.mime.as_deref() {
        Some("image/jpeg") => ".jpg",
        Some("image/png") => ".png",
        Some("audio/ogg") => ".ogg",
        Some("audio/mpeg") => ".mp3",
        Some("video/mp4") => ".mp4",
        _ => "",
    };
    media.filename.clone().unwrap_or_else(|| format!("{}{ending}", media.kind.as_str()))
}

/// Path and query of a link that is good until `expires` (seconds since 1970).
pub fn path(key: &[u8; 32], id: MessageId, filename: &str, expires: i64) -> String {
    let filename = safe_name(filename);
    let signature = hex::encode(mac(key, id, &filename, expires));
    format!("/media/{id}/{filename}?expires={expires}&signature={signature}")
}

/// Whether `signature` belongs to the rest. Whether the link has expired is the caller's to check.
pub fn verify(key: &[u8; 32], id: MessageId, filename: &str, expires: i64, signature: &str) -> bool {
    hex::decode(signature).is_ok_and(|given| same(&given, &mac(key, id, filename, expires)))
}

fn mac(key: &[u8; 32], id: MessageId, filename: &str, expires: i64) -> [u8; 32] {
    hmac_sha256(key, &[format!("{id}\n{filename}\n{expires}").as_bytes()])
}

/// A name that can stand in a path: the link is for machines, the real name is in the webhook's body.
fn safe_name(filename: &str) -> String {
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let name: String = filename.chars().map(safe).take(100).collect();
    // "." and ".." would be resolved away by the caller.
    if name.trim_matches('.').is_empty() { "file".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_link_verifies_as_it_was_made_only() {
        let (key, id) = ([7; 32], MessageId(Uuid::nil()));
        let link = path(&key, id, "../a b.ogg", 1_700_000_000);
        let (name, query) = link.trim_start_matches("/media/").split_once('?').unwrap();
        assert_eq!(name, format!("{id}/.._a_b.ogg"));
        let signature = query.rsplit('=').next().unwrap();
        assert!(verify(&key, id, ".._a_b.ogg", 1_700_000_000, signature));
        assert!(!verify(&key, id, ".._a_b.ogg", 1_700_000_001, signature));
        assert!(!verify(&key, id, "other", 1_700_000_000, signature));
        assert!(!verify(&[8; 32], id, ".._a_b.ogg", 1_700_000_000, signature));
        assert!(path(&key, id, "..", 0).contains("/file?"));
    }
}

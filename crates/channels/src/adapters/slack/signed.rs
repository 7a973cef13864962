//! How Slack signs what it posts (<https://docs.slack.dev/authentication/verifying-requests-from-slack>): HMAC-SHA256 of `v0`, the time and
//! the exact body, with colons between, in hex behind `v0=`.

use claw_secrets::signature::{hmac_sha256, same};
use http::HeaderMap;

/// The header with the signature.
pub(super) const SIGNATURE: &str = "x-slack-signature";
/// The header with the time, in seconds since 1970.
pub(super) const TIMESTAMP: &str = "x-slack-request-timestamp";
/// How far that time may be from ours, in seconds: five minutes, as the page has it.
const TOLERANCE: u64 = 300;

/// The value of [`SIGNATURE`].
pub(super) fn sign(secret: &str, timestamp: &str, body: &[u8]) -> String {
    let mac = hmac_sha256(secret.as_bytes(), &[b"v0:", timestamp.as_bytes(), b":", body]);
    format!("v0={}", hex::encode(mac))
}

/// Whether a request was signed with `secret`, and not long from `now`.
pub(super) fn verify(secret: &str, headers: &HeaderMap, body: &[u8], now: i64) -> Result<(), String> {
    let header = |name: &str| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.ok_or_else(|| format!("the request has no {name}"))
    };
    let (given, timestamp) = (header(SIGNATURE)?, header(TIMESTAMP)?);
    if !same(given.as_bytes(), sign(secret, timestamp, body).as_bytes()) {
        return Err(format!(
            "{SIGNATURE} is not that of this time and exact body with the channel's signing_secret"
        ));
    }
    // It is signed, so it is a time.
    let time: i64 = timestamp.parse().map_err(|_| format!("{TIMESTAMP} must be whole seconds since 1970"))?;
    if now.abs_diff(time) > TOLERANCE {
        return Err(format!("{TIMESTAMP} is more than 5 minutes away from our time"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Slack's own page.
    #[test]
    fn the_platforms_own_example_is_genuine_for_five_minutes() {
        const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
        const TIME: i64 = 1_531_420_618;
        const BODY: &[u8] = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V\
            &channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=\
            &response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN\
            &trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
        const SIGNED: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
        assert_eq!(sign(SECRET, &TIME.to_string(), BODY), SIGNED);
        let mut headers = HeaderMap::new();
        headers.insert(SIGNATURE, SIGNED.parse().unwrap());
        headers.insert(TIMESTAMP, TIME.to_string().parse().unwrap());
        for late in [-300, 0, 300] {
            assert_eq!(verify(SECRET, &headers, BODY, TIME + late), Ok(()));
        }
        for late in [-301, 301] {
            assert!(verify(SECRET, &headers, BODY, TIME + late).unwrap_err().contains("5 minutes"));
        }
        assert!(verify("another", &headers, BODY, TIME).is_err());
    }
}

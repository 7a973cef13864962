//! What a refused call means: by Meta's own codes, and by the status where it names none
//! (<https://developers.facebook.com/docs/graph-api/guides/error-handling>,
//! <https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes/>,
//! <https://developers.facebook.com/documentation/business-messaging/messenger-platform/error-codes>).

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use super::Platform;
use crate::ChannelError;
use crate::kit::answer::{excerpt, retry_after, waiting};

/// Characters of what the platform says that are quoted.
const MAX_QUOTE: usize = 300;
/// The header that tells for how many minutes calls are refused
/// (<https://developers.facebook.com/docs/graph-api/overview/rate-limiting/#headers-2>).
const USAGE: &str = "x-business-use-case-usage";
/// How long to wait where Meta does not say it. Its hourly limits roll, so a minute frees some calls.
pub const PAUSE: Duration = Duration::from_secs(60);
/// The throughput of a number is counted by the second
/// (<https://developers.facebook.com/documentation/business-messaging/whatsapp/throughput>).
const BREATH: Duration = Duration::from_secs(5);
/// One person may be written to every six seconds in the long run.
const PAIR: Duration = Duration::from_secs(6);

/// The token has expired, was taken back, or never was one.
const CREDENTIALS: [i64; 3] = [0, 102, 190];
/// Limits of calls: of the app (4), the user (17), the Page (32), its own (613), and of Messenger, Instagram and WhatsApp as
/// business use cases.
const LIMITED: [i64; 7] = [4, 17, 32, 613, 80_002, 80_006, 80_007];
/// The throughput of a WhatsApp number.
const THROUGHPUT: i64 = 130_429;
/// Too many messages from one WhatsApp number to one person.
const TOO_MANY_TO_ONE: i64 = 131_056;
/// The person wrote too long ago.
const WINDOW: i64 = 131_047;
/// The same on a Page, as a subcode; and by Instagram Login, whose own is on none of Meta's pages
/// (<https://github.com/ComposioHQ/composio/issues/3604> quotes the answer).
const PAGE_WINDOW: [i64; 2] = [2_018_278, 2_534_022];
/// WhatsApp can't deliver to this number.
const UNDELIVERABLE: i64 = 131_026;
/// Trouble of the platform's own, which passes.
const PASSING: [i64; 4] = [2, 1200, 131_016, 133_004];

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    error: Told,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    message: Option<String>,
    code: Option<i64>,
    error_subcode: Option<i64>,
    error_user_msg: Option<String>,
    is_transient: Option<bool>,
    /// An object, as a rule.
    error_data: Value,
}

/// What became of a call that was answered with something else than success.
pub fn refused(
    platform: Platform,
    status: StatusCode,
    headers: &HeaderMap,
    answer: &[u8],
    now: i64,
) -> ChannelError {
    let told = serde_json::from_slice::<Answer>(answer).unwrap_or_default().error;
    let wait = retry_after(headers, now).or_else(|| regained(headers));
    meaning(platform, status, &told, wait)
}

/// The same for what a webhook tells: a message that was taken and could not be delivered after all.
pub fn failed(platform: Platform, error: &Value) -> String {
    let told = Told {
        message: error["title"].as_str().or(error["message"].as_str()).map(str::to_owned),
        code: error["code"].as_i64(),
        error_data: error["error_data"].clone(),
        ..Told::default()
    };
    advised(platform, &told, format!("{} did not deliver it: {}", platform.name, said(&told)))
}

fn meaning(platform: Platform, status: StatusCode, told: &Told, wait: Option<Duration>) -> ChannelError {
    let text = format!("{} answered {}: {}", platform.name, status.as_u16(), said(told));
    match told.code {
        Some(code) if CREDENTIALS.contains(&code) => ChannelError::BadCredentials(text),
        Some(code) if LIMITED.contains(&code) => ChannelError::RateLimited(wait.unwrap_or(PAUSE)),
        Some(THROUGHPUT) => ChannelError::RateLimited(wait.unwrap_or(BREATH)),
        Some(TOO_MANY_TO_ONE) => ChannelError::ChatLimited { wait: wait.unwrap_or(PAIR), told: true },
        Some(code) if PASSING.contains(&code) => ChannelError::Retryable(text),
        _ if told.is_transient == Some(true) => ChannelError::Retryable(text),
        _ => match status.as_u16() {
            401 => ChannelError::BadCredentials(text),
            429 => ChannelError::RateLimited(wait.unwrap_or(PAUSE)),
            400..=499 => ChannelError::Permanent(advised(platform, told, text)),
            _ => ChannelError::Retryable(text),
        },
    }
}

/// With what can be done about it, where Meta's words leave that open.
fn advised(platform: Platform, told: &Told, text: String) -> String {
    let is_late =
        told.code == Some(WINDOW) || told.error_subcode.is_some_and(|subcode| PAGE_WINDOW.contains(&subcode));
    if is_late {
        return format!(
            "the person wrote last more than 24 hours ago, and {} lets no program answer after that: {} ({text})",
            platform.name, platform.window
        );
    }
    if told.code == Some(UNDELIVERABLE) {
        return format!(
            "{text}. The number may not be on {}, or its owner has to accept new terms or update the app",
            platform.name
        );
    }
    text
}

/// Meta's own words, for people and with the code by which they are looked up.
fn said(told: &Told) -> String {
    let details = told.error_data["details"].as_str().map(str::to_owned);
    let words = [told.message.clone(), details, told.error_user_msg.clone()];
    let mut said: Vec<String> = Vec::new();
    for words in words.into_iter().flatten().filter(|words| !words.is_empty()) {
        if !said.contains(&words) {
            said.push(words);
        }
    }
    let said =
        if said.is_empty() { "no explanation".to_owned() } else { excerpt(&said.join("; "), MAX_QUOTE) };
    match (told.code, told.error_subcode) {
        (Some(code), Some(subcode)) => format!("{said} (code {code}, {subcode})"),
        (Some(code), None) => format!("{said} (code {code})"),
        _ => said,
    }
}

/// For [`crate::Channel::fuzz`].
pub fn fuzz(platform: Platform, data: &[u8]) {
    drop(refused(platform, StatusCode::BAD_REQUEST, &HeaderMap::new(), data, 0));
    drop(serde_json::from_slice::<Value>(data).map(|error| failed(platform, &error)));
}

/// The longest of the times, in minutes, until calls are taken again; one that is over says nothing.
fn regained(headers: &HeaderMap) -> Option<Duration> {
    let usage: Value = serde_json::from_slice(headers.get(USAGE)?.as_bytes()).ok()?;
    let uses = usage.as_object()?.values().filter_map(Value::as_array).flatten();
    let minutes = uses.filter_map(|one| one["estimated_time_to_regain_access"].as_u64()).max()?;
    (minutes > 0).then(|| waiting(minutes.saturating_mul(60)))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;
    use serde_json::json;

    use super::*;

    const PLATFORM: Platform = Platform { name: "Acme", window: "wait until they write again" };

    fn of(status: u16, error: &Value) -> ChannelError {
        with(status, error, &HeaderMap::new())
    }

    fn with(status: u16, error: &Value, headers: &HeaderMap) -> ChannelError {
        let body = json!({ "error": error }).to_string();
        refused(PLATFORM, StatusCode::from_u16(status).unwrap(), headers, body.as_bytes(), 0)
    }

    #[test]
    fn codes_go_before_the_status() {
        for code in CREDENTIALS {
            assert!(matches!(of(400, &json!({ "code": code })), ChannelError::BadCredentials(_)), "{code}");
        }
        for code in LIMITED {
            assert_eq!(of(400, &json!({ "code": code })), ChannelError::RateLimited(PAUSE), "{code}");
        }
        for code in PASSING {
            assert!(matches!(of(400, &json!({ "code": code })), ChannelError::Retryable(_)), "{code}");
        }
        assert_eq!(of(400, &json!({"code": 130_429})), ChannelError::RateLimited(BREATH));
        let pair = ChannelError::ChatLimited { wait: PAIR, told: true };
        assert_eq!(of(400, &json!({"code": 131_056})), pair);
        assert!(matches!(of(400, &json!({"code": 1, "is_transient": true})), ChannelError::Retryable(_)));
        assert!(matches!(of(500, &json!({"code": 1})), ChannelError::Retryable(_)));
        assert!(matches!(of(403, &json!({"code": 200})), ChannelError::Permanent(_)));
    }

    #[test]
    fn without_a_code_the_status_counts() {
        let of = |status: u16| {
            refused(PLATFORM, StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), b"<html>", 0)
        };
        assert!(matches!(of(401), ChannelError::BadCredentials(_)));
        assert_eq!(of(429), ChannelError::RateLimited(PAUSE));
        assert!(matches!(of(404), ChannelError::Permanent(_)));
        assert!(matches!(of(502), ChannelError::Retryable(_)));
        assert!(matches!(of(302), ChannelError::Retryable(_)));
    }

    #[test]
    fn who_answers_too_late_is_told_what_to_do() {
        let late = [
            json!({"code": 131_047, "message": "(#131047) Re-engagement message"}),
            json!({"code": 10, "error_subcode": 2_018_278, "message": "(#10) This message is sent outside of allowed window."}),
            json!({"code": 10, "error_subcode": 2_534_022, "message": "This message is sent outside of allowed window."}),
        ];
        for error in late {
            let ChannelError::Permanent(why) = of(400, &error) else { panic!("{error}") };
            assert!(why.contains("24 hours") && why.contains("wait until they write again"), "{why}");
            assert!(why.contains(error["message"].as_str().unwrap()), "the platform's own words: {why}");
        }
    }

    #[test]
    fn the_wait_is_the_platforms_where_it_tells_one() {
        let header = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(name.parse().unwrap(), HeaderValue::from_static(value))])
        };
        let limited = json!({"code": 80_007});
        assert_eq!(
            with(400, &limited, &header("retry-after", "7")),
            ChannelError::RateLimited(Duration::from_secs(7))
        );
        let usage =
            r#"{"1": [{"type": "whatsapp", "call_count": 100, "estimated_time_to_regain_access": 2}]}"#;
        assert_eq!(
            with(400, &limited, &header(USAGE, usage)),
            ChannelError::RateLimited(Duration::from_secs(120))
        );
        let hours = r#"{"1": [{"type": "whatsapp", "estimated_time_to_regain_access": 600}]}"#;
        assert_eq!(
            with(400, &limited, &header(USAGE, hours)),
            ChannelError::RateLimited(Duration::from_hours(10))
        );
        for nothing in [r#"{"1": [{"estimated_time_to_regain_access": 0}]}"#, "[]", "x"] {
            assert_eq!(
                with(400, &limited, &header(USAGE, nothing)),
                ChannelError::RateLimited(PAUSE),
                "{nothing}"
            );
        }
    }

    #[test]
    fn the_platforms_words_are_told_once_each() {
        let error = json!({"message": "(#100) Invalid parameter", "code": 100, "error_subcode": 33,
            "error_user_msg": "(#100) Invalid parameter", "error_data": {"details": "to must be\na number"}});
        let said = "Acme answered 400: (#100) Invalid parameter; to must be a number (code 100, 33)";
        assert_eq!(of(400, &error), ChannelError::Permanent(said.to_owned()));
        let odd = json!({"message": null, "error_data": "text"});
        assert_eq!(of(400, &odd), ChannelError::Permanent("Acme answered 400: no explanation".to_owned()));
    }

    #[test]
    fn what_could_not_be_delivered_is_told_as_a_refusal_would_be() {
        let error =
            json!({"code": 131_047, "title": "Re-engagement message", "error_data": {"details": "24 hours"}});
        let why = failed(PLATFORM, &error);
        assert!(why.contains("wait until they write again"), "{why}");
        assert!(
            failed(PLATFORM, &json!({"code": 131_026, "title": "Message undeliverable"}))
                .contains("update the app")
        );
    }
}

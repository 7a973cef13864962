//! What the events of services say that most backends pass on as they come.
//!
//! A body that ends may be whole or cut off by whatever stands between, so a service's stream is whole when it says so. Any one
//! of its marks will do, for servers that speak as these services do leave some out: a reason why it ended, or the end itself.

use serde_json::{Map, Value};

use super::{Mark, Said, piece, told};

/// What an event says of the mark.
pub(super) fn mark(object: &Map<String, Value>) -> Mark {
    if concludes(object) {
        Mark::Seen
    } else if is_of_one(object) {
        Mark::Missing
    } else {
        Mark::NotNeeded
    }
}

/// Whether an event is one of a service's whose streams say that they end.
fn is_of_one(object: &Map<String, Value>) -> bool {
    match object.get("type").and_then(Value::as_str) {
        Some(kind) => {
            kind == "message_start" || kind.starts_with("content_block_") || kind.starts_with("response.")
        }
        None => object.get("choices").is_some_and(Value::is_array),
    }
}

/// Whether an event says why the answer ended, behind which others may come: how much was used, or the end itself.
fn concludes(object: &Map<String, Value>) -> bool {
    let kind = object.get("type").and_then(Value::as_str);
    let reason = match (kind, object.get("choices").and_then(Value::as_array)) {
        (Some("message_delta"), _) => object.get("delta").and_then(|delta| delta.get("stop_reason")),
        (None, Some(choices)) => first(choices).and_then(|choice| choice.get("finish_reason")),
        _ => None,
    };
    reason.and_then(Value::as_str).is_some_and(|reason| !reason.is_empty())
}

/// `OpenAI`'s responses and Anthropic's messages.
pub(super) fn said_by_type(kind: &str, object: &Map<String, Value>) -> Said {
    let within = |keys: &[&str]| keys.iter().try_fold(object, |at, key| at.get(*key)?.as_object());
    match kind {
        "response.output_text.delta" | "response.refusal.delta" => piece(object.get("delta")),
        "content_block_delta" => {
            let delta =
                within(&["delta"]).filter(|delta| delta.get("type").is_some_and(|kind| kind == "text_delta"));
            piece(delta.and_then(|delta| delta.get("text")))
        }
        "response.completed" | "message_stop" => Said::End,
        "response.incomplete" => {
            let reason =
                within(&["response", "incomplete_details"]).and_then(|details| details.get("reason"));
            Said::Trouble(format!("it is not complete: {}", told(reason.unwrap_or(&Value::Null))))
        }
        "response.failed" => {
            let error = within(&["response"]).and_then(|response| response.get("error"));
            Said::Failed(told(error.unwrap_or(&Value::Null)))
        }
        "error" => Said::Failed(told(object.get("error").unwrap_or(&Value::Object(object.clone())))),
        _ => Said::Nothing,
    }
}

/// `OpenAI`'s chat completions.
pub(super) fn said_by_choice(choices: &[Value]) -> Said {
    let delta = first(choices).and_then(|choice| choice.get("delta"));
    let text = ["content", "refusal"].iter().find_map(|key| delta?.get(*key).filter(|text| text.is_string()));
    piece(text)
}

/// Of several answers to one question the first counts.
fn first(choices: &[Value]) -> Option<&Value> {
    choices.iter().find(|choice| choice.get("index").is_none_or(|index| *index == 0))
}

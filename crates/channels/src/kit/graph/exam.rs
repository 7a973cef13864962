//! What the adapters of the Graph API bring to their exams alike: how Meta signs, refuses and hands out files.

use claw_secrets::signature::sign as signature;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::SIGNATURE;
use crate::RawRequest;
use crate::exam::{Answer, Asked};

/// The signature has no time in it: what is posted again is known by its ids.
pub(crate) fn sign(secret: &str, body: &str, _: i64) -> RawRequest {
    let mut headers = HeaderMap::new();
    if let Ok(signature) = HeaderValue::try_from(signature(secret.as_bytes(), body.as_bytes())) {
        headers.insert(SIGNATURE, signature);
    }
    RawRequest { headers, query: String::new(), body: body.to_owned().into() }
}

/// A refusal with Meta's own code for it, where it has one.
pub(crate) fn refusal(status: u16) -> Answer {
    let code = match status {
        401 => 190,
        429 => 4,
        500.. => 2,
        _ => 100,
    };
    let error =
        json!({"message": "refused by the exam", "type": "OAuthException", "code": code, "fbtrace_id": "A1"});
    let refusal = Answer::json(status, &json!({ "error": error }));
    if status == 429 { refusal.with("retry-after", "7") } else { refusal }
}

/// What every call must have: the token in its header and nowhere else, and the proof.
pub(crate) fn proven(asked: &Asked) -> Result<(), String> {
    if asked.headers.get("authorization").is_none() {
        return Err(format!("{} lacks the token", asked.path()));
    }
    if !asked.target.contains("appsecret_proof=") {
        return Err(format!("{} lacks the proof", asked.path()));
    }
    Ok(())
}

/// The version in the path of the calls of an exam.
pub(crate) const VERSION: &str = "/v25.0/";

/// A call's path behind the version.
pub(crate) fn path(asked: &Asked) -> &str {
    asked.path().strip_prefix(VERSION).unwrap_or(asked.path())
}

/// The texts of what was sent on a Page.
pub(crate) fn page_texts(body: &[u8]) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    body["message"]["text"].as_str().map(str::to_owned).into_iter().collect()
}

/// What a Page is answered: Meta's pages show it beside each call.
pub(crate) fn page_answer(asked: &Asked, account: &Value) -> Answer {
    let answer = match path(asked) {
        "me" => account.clone(),
        "me/message_attachments" => json!({"attachment_id": "1857777774821032"}),
        _ if asked.json().get("sender_action").is_some() => json!({"recipient_id": "1254459154682919"}),
        _ => json!({"recipient_id": "1254459154682919", "message_id": "m_AG5Hz2Uq7tuwNEhXfYYKj8mJEM"}),
    };
    Answer::json(200, &answer)
}

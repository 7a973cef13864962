//! The calls of the Bot API that channels make.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{ConnectInfo, Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use claw_runtime::{Clock as _, SystemClock};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::SECRET;
use super::record::{Bot, End, Fate, Open, Reacted, Record, Sent, Typing};
use super::socket::Peer;

/// Telegram holds no poll for longer.
const MAX_HOLD: Duration = Duration::from_secs(50);
/// Updates of one answer, unless fewer are asked for.
const MAX_UPDATES: usize = 100;

pub(super) async fn call(
    State(record): State<Arc<Record>>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path((bot, method)): Path<(String, String)>,
    body: Option<Json<Value>>,
) -> Response {
    let Some(n) = number(&bot) else { return refused(StatusCode::UNAUTHORIZED, "Unauthorized") };
    let body = body.map_or(Value::Null, |Json(body)| body);
    match method.as_str() {
        "getMe" => ok(&me(n)),
        "getUpdates" => updates(&record, n, peer, &body).await,
        "editMessageText" => edited(&record, n, &body),
        "deleteMessage" => deleted(&record, n, &body),
        "sendMessage" => {
            let answer = sent(&record, n, &peer, &body);
            let slow = record.faults().slow;
            if !slow.is_zero() {
                tokio::time::sleep(slow).await;
            }
            answer
        }
        "sendChatAction" => {
            let chat = text(&body["chat_id"]);
            record.typing().push(Typing { at: Instant::now(), bot: n, chat });
            ok(&json!(true))
        }
        "setMessageReaction" => reacted(&record, n, &body),
        "answerCallbackQuery" | "deleteWebhook" => ok(&json!(true)),
        _ => refused(StatusCode::NOT_FOUND, "Not Found"),
    }
}

fn number(path: &str) -> Option<u32> {
    let (number, secret) = path.strip_prefix("bot")?.split_once(':')?;
    number.parse().ok().filter(|_| secret == SECRET)
}

fn me(n: u32) -> Value {
    json!({"id": n, "is_bot": true, "first_name": format!("Bot {n}"), "username": format!("bot_{n}_bot")})
}

/// Long poll: <https://core.telegram.org/bots/api#getupdates>.
async fn updates(record: &Record, n: u32, peer: Peer, body: &Value) -> Response {
    let offset = body["offset"].as_i64().unwrap_or(0);
    let limit = body["limit"].as_u64().and_then(|limit| usize::try_from(limit).ok());
    let limit = limit.unwrap_or(MAX_UPDATES).clamp(1, MAX_UPDATES);
    let hold = Duration::from_secs(body["timeout"].as_u64().unwrap_or(0)).min(MAX_HOLD);
    let (open, mut news) = Open::begin(record, n, peer);
    let deadline = Instant::now() + hold;
    loop {
        let found = record.with(n, |bot| {
            if open.is_older(bot) {
                return None;
            }
            // Asking for the next one confirms those before it.
            bot.updates.retain(|(id, _)| *id >= offset);
            let found = bot.updates.iter().map(|(_, update)| update.clone());
            Some(found.take(limit).collect::<Vec<_>>())
        });
        let Some(found) = found else {
            open.close(End::Conflict);
            let why = "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running";
            return refused(StatusCode::CONFLICT, why);
        };
        if !found.is_empty() || timeout_at(deadline, news.changed()).await.is_err() {
            open.close(End::Answered);
            return ok(&json!(found));
        }
    }
}

fn sent(record: &Record, n: u32, peer: &Peer, body: &Value) -> Response {
    let faults = record.faults();
    let fate = record.with(n, |bot| bot.fate(faults));
    match fate {
        Fate::Refused => return too_many(faults.wait.max(1)),
        Fate::Forbidden => {
            return refused(StatusCode::FORBIDDEN, "Forbidden: bot was blocked by the user");
        }
        Fate::Answered | Fate::Dropped => {}
    }
    let (chat, text) = (text(&body["chat_id"]), text(&body["text"]));
    let buttons = body["reply_markup"]["inline_keyboard"].clone();
    let id = record.with(n, Bot::next_id);
    record.sent().push(Sent {
        at: Instant::now(),
        bot: n,
        chat: chat.clone(),
        id,
        text: text.clone(),
        edited: false,
        former: Vec::new(),
        buttons,
    });
    if fate == Fate::Dropped {
        // The answer below then reaches nobody.
        peer.hang_up();
    }
    let chat = json!({"id": chat.parse::<i64>().unwrap_or(0), "type": "private"});
    ok(&json!({"message_id": id, "date": SystemClock.now().timestamp(), "chat": chat, "text": text}))
}

/// <https://core.telegram.org/bots/api#editmessagetext>
fn edited(record: &Record, n: u32, body: &Value) -> Response {
    let id = body["message_id"].as_i64();
    let mut sent = record.sent();
    let Some(message) = sent.iter_mut().find(|sent| sent.bot == n && Some(sent.id) == id) else {
        return refused(StatusCode::BAD_REQUEST, "Bad Request: message to edit not found");
    };
    let new = text(&body["text"]);
    if new == message.text {
        return refused(StatusCode::BAD_REQUEST, "Bad Request: message is not modified");
    }
    message.former.push(std::mem::replace(&mut message.text, new));
    message.edited = true;
    ok(&json!({"message_id": id, "text": message.text}))
}

/// <https://core.telegram.org/bots/api#setmessagereaction>
fn reacted(record: &Record, n: u32, body: &Value) -> Response {
    let emoji = body["reaction"][0]["emoji"].as_str().map(str::to_owned);
    let message = body["message_id"].as_i64().unwrap_or(0);
    record.reacted().push(Reacted { bot: n, chat: text(&body["chat_id"]), message, emoji });
    ok(&json!(true))
}

/// <https://core.telegram.org/bots/api#deletemessage>
fn deleted(record: &Record, n: u32, body: &Value) -> Response {
    let id = body["message_id"].as_i64();
    let mut sent = record.sent();
    let before = sent.len();
    sent.retain(|sent| sent.bot != n || Some(sent.id) != id);
    if sent.len() == before {
        return refused(StatusCode::BAD_REQUEST, "Bad Request: message to delete not found");
    }
    ok(&json!(true))
}

/// Ids may be texts or numbers.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn ok(result: &Value) -> Response {
    Json(json!({"ok": true, "result": result})).into_response()
}

/// <https://core.telegram.org/bots/api#responseparameters>
fn too_many(wait: u32) -> Response {
    let status = StatusCode::TOO_MANY_REQUESTS;
    let why = format!("Too Many Requests: retry after {wait}");
    let body = json!({
        "ok": false, "error_code": status.as_u16(), "description": why, "parameters": {"retry_after": wait},
    });
    (status, Json(body)).into_response()
}

fn refused(status: StatusCode, why: &str) -> Response {
    let body = json!({"ok": false, "error_code": status.as_u16(), "description": why});
    (status, Json(body)).into_response()
}

//! Files: the question, the answer, and what becomes of it.

use std::sync::{Arc, Mutex};

use axum::extract::{Request, State};
use axum::response::IntoResponse as _;
use http::StatusCode;

use super::super::files::LATER;
use super::*;
use crate::kit::plan::Piece;

const PERSON: &str = "a:1nyu3RTK8xH4nQm1jH0cQ9oF6kYx3W";
const FILE: &[u8] = b"%PDF-1.7 the report";

/// A call: what and where, how it says which bytes it has, whether it has a token, and its body.
#[derive(Debug, Clone, PartialEq)]
struct Asked {
    call: String,
    range: Option<String>,
    token: bool,
    body: Bytes,
}

/// Microsoft and everybody else, on one server.
#[derive(Clone, Default)]
struct World {
    asked: Arc<Mutex<Vec<Asked>>>,
    /// What begins so is refused.
    refuses: Arc<Mutex<Option<&'static str>>>,
}

impl World {
    async fn start(&self) -> String {
        serve(axum::Router::new().fallback(answer).with_state(self.clone())).await
    }

    /// The calls since the last time, but for tokens and what was fetched.
    fn asked(&self) -> Vec<Asked> {
        let mut asked = std::mem::take(&mut *self.asked.lock().unwrap());
        asked.retain(|one| !one.call.contains("/token") && !one.call.starts_with("GET"));
        asked
    }
}

async fn answer(State(world): State<World>, request: Request) -> axum::response::Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let call = format!("{} {}", parts.method, parts.uri.path());
    let text = |name| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let (range, token) = (text(http::header::CONTENT_RANGE), text(AUTHORIZATION).is_some());
    world.asked.lock().unwrap().push(Asked { call: call.clone(), range, token, body });
    if world.refuses.lock().unwrap().is_some_and(|refused| call.starts_with(refused)) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match parts.uri.path() {
        "/report.pdf" => FILE.into_response(),
        "/empty.pdf" => ().into_response(),
        path if path.ends_with("/token") => {
            axum::Json(json!({"access_token": "t", "expires_in": 3600})).into_response()
        }
        _ => (StatusCode::CREATED, axum::Json(json!({"id": "1700000020000"}))).into_response(),
    }
}

fn of(url: &str, extra: &Value) -> Teams {
    let mut fields = json!({"app_id": APP, "app_password_env": PASSWORD, "api_url": url});
    fields.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    made(fields).unwrap()
}

/// Sends a file; what the person is shown.
async fn sent(teams: &Teams, world: &World, recipient: &str, media: &Value) -> Result<Value, ChannelError> {
    let pieces: Vec<(Piece, usize)> =
        each_part(recipient, &json!({"media": [media]}), &CAPS, |part| (part.piece.clone(), part.index));
    for (piece, index) in &pieces {
        let part = Part {
            message_id: claw_types::MessageId(crate::kit::testing::MESSAGE),
            seq: 1,
            index: *index,
            recipient,
            thread_id: None,
            piece,
            accepted_at: teams.deps.clock.now(),
            replaces: None,
        };
        teams.send(&part).await?;
    }
    let asked = world.asked();
    Ok(serde_json::from_slice(&asked.last().unwrap().body).unwrap())
}

fn report(url: &str) -> Value {
    json!({"kind": "file", "url": format!("{url}/report.pdf")})
}

/// A person's yes to the question with this context.
fn yes(url: &str, context: &Value, change: impl FnOnce(&mut Value)) -> RawRequest {
    activity("consent", |activity| {
        activity["value"]["context"] = context.clone();
        activity["value"]["uploadInfo"]["uploadUrl"] = json!(format!("{url}/place?permission=1"));
        change(activity);
    })
}

#[tokio::test]
async fn a_file_is_offered_and_uploaded_where_the_person_says() {
    let world = World::default();
    let url = world.start().await;
    let teams = of(&url, &json!({}));
    let question = sent(&teams, &world, PERSON, &report(&url)).await.unwrap();
    let card = &question["attachments"][0];
    assert_eq!(card["contentType"], consent::ASKS);
    assert_eq!((&card["name"], &card["content"]["sizeInBytes"]), (&json!("report.pdf"), &json!(FILE.len())));
    let answer = yes(&url, &card["content"]["acceptContext"], |_| {});
    assert!(teams.is_followed_up(&answer));
    assert_eq!(teams.follow_up(&answer).await, Ok(()));
    let asked = world.asked();
    let [upload, shown] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((upload.call.as_str(), upload.token, &*upload.body), ("PUT /place", false, FILE));
    assert_eq!(upload.range, Some(format!("bytes 0-{}/{}", FILE.len() - 1, FILE.len())));
    let place = format!("PUT /v3/conversations/{PERSON}/activities/1700000020000");
    assert_eq!((shown.call.as_str(), shown.token), (place.as_str(), true));
    let shown: Value = serde_json::from_slice(&shown.body).unwrap();
    let info = json!({"uniqueId": "1150D938-8870-4044-9F2C-5BBDEBA70C8C", "fileType": "pdf"});
    assert_eq!(
        (&shown["attachments"][0]["contentType"], &shown["attachments"][0]["content"]),
        (&json!(consent::SHOWS), &info)
    );
}

#[tokio::test]
async fn nothing_is_uploaded_that_this_bot_did_not_offer_in_this_chat() {
    let world = World::default();
    let url = world.start().await;
    let teams = of(&url, &json!({}));
    let question = sent(&teams, &world, PERSON, &report(&url)).await.unwrap();
    let context = &question["attachments"][0]["content"]["acceptContext"];
    let mut other = context.clone();
    other["file"] = json!(context["file"].as_str().unwrap().replace("report.pdf", "secret.pdf"));
    let another_chat = |activity: &mut Value| activity["conversation"]["id"] = json!("a:another");
    let nowhere = |activity: &mut Value| activity["value"]["uploadInfo"] = Value::Null;
    for answer in [
        yes(&url, &other, |_| {}),
        yes(&url, &json!({}), |_| {}),
        yes(&url, context, another_chat),
        yes(&url, context, nowhere),
    ] {
        assert!(matches!(teams.follow_up(&answer).await, Err(ChannelError::BadRequest(_))));
    }
    let renewed = of(&url, &json!({"app_password_env": "another"}));
    assert!(matches!(renewed.follow_up(&yes(&url, context, |_| {})).await, Err(ChannelError::BadRequest(_))));
    let no = yes(&url, context, |activity| activity["value"]["action"] = json!("decline"));
    assert_eq!(teams.follow_up(&no).await, Ok(()));
    assert!(!teams.is_followed_up(&activity("text", |_| {})));
    assert_eq!(world.asked(), []);
}

/// The question stays, so the person can say yes once more.
#[tokio::test]
async fn who_does_not_get_the_file_is_told() {
    let world = World::default();
    let url = world.start().await;
    let teams = of(&url, &json!({}));
    let question = sent(&teams, &world, PERSON, &report(&url)).await.unwrap();
    let answer = yes(&url, &question["attachments"][0]["content"]["acceptContext"], |_| {});
    *world.refuses.lock().unwrap() = Some("PUT /place");
    assert_eq!(
        teams.follow_up(&answer).await,
        Err(ChannelError::Permanent("OneDrive answered 404 to the file".to_owned()))
    );
    let told: Value = serde_json::from_slice(&world.asked().last().unwrap().body).unwrap();
    assert_eq!(told["text"], LATER);
    *world.refuses.lock().unwrap() = Some("PUT /v3");
    assert_eq!(teams.follow_up(&answer).await, Ok(()), "a question that is gone does not keep the file back");
    let asked = world.asked();
    assert_eq!(asked.last().unwrap().call, format!("POST /v3/conversations/{PERSON}/activities"));
}

#[tokio::test]
async fn where_nobody_can_be_asked_a_file_is_a_link() {
    let world = World::default();
    let url = world.start().await;
    let named = json!({"kind": "file", "url": format!("{url}/report.pdf"), "filename": "report_1.pdf"});
    let is_link = |message: &Value| {
        let text = message["text"].as_str().unwrap();
        message.get("attachments").is_none() && text.contains("/report.pdf") && text.contains("report")
    };
    for (extra, recipient) in [
        (json!({"files": "link"}), PERSON),
        (json!({"cloud": "gcc_high"}), PERSON),
        (json!({"cloud": "dod"}), PERSON),
        (json!({}), "19:8ea0e0ec5b1d4f1c9a2b7d3e6f408192@thread.v2"),
    ] {
        let message = sent(&of(&url, &extra), &world, recipient, &named).await.unwrap();
        assert!(is_link(&message), "{extra} {recipient}: {message}");
    }
    assert_eq!(<Teams as Adapter>::caps_in("19:8ea0@thread.v2").media, [MediaKind::Image]);
    assert_eq!(<Teams as Adapter>::caps_in(PERSON).media.len(), 5);
}

#[tokio::test]
async fn an_empty_file_is_refused_with_a_sentence() {
    let world = World::default();
    let url = world.start().await;
    let empty = json!({"kind": "file", "url": format!("{url}/empty.pdf")});
    let refused = sent(&of(&url, &json!({})), &world, PERSON, &empty).await.unwrap_err();
    assert!(matches!(refused, ChannelError::Permanent(why) if why.contains("empty")));
}

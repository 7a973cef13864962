//! What comes by the topic, and the subscriptions that have it sent.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use tokio::sync::mpsc;

use super::*;
use crate::SinkError;
use crate::adapters::google_chat::exam::{PUSHES, TOPIC, described_call};
use crate::exam::Asked;

/// A channel with a topic.
fn subscribing(url: &str, audience: &str, spaces: &[&str]) -> GoogleChat {
    let fields = json!({
        "service_account_env": account().to_string(), "audience": audience, "events_topic": TOPIC, "events_account": PUSHES,
        "space_ids": spaces, "api_url": url,
    });
    made(fields).unwrap_or_else(|error: ChannelError| panic!("{error}"))
}

fn request(name: &str, claims: &Value, by: Vector) -> RawRequest {
    RawRequest { headers: bearing(by, claims), query: String::new(), body: body(name).into() }
}

/// As Google's sign-in signs for an account.
fn signed_in(account: &str, audience: &str) -> Value {
    json!({
        "iss": "https://accounts.google.com", "aud": audience, "exp": NOW + 60, "email": account, "email_verified": true,
    })
}

#[tokio::test]
async fn what_pub_sub_posts_is_taken_from_its_account_only() {
    let url = keys().await;
    let by_number = (json!({"iss": CHAT, "aud": PROJECT, "exp": NOW + 60}), RFC_7515);
    let by_address = (signed_in(CHAT, ADDRESS), RFC_7520);
    for (audience, (chats, signer)) in [(PROJECT, by_number), (ADDRESS, by_address)] {
        let chat = subscribing(&url, audience, &[]);
        let pushes = signed_in(PUSHES, audience);
        let good = request("event-written", &pushes, RFC_7520);
        assert_eq!(read(&chat, &good).await.unwrap().len(), 1, "{audience}");
        assert_eq!(read(&chat, &request("text", &chats, signer)).await.unwrap().len(), 1, "{audience}");
        let others = [
            ("email", json!("eve@example.iam.gserviceaccount.com")),
            ("email", Value::Null),
            ("email_verified", json!(false)),
            ("aud", json!("https://claw.example/webhooks/google_chat/another")),
            ("iss", json!(CHAT)),
            ("exp", json!(NOW - 301)),
        ];
        for (key, value) in others {
            let mut claims = pushes.clone();
            claims[key] = value;
            assert!(is_forged(&read(&chat, &request("event-written", &claims, RFC_7520)).await), "{claims}");
        }
        assert!(is_forged(&read(&chat, &request("event-written", &pushes, RFC_7515)).await), "another key");
        // Each says only what is its own to say.
        for (name, claims, by) in [("text", &pushes, RFC_7520), ("event-written", &chats, signer)] {
            let read = read(&chat, &request(name, claims, by)).await;
            assert!(matches!(read, Err(ChannelError::BadRequest(_))), "{name}: {read:?}");
        }
        let without = at(Some(&url), audience, &[]).unwrap();
        assert!(is_forged(&read(&without, &good).await), "no topic, no Pub/Sub");
    }
}

#[tokio::test]
async fn pub_sub_has_the_account_of_the_key_where_none_is_given() {
    let fields = json!({
        "service_account_env": account().to_string(), "audience": ADDRESS, "events_topic": TOPIC, "api_url": keys().await,
    });
    let chat: GoogleChat = made(fields).unwrap_or_else(|error| panic!("{error}"));
    let own = signed_in("bot@exam-project.iam.gserviceaccount.com", ADDRESS);
    assert_eq!(read(&chat, &request("event-written", &own, RFC_7520)).await.unwrap().len(), 1);
    assert!(is_forged(&read(&chat, &request("event-written", &signed_in(PUSHES, ADDRESS), RFC_7520)).await));
}

/// What is done with a message finds it by its key, and its conversation by its thread, whoever told of it.
#[tokio::test]
async fn a_message_that_is_told_twice_is_one() {
    let chat = subscribing(&keys().await, PROJECT, &[]);
    let event = read(&chat, &request("event-written", &signed_in(PUSHES, PROJECT), RFC_7520)).await.unwrap();
    let pushed: Value = serde_json::from_str(body("event-written")).unwrap();
    let data = STANDARD.decode(pushed["message"]["data"].as_str().unwrap()).unwrap();
    let message = serde_json::from_slice::<Value>(&data).unwrap()["message"].clone();
    let posted = json!({
        "type": "MESSAGE", "user": message["sender"], "message": message,
        "space": {"name": "spaces/AAAAroom", "spaceType": "SPACE", "spaceThreadingState": "THREADED_MESSAGES"},
    });
    let webhook = read(&chat, &signed(&posted.to_string())).await.unwrap();
    let known = |messages: &[Inbound]| (messages[0].dedup_key.clone(), messages[0].conversation());
    assert_eq!(known(&event), known(&webhook));
    assert!(event[0].dedup_key.is_some());
}

/// Google's servers: these spaces, by twos, and these subscriptions of them.
#[derive(Clone, Default)]
struct Workspace {
    asked: Arc<Mutex<Vec<Asked>>>,
    spaces: Vec<Value>,
    subscriptions: Vec<Value>,
    /// How a change with this in it is answered.
    refuses: Option<(&'static str, StatusCode)>,
    is_away: bool,
}

impl Workspace {
    fn answer(&self, asked: &Asked) -> (StatusCode, Value) {
        let refused = |status: StatusCode| {
            let said = "The app is not approved.";
            (
                status,
                json!({"error": {"code": status.as_u16(), "status": "PERMISSION_DENIED", "message": said}}),
            )
        };
        if self.is_away {
            return refused(StatusCode::FORBIDDEN);
        }
        match (&asked.method, asked.path()) {
            (&Method::GET, "/v1/spaces") => {
                let is_first = !asked.target.contains("pageToken=rest");
                let (first, rest) = self.spaces.split_at(self.spaces.len() / 2);
                let page = if is_first { first } else { rest };
                let next = if is_first { "rest" } else { "" };
                (StatusCode::OK, json!({"spaces": page, "nextPageToken": next}))
            }
            (&Method::GET, "/v1/subscriptions") => {
                (StatusCode::OK, json!({"subscriptions": self.subscriptions}))
            }
            _ => match self.refuses {
                Some((what, status)) if asked.json().to_string().contains(what) => refused(status),
                _ => (StatusCode::OK, json!({"name": "operations/1", "done": true, "response": {}})),
            },
        }
    }

    /// The changes so far: how, what, and of which space where that is said.
    fn changes(&self) -> Vec<(String, String, Value)> {
        let asked = self.asked.lock().unwrap();
        let changes = asked.iter().filter(|asked| asked.method != Method::GET);
        changes
            .map(|asked| {
                (asked.method.to_string(), asked.target.clone(), asked.json()["targetResource"].clone())
            })
            .collect()
    }
}

async fn workspace(State(google): State<Workspace>, request: Request) -> axum::response::Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let target = parts.uri.path_and_query().unwrap().to_string();
    if target == "/token" {
        // A token that says of which scope it is.
        let pairs: std::collections::HashMap<_, _> =
            url::form_urlencoded::parse(&body).into_owned().collect();
        let claims = URL_SAFE_NO_PAD.decode(pairs["assertion"].split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        let scope = claims["scope"].as_str().unwrap().rsplit('/').next().unwrap();
        return axum::Json(json!({"access_token": scope, "expires_in": 3600})).into_response();
    }
    let asked = Asked { method: parts.method, target, headers: parts.headers, body };
    let (status, answer) = google.answer(&asked);
    google.asked.lock().unwrap().push(asked);
    (status, axum::Json(answer)).into_response()
}

async fn serving(google: &Workspace) -> String {
    serve(axum::Router::new().fallback(workspace).with_state(google.clone())).await
}

fn space(name: &str) -> Value {
    json!({"name": format!("spaces/{name}"), "spaceType": "SPACE"})
}

fn subscription(name: &str, topic: &str, state: &str, ends: &str) -> Value {
    json!({
        "name": format!("subscriptions/{name}"), "targetResource": format!("//chat.googleapis.com/spaces/{name}"),
        "notificationEndpoint": {"pubsubTopic": topic}, "state": state, "expireTime": ends,
    })
}

/// Some hours from now, and an hour less some seconds from now.
const LATER: &str = "2023-11-15T02:00:00.5Z";
const SOON: &str = "2023-11-14T23:13:10Z";

fn some() -> Workspace {
    let direct = json!({"name": "spaces/direct", "spaceType": "DIRECT_MESSAGE"});
    let named = ["new", "kept", "ending", "suspended", "elsewhere", "unheard"].map(space);
    Workspace {
        spaces: [direct].into_iter().chain(named).collect(),
        subscriptions: vec![
            subscription("kept", TOPIC, "ACTIVE", LATER),
            subscription("ending", TOPIC, "ACTIVE", SOON),
            subscription("suspended", TOPIC, "SUSPENDED", LATER),
            subscription("elsewhere", "projects/p/topics/another", "ACTIVE", LATER),
            subscription("left", TOPIC, "ACTIVE", SOON),
        ],
        ..Workspace::default()
    }
}

const HEARD: [&str; 6] = ["direct", "new", "kept", "ending", "suspended", "elsewhere"];

#[tokio::test]
async fn each_named_space_has_one_subscription_that_lasts() {
    let google = some();
    let chat = subscribing(&serving(&google).await, PROJECT, &HEARD);
    chat.subscribe(TOPIC).await.unwrap_or_else(|error| panic!("{error}"));
    let made = |space: &str| {
        (
            "POST".to_owned(),
            "/v1/subscriptions".to_owned(),
            json!(format!("//chat.googleapis.com/spaces/{space}")),
        )
    };
    let changed = |method: &str, target: &str| (method.to_owned(), target.to_owned(), Value::Null);
    let expected = [
        made("new"),
        changed("PATCH", "/v1/subscriptions/ending?updateMask=ttl"),
        changed("POST", "/v1/subscriptions/suspended:reactivate"),
        changed("DELETE", "/v1/subscriptions/elsewhere"),
        made("elsewhere"),
    ];
    assert_eq!(google.changes(), expected);
    let asked = std::mem::take(&mut *google.asked.lock().unwrap());
    for asked in &asked {
        described_call(asked).unwrap_or_else(|why| panic!("{asked:?}: {why}"));
        let is_approved = [Method::POST, Method::PATCH].contains(&asked.method);
        let scope = if is_approved { "Bearer chat.app.messages.readonly" } else { "Bearer chat.bot" };
        assert_eq!(asked.headers[AUTHORIZATION], scope, "{} {}", asked.method, asked.target);
    }
    let create = asked.iter().find(|asked| asked.method == Method::POST).unwrap().json();
    assert_eq!(create["payloadOptions"], json!({"includeResource": true}));
    assert_eq!(create["notificationEndpoint"], json!({"pubsubTopic": TOPIC}));
}

#[tokio::test]
async fn a_space_that_refuses_keeps_no_other_without() {
    for (status, is_told) in [(StatusCode::FORBIDDEN, true), (StatusCode::CONFLICT, false)] {
        let google = Workspace { refuses: Some(("spaces/new", status)), ..some() };
        let chat = subscribing(&serving(&google).await, PROJECT, &HEARD);
        let made = chat.subscribe(TOPIC).await;
        assert_eq!(google.changes().len(), 5, "{status}");
        match made {
            Err(ChannelError::Permanent(why)) if is_told => {
                assert!(why.contains("spaces/new") && why.contains("The app is not approved."), "{why}");
            }
            // Somebody else made it meanwhile.
            Ok(()) if !is_told => {}
            other => panic!("{status}: {other:?}"),
        }
    }
}

/// Passes on what the user is told.
struct Told(mpsc::UnboundedSender<Option<String>>);

#[async_trait]
impl Sink for Told {
    async fn accept(&self, _: Vec<Inbound>) -> Result<(), SinkError> {
        Ok(())
    }

    async fn cursor(&self) -> Result<Option<String>, SinkError> {
        Ok(None)
    }

    async fn save_cursor(&self, _: String) -> Result<(), SinkError> {
        Ok(())
    }

    async fn trouble(&self, error: Option<&str>) {
        self.0.send(error.map(str::to_owned)).unwrap();
    }
}

/// The webhook goes on without subscriptions, so receiving does not end for want of them.
#[tokio::test]
async fn the_user_is_told_why_there_are_no_subscriptions() {
    let google = Workspace { is_away: true, ..some() };
    let chat = subscribing(&serving(&google).await, PROJECT, &[]);
    let (told, mut heard) = mpsc::unbounded_channel();
    let (sink, stop) = (Told(told), CancellationToken::new());
    let hearing = async {
        let said = heard.recv().await.unwrap().unwrap();
        stop.cancel();
        said
    };
    let (ended, said) = tokio::join!(chat.listen(&sink, stop.clone()), hearing);
    assert_eq!(ended, Ok(()));
    assert!(said.contains("The app is not approved.") && said.contains("administrator"), "{said}");
}

#[tokio::test]
async fn a_space_to_which_the_app_was_added_does_not_wait_for_the_next_look() {
    let google = some();
    let url = serving(&google).await;
    let chat = subscribing(&url, PROJECT, &HEARD);
    let unsigned = |body: &str| RawRequest {
        headers: HeaderMap::new(),
        query: String::new(),
        body: body.to_owned().into(),
    };
    let said = body("text").replace("Good morning", "ADDED_TO_SPACE");
    chat.follow_up(&unsigned(&said)).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(google.changes().is_empty(), "somebody only said so");
    for name in ["added", "addon-added"] {
        assert!(chat.is_followed_up(&unsigned(body(name))), "{name}");
        chat.follow_up(&unsigned(body(name))).await.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(std::mem::take(&mut *google.asked.lock().unwrap()).len(), 8, "{name}");
    }
    assert!(!chat.is_followed_up(&unsigned(body("text"))));
    assert!(!at(Some(&url), PROJECT, &[]).unwrap().is_followed_up(&unsigned(body("added"))));
}

#[test]
fn a_topic_and_its_account_are_what_they_say() {
    let refused = |fields: Value| {
        let mut all = json!({"service_account_env": account().to_string(), "audience": PROJECT});
        all.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        made::<GoogleChat>(all).err().map(|error| error.to_string()).unwrap_or_default()
    };
    for topic in ["chat-events", "projects/p/subscriptions/s", "projects//topics/t", "projects/p/topics/"] {
        assert!(refused(json!({"events_topic": topic})).contains("events_topic"), "{topic}");
    }
    assert!(refused(json!({"events_account": PUSHES})).contains("events_topic"));
    // These speak for every app and every add-on there is.
    for account in [CHAT, ADDON, "ada@example.com"] {
        let why = refused(json!({"events_topic": TOPIC, "events_account": account}));
        assert!(why.contains("events_account"), "{account}: {why}");
    }
    assert_eq!(refused(json!({"events_topic": TOPIC, "events_account": PUSHES})), "");
}

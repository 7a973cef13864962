//! Users' inbound hooks: made, tested, called by other systems, and closed to everybody else.

use std::time::Duration;

use claw_secrets::signature;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::common::{Answer, KEY, TestGateway, read};

const HOOKS: &str = "/api/users/ada/hooks";
const SECRET_OF_HOOK: &str = "a-good-secret-of-a-hook";

async fn create(gateway: &TestGateway, more: Value) -> Value {
    let mut body = json!({"name": "git-hub", "secret": SECRET_OF_HOOK});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    gateway.call("POST", HOOKS, body).await.expect(201)
}

fn signed(gateway: &TestGateway, name: &str, secret: &str, body: &str) -> RequestBuilder {
    let header = signature::sign(secret.as_bytes(), body.as_bytes());
    let request = gateway.request("POST", &format!("/hooks/{name}"));
    request.header("x-hub-signature-256", header).body(body.to_owned())
}

async fn post(gateway: &TestGateway, body: &str) -> Answer {
    read(signed(gateway, "git-hub", SECRET_OF_HOOK, body)).await
}

async fn deliveries(gateway: &TestGateway, name: &str) -> Vec<Value> {
    let path = format!("{HOOKS}/{name}/deliveries");
    let answer = gateway.call("GET", &path, Value::Null).await.expect(200);
    answer["deliveries"].as_array().unwrap().clone()
}

async fn payloads(gateway: &TestGateway) -> Vec<Value> {
    let pending = gateway.pending().await;
    pending.iter().map(|work| serde_json::from_str(work.payload.get()).unwrap()).collect()
}

#[tokio::test]
async fn what_another_system_posts_becomes_an_event() {
    let gateway = TestGateway::start().await;
    let fields = json!({"repo": "{{ repository.name }}", "event": "{{ headers['x-github-event'] }}", "none": "{{ x }}"});
    let template = "{{ repository.name }}: {{ action }}";
    create(&gateway, json!({"text_template": template, "fields": fields, "agent_id": "coder"})).await;
    let body = r#"{"action": "opened", "repository": {"name": "claw"}}"#;
    let request = signed(&gateway, "git-hub", SECRET_OF_HOOK, body).header("x-github-event", "issues");
    let answer = read(request.header("x-github-delivery", "d-1")).await.expect(202);
    assert_eq!((&answer["status"], answer.get("duplicate")), (&json!("accepted"), None));
    let again = signed(&gateway, "git-hub", SECRET_OF_HOOK, body).header("x-github-delivery", "d-1");
    let again = read(again).await.expect(202);
    assert_eq!((&again["id"], &again["duplicate"]), (&answer["id"], &json!(true)));
    let stored = payloads(&gateway).await;
    assert_eq!(stored.len(), 1);
    assert_eq!((&stored[0]["text"], &stored[0]["agent_id"]), (&json!("claw: opened"), &json!("coder")));
    let metadata = json!({"source": "hook", "hook": "git-hub", "repo": "claw", "event": "issues", "chat_id": "hook:git-hub"});
    assert_eq!(stored[0]["metadata"], metadata);
    assert!(stored[0].get("reply_to").is_none());
    let noted = deliveries(&gateway, "git-hub").await;
    let statuses: Vec<_> = noted.iter().map(|delivery| delivery["status"].clone()).collect();
    assert_eq!(statuses, [json!("duplicate"), json!("accepted")]);
    assert_eq!((&noted[0]["message_id"], &noted[1]["message_id"]), (&answer["id"], &answer["id"]));
    assert_eq!((&noted[0]["body"], &noted[0]["genuine"]), (&json!(body), &json!(true)));
}

#[tokio::test]
async fn a_body_that_is_no_json_is_a_text_and_a_blank_result_is_skipped() {
    let gateway = TestGateway::start().await;
    create(&gateway, json!({})).await;
    post(&gateway, "disk \0 full").await.expect(202);
    post(&gateway, r#"{"message": "from a key"}"#).await.expect(202);
    post(&gateway, "[1, 2]").await.expect(202);
    let texts: Vec<_> = payloads(&gateway).await.iter().map(|payload| payload["text"].clone()).collect();
    assert_eq!(texts, [json!("disk \0 full"), json!("from a key"), json!("[1,2]")]);
    assert_eq!(deliveries(&gateway, "git-hub").await[2]["body"], "disk  full");
    let template = json!({"text_template": "{% if action == 'opened' %}{{ action }}{% endif %}"});
    gateway.call("PUT", &format!("{HOOKS}/git-hub"), template).await.expect(200);
    let skipped = post(&gateway, r#"{"action": "closed"}"#).await.expect(202);
    assert_eq!(skipped, json!({"status": "skipped"}));
    assert_eq!(deliveries(&gateway, "git-hub").await[0]["status"], "skipped");
    assert_eq!(payloads(&gateway).await.len(), 3);
}

#[tokio::test]
async fn its_chat_gets_the_answers() {
    let gateway = TestGateway::start().await;
    let channel = gateway.webhook("ada", "chat_1").await;
    let made = create(&gateway, json!({"channel": "webhook", "recipient": 42, "thread_id": "7"})).await;
    assert_eq!((&made["channel"], &made["recipient"]), (&json!("chat_1"), &json!("42")), "by its slug");
    post(&gateway, "hi").await.expect(202);
    let work = gateway.pending().await.remove(0);
    assert_eq!((json!(work.channel_id), &*work.conversation), (channel["id"].clone(), "42:7"));
    let payload: Value = serde_json::from_str(work.payload.get()).unwrap();
    assert_eq!(payload["reply_to"], json!({"channel": "webhook", "recipient": "42", "thread_id": "7"}));
    assert_eq!(payload["metadata"]["thread_id"], "42:7");

    gateway.call("PUT", "/api/users/ada/channels/chat_1", json!({"enabled": false})).await.expect(200);
    gateway.everywhere(409, async || post(&gateway, "hi").await).await;
    let accepted = gateway.pending().await.len();
    assert!(post(&gateway, "hi").await.problem(409).contains("switched off"));
    gateway.call("DELETE", "/api/users/ada/channels/chat_1", Value::Null).await.expect(200);
    let noted = claw_testkit::eventually("its channel to be gone", Duration::from_secs(10), async || {
        post(&gateway, "hi").await.problem(409);
        let noted = deliveries(&gateway, "git-hub").await.remove(0);
        noted["error"].as_str().unwrap().contains("no channel \"chat_1\"").then_some(noted)
    });
    let noted = noted.await;
    assert_eq!((&noted["status"], &noted["genuine"]), (&json!("refused"), &json!(true)));
    // It can be switched off, or be given no chat, although its chat is gone.
    let path = format!("{HOOKS}/git-hub");
    gateway.call("PUT", &path, json!({"enabled": "false"})).await.expect(200);
    assert!(post(&gateway, "hi").await.problem(409).contains("the hook is switched off"));
    gateway.call("PUT", &path, json!({"recipient": null})).await.problem(400);
    let none = json!({"channel": null, "recipient": null, "thread_id": null, "enabled": true});
    gateway.call("PUT", &path, none).await.expect(200);
    post(&gateway, "hi").await.expect(202);
    assert_eq!(gateway.pending().await.len(), accepted + 1);
}

/// The calls of the hook, once so many are noted: strangers are answered before that.
async fn all_noted(gateway: &TestGateway, count: usize) -> Vec<Value> {
    claw_testkit::eventually("the calls to be noted", Duration::from_secs(10), async || {
        let noted = deliveries(gateway, "git-hub").await;
        (noted.len() == count).then_some(noted)
    })
    .await
}

#[tokio::test]
async fn who_does_not_know_the_secret_learns_nothing() {
    let gateway = TestGateway::start_with(&["--trusted-proxies=127.0.0.0/8"]).await;
    create(&gateway, json!({})).await;
    let stranger =
        |n: u8, request: RequestBuilder| read(request.header("x-forwarded-for", format!("203.0.113.{n}")));
    let wrong = stranger(1, signed(&gateway, "git-hub", "another-secret-of-a-hook", "x")).await.problem(401);
    for (n, name) in [(2, "git-lab"), (3, "no"), (4, "wake%20"), (5, "%00"), (6, "GIT-HUB")] {
        let said = stranger(n, signed(&gateway, name, SECRET_OF_HOOK, "x")).await.problem(401);
        assert_eq!(said, wrong, "{name}: nobody learns which names there are");
    }
    let bare = gateway.request("POST", "/hooks/git-hub").body("x");
    assert_eq!(stranger(7, bare).await.problem(401), wrong);
    // The operator's key opens no hook.
    let keyed = gateway.request("POST", "/hooks/git-hub").bearer_auth(KEY).body("x");
    assert_eq!(stranger(8, keyed).await.problem(401), wrong);
    assert!(gateway.pending().await.is_empty());
    let noted = all_noted(&gateway, 3).await;
    for delivery in &noted {
        assert_eq!((&delivery["genuine"], &delivery["body"]), (&json!(false), &Value::Null));
    }
    let why =
        |delivery: &Value| delivery["error"].as_str().unwrap().starts_with("x-hub-signature-256 is not");
    assert!(noted.iter().any(why), "its owner sees why: {noted:?}");

    let failing = async || {
        let request = gateway.client.post(format!("{}/hooks/git-hub", gateway.url())).body("x");
        stranger(9, request).await.status.as_u16()
    };
    let mut answers = Vec::new();
    for _ in 0..80 {
        answers.push(failing().await);
    }
    assert!(
        answers.contains(&429) && answers.iter().all(|status| [401, 429].contains(status)),
        "{answers:?}"
    );
    stranger(9, signed(&gateway, "git-hub", SECRET_OF_HOOK, "good")).await.expect(202);
    // 20 of strangers are kept, and the one that was good.
    let noted = all_noted(&gateway, 21).await;
    assert_eq!(noted.iter().filter(|delivery| delivery["genuine"] == false).count(), 20);
    let large = "x".repeat(3 * 1024 * 1024);
    stranger(10, signed(&gateway, "git-hub", SECRET_OF_HOOK, &large)).await.problem(413);
}

#[tokio::test]
async fn a_secret_is_shown_once_and_replaced_at_once() {
    let gateway = TestGateway::start().await;
    let made = gateway.call("POST", HOOKS, json!({"name": "mine", "auth": "bearer"})).await.expect(201);
    let first = made["secret"].as_str().unwrap().to_owned();
    assert!(first.starts_with("whsec_") && first.len() > 40, "{first}");
    let path = format!("{HOOKS}/mine");
    for shown in ["", "/deliveries"] {
        let answer = gateway.call("GET", &format!("{path}{shown}"), Value::Null).await;
        answer.expect(200);
        assert!(!answer.text.contains(&first));
    }
    let knock = async |secret: &str| {
        let request = gateway.request("POST", "/hooks/mine").bearer_auth(secret).body("x");
        read(request).await.status.as_u16()
    };
    assert_eq!(knock(&first).await, 202);
    let second = gateway.call("POST", &format!("{path}/secret"), Value::Null).await.expect(200);
    let second = second["secret"].as_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!((knock(&first).await, knock(&second).await), (401, 202));
    let own = "my-own-secret-0123456789";
    let set = gateway.call("PUT", &path, json!({"secret": own})).await;
    assert!(set.expect(200).get("secret").is_none() && !set.text.contains(own));
    assert_eq!((knock(&second).await, knock(own).await), (401, 202));
    // The same secret with the other scheme, that of Standard Webhooks.
    gateway.call("PUT", &path, json!({"auth": "hmac", "secret": second})).await.expect(200);
    assert_eq!(knock(&second).await, 401);
    let now = gateway.store.now().await.unwrap().timestamp();
    let standard = signature::sign_standard(&signature::standard_key(&second), "m-1", now, b"x");
    let request = gateway.request("POST", "/hooks/mine").header("webhook-id", "m-1");
    let request = request.header("webhook-timestamp", now).header("webhook-signature", standard);
    read(request.body("x")).await.expect(202);
    let audit = gateway.call("GET", "/api/audit?user=ada", Value::Null).await.expect(200);
    let actions: Vec<_> = audit["entries"].as_array().unwrap().iter().map(|e| e["action"].clone()).collect();
    assert_eq!(actions, ["hook.changed", "hook.changed", "hook.changed", "hook.created"]);
    assert!(!audit.to_string().contains("whsec_") && !audit.to_string().contains(own));
}

#[tokio::test]
async fn a_test_that_sends_does_so_once_under_its_key() {
    let gateway = TestGateway::start().await;
    create(&gateway, json!({})).await;
    let test = |body: Value| {
        let request = gateway.request("POST", &format!("{HOOKS}/git-hub/test")).bearer_auth(KEY);
        read(request.header("Idempotency-Key", "k-1").json(&body))
    };
    let shown = test(json!({"body": "a"})).await.expect(200);
    assert_eq!((&shown["sent"], shown.get("duplicate")), (&json!(false), None), "a look uses no key up");
    let first = test(json!({"body": "a", "send": true})).await.expect(200);
    assert!(first.get("duplicate").is_none(), "{first}");
    let again = test(json!({"body": "a", "send": true})).await.expect(200);
    assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)));
    let other = test(json!({"body": "b", "send": true})).await;
    assert_eq!(other.json()["type"], "/problems/idempotency-key-reused");
    assert_eq!(gateway.pending().await.len(), 1);
    let noted: Vec<_> = deliveries(&gateway, "git-hub").await.iter().map(|d| d["status"].clone()).collect();
    assert_eq!(noted, ["duplicate", "accepted"]);
}

#[tokio::test]
async fn a_test_shows_what_a_hook_makes_of_a_body() {
    let gateway = TestGateway::start().await;
    let fields = json!({"who": "{{ query.who }}", "what": "{{ headers['x-event'] }}"});
    create(&gateway, json!({"text_template": "{{ body.n }}!", "fields": fields, "enabled": false})).await;
    let path = format!("{HOOKS}/git-hub/test");
    let body = json!({"body": {"n": 5}, "headers": {"X-Event": "push"}, "query": {"who": "me"}});
    let shown = gateway.call("POST", &path, body).await.expect(200);
    let fields = json!({"who": "me", "what": "push"});
    assert_eq!(shown, json!({"text": "5!", "fields": fields, "sent": false, "id": null}));
    assert!(gateway.pending().await.is_empty());
    let sent = gateway.call("POST", &path, json!({"body": {"n": 6}, "send": true})).await.expect(200);
    let pending = gateway.pending().await;
    assert_eq!((json!(pending[0].id), &sent["sent"]), (sent["id"].clone(), &json!(true)));
    assert_eq!(payloads(&gateway).await[0]["text"], "6!");
    assert_eq!(deliveries(&gateway, "git-hub").await[0]["body"], r#"{"n":6}"#);
    gateway
        .call("PUT", &format!("{HOOKS}/git-hub"), json!({"text_template": null, "fields": null}))
        .await
        .expect(200);
    let text = gateway.call("POST", &path, json!({"body": "plain"})).await.expect(200);
    assert_eq!((&text["text"], &text["fields"]), (&json!("plain"), &json!({})));
    let blank = gateway.call("POST", &path, json!({"body": "", "send": true})).await.expect(200);
    assert_eq!((&blank["sent"], &blank["id"]), (&json!(false), &Value::Null), "{blank}");
    let heavy =
        "{% for a in body %}{% for b in body %}{% for c in body %}x{% endfor %}{% endfor %}{% endfor %}";
    gateway
        .call("PUT", &format!("{HOOKS}/git-hub"), json!({"text_template": heavy, "enabled": true}))
        .await
        .expect(200);
    let many = json!(vec![0; 1_000]);
    gateway.call("POST", &path, json!({"body": many})).await.problem(400);
    let refused = post(&gateway, &many.to_string()).await.problem(400);
    assert!(refused.contains("does too much"), "{refused}");
    assert_eq!(deliveries(&gateway, "git-hub").await[0]["error"], json!(refused));
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_sentence() {
    let gateway = TestGateway::start().await;
    let table = [
        (json!({"name": null}), "\"name\" is required"),
        (json!({"name": "ab"}), "\"name\": the hook's name must have 3 to 64"),
        (json!({"name": "wake"}), "\"name\": a hook can't be called"),
        (json!({"name": "Git"}), "\"name\": the hook's name may not contain 'G'"),
        (json!({"name": "x".repeat(65)}), "at most 64"),
        (json!({"auth": "none"}), "\"auth\" must be one of: hmac, bearer"),
        (json!({"secret": "short"}), "\"secret\" must have 16 to 256"),
        (json!({"secret": "with spaces in between"}), "\"secret\" must have 16 to 256"),
        (json!({"agent_id": "a\0"}), "\"agent_id\" may not contain"),
        (json!({"channel": "nope", "recipient": "1"}), "the user has no channel \"nope\""),
        (json!({"recipient": "1"}), "\"channel\" is required"),
        (json!({"text_template": "a\n{{ x"}), "\"text_template\": line 2 of the template: "),
        (json!({"text_template": "{{ x() }}"}), "\"text_template\": line 1 of the template: "),
        (json!({"text_template": "a\0"}), "\"text_template\" may not contain"),
        (json!({"text_template": "x".repeat(10_001)}), "more than 10000 characters"),
        (json!({"fields": {"A": "x"}}), "\"fields\": the field name \"A\""),
        (json!({"fields": {"a": "{{"}}), "\"fields\": the field \"a\": line 1"),
        (json!({"fields": {"a": 5}}), "\"fields.a\" must be text"),
        (json!({"fields": {"source": "x"}}), "\"fields\": \"source\" says where the event came from"),
        (json!({"nope": 1}), "the key \"nope\" is not known here"),
    ];
    let merged = |more: &Value| {
        let mut body = json!({"name": "git-hub"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    for (more, sentence) in &table {
        let said = gateway.call("POST", HOOKS, merged(more)).await.problem(400);
        assert!(said.contains(sentence), "{more} was refused with: {said}");
    }
    assert_eq!(gateway.call("GET", HOOKS, Value::Null).await.expect(200)["hooks"], json!([]));
    let made = create(&gateway, json!({})).await;
    let path = format!("{HOOKS}/git-hub");
    for (more, sentence) in table.iter().skip(5) {
        let said = gateway.call("PUT", &path, more.clone()).await.problem(400);
        assert!(said.contains(sentence), "{more} was refused with: {said}");
    }
    gateway.call("PUT", &path, json!({"name": "other"})).await.problem(400);
    assert_eq!(gateway.call("GET", &path, Value::Null).await.expect(200)["updated_at"], made["updated_at"]);
    assert!(gateway.call("POST", HOOKS, merged(&json!({}))).await.problem(409).contains("taken"));
    let bobs = gateway.call("POST", "/api/users/bob/hooks", merged(&json!({}))).await;
    assert!(bobs.problem(409).contains("taken"));
    for (method, path) in
        [("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/secret"), ("GET", "/deliveries")]
    {
        for (user, name) in [("bob", "git-hub"), ("ada", "git-lab")] {
            gateway
                .call(method, &format!("/api/users/{user}/hooks/{name}{path}"), json!({}))
                .await
                .problem(404);
        }
        gateway.call(method, &format!("{HOOKS}/WAKE{path}"), json!({})).await.problem(400);
    }
    let test = gateway.call("POST", "/api/users/bob/hooks/git-hub/test", json!({"body": 1})).await;
    test.problem(404);
    gateway.call("DELETE", &path, Value::Null).await.expect(200);
    read(signed(&gateway, "git-hub", SECRET_OF_HOOK, "x")).await.problem(401);
    gateway.call("POST", "/api/users/bob/hooks", merged(&json!({}))).await.expect(201);
}

#[tokio::test]
async fn a_repeated_call_makes_one_hook_and_pages_have_no_gap() {
    let gateway = TestGateway::start().await;
    let call = async |name: &str| {
        let request = gateway.request("POST", HOOKS).bearer_auth(KEY).header("idempotency-key", "k-1");
        read(request.json(&json!({"name": name}))).await
    };
    let first = call("aaa").await.expect(201);
    let again = call("aaa").await.expect(200);
    assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)));
    assert!(again.get("secret").is_none(), "shown once");
    call("bbb").await.problem(422);
    for name in ["ccc", "bbb", "eee", "ddd"] {
        create(&gateway, json!({"name": name})).await;
    }
    let (mut names, mut path) = (Vec::new(), format!("{HOOKS}?limit=2"));
    loop {
        let page = gateway.call("GET", &path, Value::Null).await.expect(200);
        names.extend(page["hooks"].as_array().unwrap().iter().map(|hook| hook["name"].clone()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{HOOKS}?limit=2&cursor={cursor}");
    }
    assert_eq!(names, ["aaa", "bbb", "ccc", "ddd", "eee"]);
    for query in ["limit=0", "cursor=%00", "nope=1"] {
        gateway.call("GET", &format!("{HOOKS}?{query}"), Value::Null).await.problem(400);
    }
}

#[tokio::test]
async fn a_hook_that_was_made_is_answered_whatever_became_of_its_chat() {
    let gateway = TestGateway::start().await;
    gateway.webhook("ada", "chat_1").await;
    let make = async || {
        let request = gateway.request("POST", HOOKS).bearer_auth(KEY).header("idempotency-key", "h-1");
        read(request.json(&json!({"name": "mine", "channel": "chat_1", "recipient": "42"}))).await
    };
    let first = make().await.expect(201);
    gateway.call("DELETE", "/api/users/ada/channels/chat_1", Value::Null).await.expect(200);
    let again = make().await.expect(200);
    assert_eq!((&again["id"], &again["duplicate"], again.get("secret")), (&first["id"], &json!(true), None));
}

#[tokio::test]
async fn nobody_takes_all_the_names() {
    let gateway = TestGateway::start().await;
    create(&gateway, json!({})).await;
    let mut conn = gateway.database.connect().await;
    sqlx::query(
        "insert into hooks (id, user_id, name, auth, secret, secret_key)
         select gen_random_uuid(), user_id, 'taken-' || n, auth, secret, secret_key
         from hooks, generate_series(1, $1) as n",
    )
    .bind(claw_store::HOOKS - 1)
    .execute(&mut conn)
    .await
    .unwrap();
    let said = gateway.call("POST", HOOKS, json!({"name": "one-more"})).await.problem(409);
    assert_eq!(said, "there are 200 hooks already, the most that a user may have: delete some first");
    gateway.call("POST", "/api/users/bob/hooks", json!({"name": "one-more"})).await.expect(201);
}

#[tokio::test]
async fn the_audit_log_tells_what_was_changed() {
    let gateway = TestGateway::start().await;
    gateway.webhook("ada", "chat_1").await;
    create(&gateway, json!({})).await;
    let aimed = json!({"channel": "chat_1", "recipient": "42", "agent_id": "coder"});
    gateway.call("PUT", &format!("{HOOKS}/git-hub"), aimed).await.expect(200);
    let audit = gateway.call("GET", "/api/audit?action=hook.changed", Value::Null).await.expect(200);
    let detail = &audit["entries"][0]["detail"];
    assert_eq!(detail["changed"], json!(["agent_id", "channel", "recipient"]));
    assert_eq!((&detail["channel"], &detail["recipient"]), (&json!("chat_1"), &json!("42")));
}

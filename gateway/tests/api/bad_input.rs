//! What must be refused: a 4xx with a sentence that says what to change, and nothing stored.

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::common::{KEY, TestGateway, read, webhook_body};

fn with(key: &str, value: Value) -> Value {
    let mut body = webhook_body();
    body[key] = value;
    body
}

fn without(key: &str) -> Value {
    let mut body = webhook_body();
    body.as_object_mut().unwrap().remove(key);
    body
}

fn field(key: &str, value: Value) -> Value {
    let mut body = webhook_body();
    body["fields"][key] = value;
    body
}

#[tokio::test]
async fn configure_refuses_with_a_sentence() {
    let gateway = TestGateway::start().await;
    let table = [
        (with("channel_type", json!("pigeon")), "unknown channel type \"pigeon\"; known types: telegram, "),
        (with("channel_type", json!("")), "unknown channel type \"\""),
        (with("channel_type", json!(5)), "\"channel_type\" must be text, not a number"),
        (with("channel_type", json!("a\0b")), "unknown channel type"),
        (with("channel_type", json!("x".repeat(9_999))), "unknown channel type"),
        (without("channel_type"), "\"channel_type\" is required"),
        (with("channel_type", json!(null)), "\"channel_type\" is required"),
        (without("fields"), "\"fields\" is required"),
        (with("fields", json!(["a"])), "\"fields\" must be an object, not an array"),
        (with("fields", json!("a")), "\"fields\" must be an object, not this text"),
        (with("enabled", json!(true)), "the key \"enabled\" is not known here; the keys are: channel_type, "),
        (with("instance_name", json!(["a"])), "\"instance_name\" must be text, not an array"),
        (
            with("instance_name", json!("a\0b")),
            "\"instance_name\" may not contain the control character '\\0'",
        ),
        (with("instance_name", json!("x".repeat(201))), "\"instance_name\" has 201 characters; at most 200"),
        (with("agent_id", json!({"a": 1})), "\"agent_id\" must be text, not an object"),
        (with("agent_id", json!("x".repeat(201))), "\"agent_id\" has 201 characters"),
        (field("nope", json!("x")), "the field \"nope\" does not exist for \"webhook\"; its fields are: "),
        (field(&"x".repeat(9_999), json!("x")), "does not exist"),
        (field("a\0b", json!("x")), "does not exist"),
        (field("secret_env", json!("")), "the field \"secret_env\" is required for \"webhook\""),
        (field("secret_env", json!(["a"])), "the field \"secret_env\" must be text"),
        (
            field("secret_env", json!("a\0b")),
            "the field \"secret_env\" must be text without control characters",
        ),
        (field("callback_url", json!({"a": 1})), "the field \"callback_url\" must be an http or https URL"),
        (field("callback_url", json!("not a url")), "the field \"callback_url\" is not a URL like"),
        (field("callback_url", json!("ftp://x")), "the field \"callback_url\" must start with https://"),
    ];
    for (body, sentence) in table {
        let answer = gateway.call("POST", "/api/users/u/channels/slug/configure", body.clone()).await;
        let said = answer.problem(400);
        assert!(said.contains(sentence), "{body} was refused with: {said}");
        assert!(said.len() < 600, "an answer does not repeat what it was sent: {said}");
    }
    assert!(gateway.channels("u").await.is_empty(), "nothing was stored");
}

#[tokio::test]
async fn a_private_address_is_refused_unless_the_operator_allows_it() {
    let gateway = TestGateway::start_with(&["--send-wait-ms=0"]).await;
    for url in [
        "http://127.0.0.1:1",
        "http://169.254.169.254",
        "http://[::1]:80",
        "http://localhost",
        "http://0x7f.1",
    ] {
        let body = field("callback_url", json!(url));
        let said = gateway.call("POST", "/api/users/u/channels/slug/configure", body).await.problem(400);
        assert!(said.starts_with("the field \"callback_url\" "), "{url}: {said}");
    }
    assert!(gateway.channels("u").await.is_empty());
}

#[tokio::test]
async fn odd_names_in_a_path_are_refused() {
    let gateway = TestGateway::start().await;
    for path in ["/webchat/%FF", "/problems/%FF"] {
        gateway.call("GET", path, Value::Null).await.problem(400);
    }
    let long = "s".repeat(3_000);
    for slug in ["a%2Fb", "a%20b", "JUNK", "%C3%84", ".hidden", "a%3Fb", "%0A", "%00", "%FF", "reload", &long]
    {
        let path = format!("/api/users/u/channels/{slug}/configure");
        gateway.call("POST", &path, webhook_body()).await.problem(400);
    }
    for user in ["%00", "a%00b", "%FF", "a%20b", &"u".repeat(3_000)] {
        gateway.call("GET", &format!("/api/users/{user}/channels"), Value::Null).await.problem(400);
        gateway.call("DELETE", &format!("/api/users/{user}/channels/s"), Value::Null).await.problem(400);
    }
    gateway.call("POST", "/api/users/u/channels//configure", webhook_body()).await.problem(400);
    assert!(gateway.channels("u").await.is_empty());
}

#[tokio::test]
async fn an_update_that_is_half_good_changes_nothing() {
    let gateway = TestGateway::start().await;
    gateway.webhook("u", "hook").await;
    let before = gateway.channels("u").await;
    let table = [
        (
            json!({"nope": 1}),
            "the key \"nope\" is not known here; the keys are: instance_name, enabled, agent_id, fields",
        ),
        (json!({"instance_name_id": "other"}), "\"instance_name_id\" is not known"),
        (json!({"enabled": "maybe"}), "\"enabled\" must be true or false, not this text"),
        (json!({"enabled": {"a": 1}}), "\"enabled\" must be true or false, not an object"),
        (json!({"enabled": 1}), "\"enabled\" must be true or false, not a number"),
        (json!({"instance_name": ["a"]}), "\"instance_name\" must be text"),
        (json!({"instance_name": "  "}), "\"instance_name\" is empty"),
        (json!({"agent_id": {"a": 1}}), "\"agent_id\" must be text"),
        (json!({"fields": ["a"]}), "\"fields\" must be an object"),
        (json!({"instance_name": "New", "fields": {"nope": "x"}}), "the field \"nope\" does not exist"),
    ];
    for (body, sentence) in table {
        let said = gateway.call("PUT", "/api/users/u/channels/hook", body.clone()).await.problem(400);
        assert!(said.contains(sentence), "{body} was refused with: {said}");
    }
    assert_eq!(gateway.channels("u").await, before);
}

#[tokio::test]
async fn a_send_that_makes_no_sense_stores_nothing() {
    let gateway = TestGateway::start().await;
    gateway.webhook("u", "hook").await;
    let table = [
        (json!({}), "\"recipient\" is required"),
        (json!({"message": "hi"}), "\"recipient\" is required"),
        (json!({"recipient": "", "message": "hi"}), "\"recipient\" is required"),
        (
            json!({"recipient": {"id": 1}, "message": "hi"}),
            "\"recipient\" must be text or a whole number, not an object",
        ),
        (
            json!({"recipient": 1.5, "message": "hi"}),
            "\"recipient\" must be text or a whole number, not a number",
        ),
        (
            json!({"recipient": "a\0b", "message": "hi"}),
            "\"recipient\" may not contain the control character",
        ),
        (json!({"recipient": "x".repeat(513), "message": "hi"}), "\"recipient\" has 513 characters"),
        (json!({"recipient": "a"}), "there is nothing to send"),
        (json!({"recipient": "a", "message": ""}), "there is nothing to send"),
        (json!({"recipient": "a", "message": null}), "there is nothing to send"),
        (json!({"recipient": "a", "caption": "c"}), "there is nothing to send"),
        (json!({"recipient": "a", "filename": "a.txt"}), "there is nothing to send"),
        (json!({"recipient": "a", "message": ["hi"]}), "\"message\" must be text, not an array"),
        (json!({"recipient": "a", "message": "x".repeat(100_001)}), "\"message\" has 100001 characters"),
        (json!({"recipient": "a", "image_url": {"a": 1}}), "\"image_url\" must be text"),
        (json!({"recipient": "a", "image_url": "not a url"}), "the field \"image_url\" is not a URL"),
        (
            json!({"recipient": "a", "file_url": "file:///etc/passwd"}),
            "the field \"file_url\" must start with",
        ),
        (json!({"recipient": "a", "message": "hi", "thread_id": ["t"]}), "\"thread_id\" must be text"),
        (json!({"recipient": "a", "message": "hi", "nope": 1}), "the key \"nope\" is not known here"),
    ];
    for (body, sentence) in table {
        let said = gateway.call("POST", "/api/users/u/channels/hook/send", body).await.problem(400);
        assert!(said.contains(sentence), "{said} instead of {sentence}");
    }
    assert!(gateway.pending().await.is_empty(), "nothing was stored");
}

#[tokio::test]
async fn a_body_that_is_no_json_object_says_where_and_what() {
    let gateway = TestGateway::start().await;
    gateway.webhook("u", "hook").await;
    let deep = b"[".repeat(100_000);
    let table: [(&[u8], &str); 10] = [
        (b"", "the body is empty: send a JSON object"),
        (b" \n", "the body is empty"),
        (b"{\"a\": ", "at line 1 column 6"),
        (b"hello", "the body is not valid JSON: expected value at line 1 column 1"),
        (b"{\"recipient\": \"\xff\xfe\"}", "the body is not valid JSON"),
        (b"{\"recipient\":\"a\",\"message\":\"\\ud800\"}", "the body is not valid JSON"),
        (&deep, "recursion limit exceeded"),
        (b"[]", "the body must be a JSON object, not an array"),
        (b"null", "the body must be a JSON object, not null"),
        (b"\"a\"", "the body must be a JSON object, not a text"),
    ];
    let calls = [("POST", "/configure"), ("POST", "/send"), ("PUT", "")];
    for (body, sentence) in table {
        for (method, action) in calls {
            let path = format!("/api/users/u/channels/hook{action}");
            let request = gateway.request(method, &path).bearer_auth(KEY).body(body.to_vec());
            let said = read(request).await.problem(400);
            assert!(said.contains(sentence), "{said} instead of {sentence}");
        }
    }
    assert!(gateway.pending().await.is_empty());
}

#[tokio::test]
async fn a_body_that_is_too_large_is_answered_not_cut_off() {
    let gateway = TestGateway::start().await;
    let hook = gateway.webhook("u", "hook").await;
    let big = json!({"recipient": "a", "message": "x".repeat(8 << 20)});
    for (method, action) in [("POST", "/configure"), ("POST", "/send"), ("PUT", "")] {
        let path = format!("/api/users/u/channels/hook{action}");
        let said = gateway.call(method, &path, big.clone()).await.problem(413);
        assert_eq!(said, "the body is larger than 2 MiB, the largest that is taken");
    }
    gateway.post(&hook, &vec![b'x'; (2 << 20) + 1]).await.problem(413);
    assert!(gateway.pending().await.is_empty());
}

/// The answer's head to a request whose head says that a body follows.
async fn raw(url: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(url.trim_start_matches("http://")).await.unwrap();
    let length = format!("{head}host: x\r\ncontent-length: 17\r\n\r\n{body}");
    stream.write_all(length.as_bytes()).await.unwrap();
    let (mut answer, mut lines) = (String::new(), BufReader::new(stream).lines());
    while let Some(line) = lines.next_line().await.unwrap().filter(|line| !line.is_empty()) {
        answer.push_str(&line.to_lowercase());
        answer.push('\n');
    }
    answer
}

#[tokio::test]
async fn a_caller_hears_that_the_connection_ends_when_its_body_was_not_read() {
    let gateway = TestGateway::start().await;
    let path = "/api/users/u/channels/c/configure";
    let refused = raw(gateway.url(), &format!("POST {path} HTTP/1.1\r\n"), "").await;
    assert!(refused.starts_with("http/1.1 401") && refused.contains("connection: close"), "{refused}");
    let keyed = format!("POST {path} HTTP/1.1\r\nauthorization: bearer {KEY}\r\n");
    let refused = raw(gateway.url(), &keyed, r#"{"any": "object"}"#).await;
    assert!(refused.starts_with("http/1.1 400") && !refused.contains("connection: close"), "{refused}");
}

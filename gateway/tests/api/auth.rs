//! Who may call what. The routes come from the API's document, so a new one is under these tests without anybody's doing.

use claw_gateway::document;
use serde_json::{Value, json};

use crate::common::{KEY, TestGateway, read};

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
/// Failures are counted by address, so each call claims another one.
const PROXIED: &[&str] = &["--allow-private-urls", "--send-wait-ms=0", "--trusted-proxies=127.0.0.0/8"];
/// Calls without a key, and why that is right.
const OPEN: [(&str, &str); 7] = [
    ("/api/health", "probes and status pages"),
    ("/healthz", "probes"),
    ("/readyz", "probes"),
    ("/problems/{kind}", "documentation"),
    ("/webhooks/{channel_type}/{channel_id}", "the platform's own signature"),
    ("/media/{message_id}/{filename}", "our signature in the link"),
    ("/hooks/{name}", "the hook's own secret"),
];
/// Of no tenant: any key may look.
const FOR_ALL: [&str; 1] = ["/api/channels"];
/// The tenant is in the body: these have a test of their own.
const TENANT_IN_BODY: [&str; 2] = ["/hooks/wake", "/hooks/agent"];

/// A call that the document knows.
pub struct Operation {
    pub method: String,
    pub path: String,
    /// The scope that it asks for; none for open ones.
    scope: Option<String>,
}

fn operations() -> Vec<Operation> {
    let document = serde_json::to_value(document()).unwrap();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap().iter().filter(|(_, o)| o.is_object()) {
            let scope = operation["security"][0]["bearer"][0].as_str().map(str::to_owned);
            found.push(Operation { method: method.to_uppercase(), path: path.clone(), scope });
        }
    }
    found
}

/// Those that need a key.
pub fn keyed() -> Vec<Operation> {
    let mut found = operations();
    found.retain(|operation| operation.scope.is_some());
    found
}

impl Operation {
    /// The path with somebody in it.
    fn of(&self, user: &str) -> String {
        let id = "01a20614-c22d-76db-8d63-8dd1bf95251b";
        let path = self
            .path
            .replace("{user}", user)
            .replace("{instance}", "some_slug")
            .replace("{name}", "some_name");
        path.split('/')
            .map(|part| if part.starts_with('{') { id } else { part })
            .collect::<Vec<_>>()
            .join("/")
    }

    pub fn tells(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

#[test]
fn every_call_needs_a_key_unless_it_is_known_to_be_open() {
    let all = operations();
    assert!(all.len() > 15, "only {} operations", all.len());
    for operation in all.iter().filter(|operation| operation.scope.is_none()) {
        let known = OPEN.iter().any(|(path, _)| *path == operation.path);
        assert!(known, "{} is open: wrap it in needs(...), or say here why it may be", operation.tells());
    }
}

#[tokio::test]
async fn every_path_refuses_every_method_without_a_key() {
    let gateway = TestGateway::start_with(PROXIED).await;
    let headers = [
        None,
        Some("Bearer"),
        Some("Bearer wrong"),
        Some("Basic dTpw"),
        Some("Bearer an-api-key"),
        Some("Bearer iic_01a20614c22d76db8d638dd1bf95251b_00"),
    ];
    let mut caller = 0_u32;
    for path in keyed().into_iter().map(|operation| operation.of("u")) {
        for (method, header) in METHODS.iter().flat_map(|m| headers.iter().map(move |h| (m, h))) {
            caller += 1;
            let from = format!("203.0.{}.{}", caller / 256, caller % 256);
            let request = gateway.request(method, &path).json(&json!({})).header("x-forwarded-for", from);
            let request =
                if let Some(header) = header { request.header("authorization", *header) } else { request };
            let answer = read(request).await;
            answer.problem(401);
            assert_eq!(answer.headers["www-authenticate"], "Bearer", "{method} {path} {header:?}");
        }
    }
}

#[tokio::test]
async fn every_route_refuses_another_users_key() {
    let gateway = TestGateway::start_with(PROXIED).await;
    let mallory = gateway.key(Some("mallory"), &["read", "send", "manage"]).await;
    for operation in keyed() {
        if FOR_ALL.contains(&&*operation.path) || TENANT_IN_BODY.contains(&&*operation.path) {
            continue;
        }
        for user in ["ada", "mallory%2Fx", "Mallory", "mallory%00"] {
            let answer = gateway.call_as(&mallory, &operation.method, &operation.of(user), json!({})).await;
            answer.problem(403);
        }
        let own = gateway.call_as(&mallory, &operation.method, &operation.of("mallory"), json!({})).await;
        let forbidden = own.status.as_u16() == 403;
        assert_eq!(forbidden, !operation.path.contains("{user}"), "{}: {own:?}", operation.tells());
    }
}

#[tokio::test]
async fn every_route_refuses_a_key_without_its_scope() {
    let gateway = TestGateway::start_with(PROXIED).await;
    let mut keys = Vec::new();
    for scope in ["read", "send", "manage"] {
        let others: Vec<_> = ["read", "send", "manage"].into_iter().filter(|other| *other != scope).collect();
        keys.push((scope, gateway.key(None, &[scope]).await, gateway.key(None, &others).await));
    }
    for operation in keyed() {
        let needed = operation.scope.clone().unwrap();
        let (_, with, without) = keys.iter().find(|(scope, ..)| *scope == needed).unwrap();
        let path = operation.of("ada");
        let said = gateway.call_as(without, &operation.method, &path, json!({})).await.problem(403);
        assert!(said.contains(&format!("{needed:?}")), "{}: {said}", operation.tells());
        let answer = gateway.call_as(with, &operation.method, &path, json!({})).await;
        assert!(![401, 403].contains(&answer.status.as_u16()), "{}: {answer:?}", operation.tells());
        assert!(answer.status.as_u16() < 500, "{}: {answer:?}", operation.tells());
    }
}

#[tokio::test]
async fn the_key_opens_whatever_the_case_of_the_scheme() {
    let gateway = TestGateway::start().await;
    for header in [format!("Bearer {KEY}"), format!("bearer {KEY}"), format!("BEARER  {KEY}")] {
        let request = gateway.request("GET", "/api/users/u/channels").header("authorization", &header);
        read(request).await.expect(200);
    }
}

#[tokio::test]
async fn failures_are_throttled_and_noted_but_a_good_key_passes() {
    let gateway = TestGateway::start_with(PROXIED).await;
    let failing = async || {
        let request = gateway.client.get(format!("{}/api/keys", gateway.url())).bearer_auth("wrong");
        read(request.header("x-forwarded-for", "203.0.113.9")).await
    };
    let mut throttled = None;
    for _ in 0..80 {
        let answer = failing().await;
        match answer.status.as_u16() {
            401 => {}
            429 => throttled = Some(answer),
            other => panic!("{other}"),
        }
    }
    let throttled = throttled.unwrap();
    throttled.problem(429);
    let scraped =
        gateway.client.get(format!("{}/metrics", gateway.url())).bearer_auth(KEY).send().await.unwrap();
    let scraped = scraped.text().await.unwrap();
    for counter in ["claw_auth_failures_total", "claw_auth_throttled_total"] {
        // Other tests of this process count, too.
        let line = scraped.lines().find_map(|line| line.strip_prefix(&format!("{counter}{{of=\"key\"}} ")));
        assert!(line.is_some_and(|count| count.parse::<u64>().unwrap() > 0), "{counter}: {scraped}");
    }
    assert!(throttled.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    let good = gateway.client.get(format!("{}/api/keys", gateway.url())).bearer_auth(KEY);
    read(good.header("x-forwarded-for", "203.0.113.9")).await.expect(200);
    let another = gateway.request("GET", "/api/keys").header("x-forwarded-for", "203.0.113.10");
    read(another).await.problem(401);
    let noted =
        claw_testkit::eventually("the audit log notes it", std::time::Duration::from_secs(10), async || {
            let audit =
                gateway.call("GET", "/api/audit?action=auth.throttled", Value::Null).await.expect(200);
            audit["entries"].as_array().unwrap().first().cloned()
        });
    assert_eq!(noted.await["address"], "203.0.113.9");
}

/// Paths that are in no list of the router, as they are written where they are made, and why that is right.
const ELSEWHERE: [(&str, &str); 7] = [
    ("PATH", "the document itself, /openapi.json"),
    ("/docs", "the page made of it"),
    ("/", "the front page"),
    ("/webchat/widget.js", "a script without data"),
    ("/webchat/{channel_id}", "a page without data"),
    ("/webchat/{channel_id}/ws", "a visitor's own history, whose random name is the key to it"),
    ("/webchat/{channel_id}/files", "a visitor's own message, by the same random name"),
];

/// Paths are made in the router's lists, which the tests above walk; this keeps them there.
#[test]
fn no_path_is_made_anywhere_else() {
    let mut found = Vec::new();
    for folder in ["src", "../crates/channels/src"] {
        visit(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    }
    let known: Vec<String> = operations().into_iter().map(|operation| operation.path).collect();
    for path in &known {
        assert!(found.contains(path), "{path} is made in a way that this test does not see");
    }
    for path in &found {
        let listed = known.contains(path) || ELSEWHERE.iter().any(|(elsewhere, _)| elsewhere == path);
        assert!(listed, "{path} is not in the router's list: put it there, or say in ELSEWHERE why not");
    }
}

/// What is written where paths are made: of handlers' annotations, and of routes without.
fn visit(folder: &std::path::Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Compiled for tests only.
        if path.file_stem().is_some_and(|name| name == "tests" || name == "testing") {
            continue;
        }
        if path.is_dir() {
            visit(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let text = text.split("#[cfg(test)]").next().unwrap();
            let after = |before: &'static str| text.split(before).skip(1).map(str::trim_start);
            let literal = |rest: &str| Some(rest.strip_prefix('"')?.split('"').next()?.to_owned());
            found.extend(after("path = ").filter_map(literal).filter(|path| path.starts_with('/')));
            for made in [".route(", ".route_service(", ".nest(", ".nest_service(", "SwaggerUi::new("] {
                let name = |rest: &str| rest.split([',', ')']).next().unwrap_or_default().to_owned();
                found.extend(after(made).map(|rest| literal(rest).unwrap_or_else(|| name(rest))));
            }
        }
    }
}

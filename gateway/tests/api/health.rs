//! Health, probes, unknown paths and methods.

use serde_json::{Value, json};

use crate::common::{TestGateway, read};

#[tokio::test]
async fn health_needs_no_key_and_says_what_is_there() {
    let gateway = TestGateway::start().await;
    let health = read(gateway.request("GET", "/api/health")).await.expect(200);
    assert_eq!(health["status"], "ok");
    assert_eq!((&health["database"], &health["nats"]), (&json!(true), &json!(true)));
    assert!(health["version"].is_string());
    let cluster = gateway.call("GET", "/api/cluster", Value::Null).await.expect(200);
    assert_eq!(health["cluster"], cluster["id"]);
    assert!(health["cluster"].is_string(), "{health}");
    assert_eq!(read(gateway.request("GET", "/healthz")).await.text, "ok\n");
    let ready = read(gateway.request("GET", "/readyz")).await;
    assert_eq!((ready.status.as_u16(), ready.text.as_str()), (200, "ready\n"));
}

#[tokio::test]
async fn a_gateway_that_drains_finishes_and_ends_well() {
    let gateway = TestGateway::start().await;
    gateway.channels("u").await;
    gateway.stop().await;
}

#[tokio::test]
async fn without_a_database_it_lives_but_is_not_ready() {
    let gateway = TestGateway::start().await;
    // As good as gone: every connection of this test's database is ended and none is let in.
    let mut admin = claw_testkit::TestDatabase::create().await.connect().await;
    let name = gateway.database.url().rsplit('/').next().unwrap().to_owned();
    let close = format!("alter database {name} allow_connections false");
    sqlx::query(sqlx::AssertSqlSafe(close)).execute(&mut admin).await.unwrap();
    let end = "select pg_terminate_backend(pid) from pg_stat_activity where datname = $1";
    sqlx::query(end).bind(&name).execute(&mut admin).await.unwrap();

    let health = read(gateway.request("GET", "/api/health")).await.expect(200);
    assert_eq!((&health["status"], &health["database"]), (&json!("degraded"), &json!(false)));
    let ready = read(gateway.request("GET", "/readyz")).await;
    assert_eq!(ready.status.as_u16(), 503);
    assert_eq!(ready.text, "not ready: the database does not answer\n");
    let refused = gateway.call("GET", "/api/users/u/channels", Value::Null).await;
    assert!(!refused.problem(503).contains(&name));
    assert_eq!(refused.headers["retry-after"], "1");
}

#[tokio::test]
async fn what_is_not_there_is_said_in_json() {
    let gateway = TestGateway::start().await;
    let unknown = [
        ("GET", "/nope"),
        ("GET", "/api/nope"),
        ("POST", "/api/users"),
        ("GET", "/api/users/u/nope"),
        ("POST", "/api/users/u/channels/s/configure/more"),
        ("POST", "/webhooks/nope"),
    ];
    for (method, path) in unknown {
        gateway.call(method, path, Value::Null).await.problem(404);
    }
    let wrong = [
        ("POST", "/api/health", "GET"),
        ("PATCH", "/api/users/u/channels", "GET"),
        ("DELETE", "/api/users/u/channels", "GET"),
        ("PATCH", "/api/users/u/channels/s", "PUT"),
        ("GET", "/api/users/u/channels/s/configure", "POST"),
        ("PUT", "/api/users/u/channels/s/send", "POST"),
        ("PUT", "/webhooks/webhook/x", "POST"),
    ];
    for (method, path, allowed) in wrong {
        let answer = gateway.call(method, path, Value::Null).await;
        answer.problem(405);
        let allow = answer.headers["allow"].to_str().unwrap();
        assert!(allow.contains(allowed), "{method} {path}: {allow}");
    }
}

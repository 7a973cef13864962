//! The cluster as its operator sees it. That processes obey is shown with real ones, in the system tests.

use serde_json::{Value, json};

use crate::common::TestGateway;

#[tokio::test]
async fn members_shards_leader_and_lag_are_shown() {
    let gateway = TestGateway::start().await;
    gateway.webhook("u", "hook").await;
    let send = json!({"recipient": "a", "message": "hi"});
    gateway.call("POST", "/api/users/u/channels/hook/send", send).await.expect(202);
    let cluster = gateway.call("GET", "/api/cluster", Value::Null).await.expect(200);
    let members = cluster["members"].as_array().unwrap();
    assert_eq!(members.len(), 2, "both gateways: {cluster}");
    for member in members {
        assert_eq!((&member["role"], &member["live"]), (&json!("gateway"), &json!(true)));
        assert_eq!((&member["unreachable"], &member["streams"]), (&Value::Null, &json!(0)), "{cluster}");
        assert_eq!(member["version"], cluster["version"]);
    }
    assert_ne!(members[0]["name"], members[1]["name"]);
    assert_eq!(cluster["shards"], json!({"count": 4, "owned": 0, "unowned": 4}));
    assert_eq!((&cluster["leader"], &cluster["lag"]["pending"]), (&Value::Null, &json!(1)));
    assert!(cluster["schema"]["version"].as_i64() >= cluster["schema"]["oldest"].as_i64());
    let all = gateway.call("GET", "/api/cluster?shards=true", Value::Null).await.expect(200);
    let first = json!({"shard": 0, "owner": null, "epoch": 0});
    assert_eq!((all["shards"]["claims"].as_array().unwrap().len(), &all["shards"]["claims"][0]), (4, &first));
    let [first] = all["partitions"].as_array().unwrap().as_slice() else { panic!("{all}") };
    assert_eq!((&first["name"], &first["from"]), (&json!("messages_initial"), &Value::Null));
    gateway.call("GET", "/api/cluster?shard=true", Value::Null).await.problem(400);
    gateway.stop().await;
}

#[tokio::test]
async fn counting_what_waits_ends_somewhere() {
    let gateway = TestGateway::start().await;
    let many =
        "insert into messages (id, user_id, channel_id, shard, direction, conversation, payload, accepted_at)
        select gen_random_uuid(), 'u', gen_random_uuid(), n % 4, 'in', 'c', '{}', now() - interval '1 hour'
        from generate_series(1, 10050) n";
    let mut conn = gateway.database.connect().await;
    sqlx::query(many).execute(&mut conn).await.unwrap();
    let cluster = gateway.call("GET", "/api/cluster", Value::Null).await.expect(200);
    let lag = &cluster["lag"];
    assert_eq!((&lag["pending"], &lag["counted_up_to"]), (&json!(10_000), &json!(10_000)));
    let oldest = lag["oldest_ms"].as_u64().unwrap();
    assert!((3_600_000..3_660_000).contains(&oldest), "{oldest}");
    gateway.stop().await;
}

#[tokio::test]
async fn who_is_not_there_can_not_be_told_to_go() {
    let gateway = TestGateway::start().await;
    let drain = "/api/cluster/workers/nobody/drain";
    let said = gateway.call("POST", drain, json!({"drain": true})).await.problem(404);
    assert!(said.contains("no live worker"), "{said}");
    gateway.call("POST", drain, json!({})).await.problem(400);
    let said = gateway.call("POST", "/api/cluster/scheduler/step-down", Value::Null).await.problem(409);
    assert!(said.contains("no scheduler leads"), "{said}");
    // One that can't be reached, for its machine is gone but was heard of a moment ago.
    let mut conn = gateway.database.connect().await;
    let gone = "insert into members (name, role, rpc_address, version) values ('gone', 'worker', '127.0.0.1:1', '0')";
    sqlx::query(gone).execute(&mut conn).await.unwrap();
    let drain = "/api/cluster/workers/gone/drain";
    let said = gateway.call("POST", drain, json!({"drain": true})).await.problem(503);
    assert!(said.contains("127.0.0.1:1") && said.contains("refused"), "{said}");
    let cluster = gateway.call("GET", "/api/cluster", Value::Null).await.expect(200);
    let member = cluster["members"].as_array().unwrap().iter().find(|m| m["name"] == "gone").unwrap();
    assert!(member["unreachable"].as_str().unwrap().contains("refused"), "{member}");
    assert_eq!(cluster["adapters"]["unknown_workers"], json!(["gone"]));
    let audit = gateway.call("GET", "/api/audit", Value::Null).await.expect(200);
    assert!(!audit.to_string().contains("worker.drained"), "nothing was done: {audit}");
    gateway.stop().await;
}

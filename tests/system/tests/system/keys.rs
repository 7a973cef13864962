//! Keys by the command line, against a gateway as an operator has it.

use claw_system_tests::Cluster;
use reqwest::StatusCode;
use serde_json::Value;

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_makes_lists_and_revokes_keys() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let run = async |args: &[&str], code: i32| cluster.command(&api, args, code).await;
    assert!(run(&["keys", "list"], 0).await.contains("no keys but the operator's own"));
    let create = ["keys", "--json", "create", "--name", "front end", "--user", "ada", "--scope", "read"];
    let made: Value = serde_json::from_str(&run(&create, 0).await).unwrap();
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    let opens = async |path: &str| {
        let request = api.client.get(format!("{}{path}", api.base)).bearer_auth(key);
        request.send().await.unwrap().status()
    };
    assert_eq!(opens("/api/users/ada/channels").await, StatusCode::OK);
    assert_eq!(opens("/api/users/bob/channels").await, StatusCode::FORBIDDEN);
    let listed = run(&["keys", "list"], 0).await;
    let row = listed.lines().find(|row| row.starts_with(id)).unwrap_or_else(|| panic!("{listed}"));
    assert!(row.contains("  ada   read   ") && row.ends_with("  front end"), "{listed}");
    assert!(!listed.contains(key));
    assert!(run(&["keys", "revoke", id], 0).await.contains("revoked: "));
    assert_eq!(opens("/api/users/ada/channels").await, StatusCode::UNAUTHORIZED);
    assert!(run(&["keys", "create", "--name", " "], 1).await.contains("\"name\" is empty"));
    assert!(
        run(&["keys", "create", "--name", "x", "--scope", "all"], 2).await.contains("read, send, manage")
    );
}

//! Nothing under `/api` but health answers without the key.

use serde_json::Value;

use crate::common::{KEY, TestGateway, read, webhook_body};

const METHODS: [&str; 6] = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

#[tokio::test]
async fn every_path_refuses_every_method_without_the_key() {
    let gateway = TestGateway::start().await;
    let headers = [None, Some("Bearer"), Some("Bearer wrong"), Some("Basic dTpw"), Some("Bearer an-api-key")];
    for path in claw_gateway::protected_paths() {
        let path = path.replace("{user}", "u").replace("{instance}", "some_slug");
        for (method, header) in METHODS.iter().flat_map(|m| headers.iter().map(move |h| (m, h))) {
            let request = gateway.request(method, &path).json(&webhook_body());
            let request =
                if let Some(header) = header { request.header("authorization", *header) } else { request };
            let answer = read(request).await;
            answer.problem(401);
            assert_eq!(answer.headers["www-authenticate"], "Bearer", "{method} {path} {header:?}");
        }
    }
    assert_eq!(gateway.channels("u").await, Vec::<Value>::new(), "nothing was stored");
}

#[tokio::test]
async fn the_key_opens_whatever_the_case_of_the_scheme() {
    let gateway = TestGateway::start().await;
    for header in [format!("Bearer {KEY}"), format!("bearer {KEY}"), format!("BEARER  {KEY}")] {
        let request = gateway.request("GET", "/api/users/u/channels").header("authorization", &header);
        read(request).await.expect(200);
    }
}

/// Paths are made in one list, which the first test walks; this keeps them there.
#[test]
fn no_path_under_api_is_made_anywhere_else() {
    let open = ["/api/health"];
    let mut found = Vec::new();
    for folder in ["src", "../crates/channels/src"] {
        visit(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut found);
    }
    let protected = claw_gateway::protected_paths();
    assert!(found.len() > protected.len());
    for path in &found {
        let known = open.contains(&path.as_str()) || protected.contains(&path.as_str());
        assert!(known, "{path} is not in the router's list of protected paths");
    }
}

fn visit(folder: &std::path::Path, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let routes =
                text.match_indices("\"/api/").filter(|(at, _)| text[..*at].trim_end().ends_with('('));
            found.extend(routes.filter_map(|(at, _)| text[at + 1..].split('"').next().map(str::to_owned)));
        }
    }
}

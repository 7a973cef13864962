//! What happened between two looks at the cluster.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::api::cell;

/// In sentences, members by name first.
pub(super) fn between(before: &Value, now: &Value) -> Vec<String> {
    let (old, new) = (members(before), members(now));
    let mut changes = Vec::new();
    for (name, member) in &new {
        match old.get(name) {
            Some(known) => of_member(name, known, member, &mut changes),
            None => changes.push(format!("{} {name} joined", cell(&member["role"]))),
        }
    }
    let gone = old.iter().filter(|(name, _)| !new.contains_key(*name));
    changes.extend(gone.map(|(name, member)| format!("{} {name} left", cell(&member["role"]))));
    let (was, is) = (leader(before), leader(now));
    if was != is {
        changes.push(format!("the leader: {was} -> {is}"));
    }
    changes
}

fn members(cluster: &Value) -> BTreeMap<String, &Value> {
    let members = cluster["members"].as_array().into_iter().flatten();
    members.map(|member| (cell(&member["name"]), member)).collect()
}

fn of_member(name: &str, before: &Value, now: &Value, changes: &mut Vec<String>) {
    if before["started_at"] != now["started_at"] {
        changes.push(format!("{} {name} started anew", cell(&now["role"])));
    }
    if before["live"] != now["live"] {
        let what = if now["live"] == true { "is heard of again" } else { "is not heard of any more" };
        changes.push(format!("{name} {what}"));
    }
    if before["draining"] != now["draining"] {
        changes.push(format!("{name} {}", if now["draining"] == true { "drains" } else { "drains no more" }));
    }
    if before["shards"] != now["shards"] {
        changes.push(format!("{name}: {} -> {} shards", cell(&before["shards"]), cell(&now["shards"])));
    }
}

fn leader(cluster: &Value) -> String {
    match &cluster["leader"] {
        Value::Null => "nobody".to_owned(),
        leader => format!("{} (term {})", cell(&leader["name"]), cell(&leader["term"])),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn joins_leaves_drains_moves_and_elections_are_told() {
        let member = |name: &str, shards: u32, live: bool, draining: bool| json!({"role": "worker", "name": name, "shards": shards, "live": live, "draining": draining});
        let before = json!({"leader": {"name": "a", "term": 1},
            "members": [member("one", 128, true, false), member("two", 128, true, false), member("x", 0, true, false)]});
        let now = json!({"leader": {"name": "b", "term": 2},
            "members": [member("one", 0, true, true), member("three", 256, true, false), member("x", 0, false, false)]});
        let told = between(&before, &now);
        let expected = [
            "one drains",
            "one: 128 -> 0 shards",
            "worker three joined",
            "x is not heard of any more",
            "worker two left",
            "the leader: a (term 1) -> b (term 2)",
        ];
        assert_eq!(told, expected);
        assert!(between(&now, &now).is_empty());
    }
}

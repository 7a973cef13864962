//! Who is in the cluster: whether each role has somebody alive, who leads by their own word, and whether all run one version.
//!
//! The database says who was heard of, and each live member is asked itself: one that is alive but can't be called does its own work,
//! and what others need of it waits.

use std::collections::BTreeSet;

use anyhow::bail;
use claw_rpc::{CallError, Peers};
use claw_store::MemberStatus;
use claw_telemetry::metrics::Role;
use futures::future::join_all;

use super::channels::{ago, first_of};
use super::{Checked, DoctorSettings, Found, peers, store};

/// A live member and what it said when it was asked.
struct Asked {
    member: MemberStatus,
    /// The term that it leads, if it does; or why it could not be asked.
    said: Result<Option<i64>, String>,
}

pub(super) async fn check(settings: &DoctorSettings) -> Checked {
    let (live, silent): (Vec<_>, Vec<_>) =
        store(settings).await?.members().await?.into_iter().partition(|member| member.live);
    let peers = peers(settings).await?;
    let asked = join_all(live.into_iter().map(|member| ask(&peers, member))).await;
    judged(&asked, &silent)
}

async fn ask(peers: &Peers, member: MemberStatus) -> Asked {
    let said = leading(peers, &member).await.map_err(|error| error.to_string());
    Asked { member, said }
}

async fn leading(peers: &Peers, member: &MemberStatus) -> Result<Option<i64>, CallError> {
    let address = &member.rpc_address;
    match member.role.as_str() {
        "scheduler" => Ok(peers.scheduler_status(address).await?.leading),
        "worker" => peers.worker_status(address).await.map(|_| None),
        _ => peers.gateway_status(address).await.map(|_| None),
    }
}

fn judged(asked: &[Asked], silent: &[MemberStatus]) -> Checked {
    let of = |role: &str| asked.iter().filter(|one| one.member.role == role).count();
    let missing: Vec<_> =
        Role::ALL.iter().map(|role| role.as_str()).filter(|role| of(role) == 0).map(start).collect();
    if !missing.is_empty() {
        bail!("{}{}", missing.join("; "), last_words(silent));
    }
    let leaders: Vec<_> = asked
        .iter()
        .filter_map(|one| Some(format!("{} (term {})", one.member.name, one.said.as_ref().ok()?.as_ref()?)))
        .collect();
    if leaders.len() > 1 {
        bail!(
            "{} say that they lead. The database lets the writes of the last term only through, and the others have to notice \
             within 6 s: if this is so when you ask again, stop all of them but the last",
            leaders.join(" and ")
        );
    }
    let all =
        Role::ALL.map(|role| format!("{} {}", of(role.as_str()), plural(role.as_str(), of(role.as_str()))));
    let alive = format!("alive are {}", all.join(", "));
    let warned: Vec<_> = [skew(asked), unreachable(asked), unheard(silent)].into_iter().flatten().collect();
    if warned.is_empty() {
        return Ok(Found::Well(format!("{alive}, all of version {}", versions(asked).join(" and "))));
    }
    Ok(Found::Warn(format!("{alive}; {}", warned.join("; "))))
}

fn start(role: &str) -> String {
    format!("no {role} is alive: start one with `ii-claw {role}`")
}

fn plural(role: &str, count: usize) -> String {
    if count == 1 { role.to_owned() } else { format!("{role}s") }
}

/// Where those that are missing were heard of last.
fn last_words(silent: &[MemberStatus]) -> String {
    if silent.is_empty() { String::new() } else { format!(". Last heard of: {}", listed(silent)) }
}

fn listed(silent: &[MemberStatus]) -> String {
    let each = silent.iter().map(|one| format!("{} {} {}", one.role, one.name, ago(one.silent)));
    first_of(&each.collect::<Vec<_>>(), ", ", " and ")
}

fn versions(asked: &[Asked]) -> Vec<&str> {
    asked.iter().map(|one| one.member.version.as_str()).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Whether they run several versions, as they do during an upgrade and not after it.
fn skew(asked: &[Asked]) -> Option<String> {
    let versions = versions(asked);
    (versions.len() > 1)
        .then(|| format!("they run the versions {}: end the upgrade, or go back", versions.join(" and ")))
}

fn unreachable(asked: &[Asked]) -> Option<String> {
    let why: Vec<_> = asked
        .iter()
        .filter_map(|one| Some((one, one.said.as_ref().err()?)))
        .map(|(one, why)| format!("{} {} can't be asked from here ({why})", one.member.role, one.member.name))
        .collect();
    let (first, rest) = (why.first()?, why.len() - 1);
    Some(if rest == 0 { first.clone() } else { format!("{first}, nor can {rest} more") })
}

fn unheard(silent: &[MemberStatus]) -> Option<String> {
    (!silent.is_empty()).then(|| {
        format!(
            "not heard of since are {}: look into their logs; those that ended without leaving are forgotten in minutes",
            listed(silent)
        )
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use chrono::DateTime;

    use super::*;

    fn member(role: &str, name: &str) -> MemberStatus {
        MemberStatus {
            name: name.to_owned(),
            role: role.to_owned(),
            version: "1.0.0".to_owned(),
            rpc_address: "h:1".to_owned(),
            weight: 1.0,
            started_at: DateTime::UNIX_EPOCH,
            silent: Duration::from_secs(40),
            live: true,
            draining: false,
            shards: 0,
        }
    }

    fn asked(role: &str, name: &str) -> Asked {
        Asked { member: member(role, name), said: Ok((role == "scheduler").then_some(3)) }
    }

    fn all() -> Vec<Asked> {
        vec![asked("gateway", "g"), asked("worker", "w"), asked("scheduler", "s")]
    }

    fn warning(asked: &[Asked], silent: &[MemberStatus]) -> String {
        match judged(asked, silent) {
            Ok(Found::Warn(said)) => said,
            Ok(Found::Well(said)) => panic!("all is well: {said}"),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn one_of_each_is_well() {
        let said = "alive are 1 gateway, 1 worker, 1 scheduler, all of version 1.0.0";
        assert!(matches!(judged(&all(), &[]), Ok(Found::Well(found)) if found == said));
    }

    #[test]
    fn a_role_without_anybody_alive_fails_and_says_who_was_there() {
        for (place, role) in ["gateway", "worker", "scheduler"].into_iter().enumerate() {
            let mut left = all();
            left.remove(place);
            let said = judged(&left, &[member(role, "gone")]).map(|_| ()).unwrap_err().to_string();
            let expected = format!(
                "no {role} is alive: start one with `ii-claw {role}`. Last heard of: {role} gone 40 s ago"
            );
            assert_eq!(said, expected);
        }
    }

    #[test]
    fn two_that_lead_fail() {
        let mut all = all();
        all.push(Asked { said: Ok(Some(4)), ..asked("scheduler", "t") });
        let said = judged(&all, &[]).map(|_| ()).unwrap_err().to_string();
        assert!(said.starts_with("s (term 3) and t (term 4) say that they lead"), "{said}");
        all[3].said = Ok(None);
        assert!(matches!(judged(&all, &[]), Ok(Found::Well(said)) if said.contains("2 schedulers")));
    }

    #[test]
    fn what_does_not_stop_the_cluster_is_a_warning() {
        let mut all = all();
        all[0].member.version = "1.1.0".to_owned();
        assert!(warning(&all, &[]).contains("they run the versions 1.0.0 and 1.1.0: end the upgrade"));
        all[0].member.version = "1.0.0".to_owned();
        all[1].said = Err("refused".to_owned());
        assert!(warning(&all, &[]).ends_with("worker w can't be asked from here (refused)"));
        all[1].said = Ok(None);
        let gone: Vec<_> = (0..7).map(|n| member("worker", &n.to_string())).collect();
        assert!(warning(&all, &gone).contains("worker 4 40 s ago and 2 more: look into their logs"));
    }
}

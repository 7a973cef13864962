//! Who leads, who owns, who is there.

use claw_telemetry::metrics::{Gauge, Histogram};

use super::{Alert, Case, Severity, case};
use crate::query::CLUSTER;
use crate::query::Clusters::Each;

/// What each cluster has. A process with all of them says each.
const ROLES: [&str; 3] = ["gateway", "worker", "scheduler"];

pub(super) fn alerts() -> Vec<Alert> {
    vec![not_one_leader(), cron_late(), unattended(), duplicate_owner(), role_absent(), lease_slow()]
}

/// The clusters of which something was scraped within an hour: one that is gone as a whole is not forgotten at once.
fn known() -> String {
    let [namespace, job] = CLUSTER;
    format!("count by ({namespace}, {job}) (last_over_time({}[1h]))", Each.process(Gauge::BuildInfo, &[]))
}

/// The clusters that are known and have none of these; where none is known, something that is of no cluster.
fn without(series: &str) -> String {
    let ([namespace, job], nothing) = (CLUSTER, Each.process(Gauge::BuildInfo, &[]));
    format!("{} unless on ({namespace}, {job}) {series} or absent_over_time({nothing}[1h])", known())
}

/// What says that a process with this role is there.
fn there(case: Case, role: &'static str, values: &'static str) -> Case {
    case.with(Gauge::BuildInfo.spec(), &[("role", role), ("version", "0.1.0")], values)
}

fn leaders(one: &'static str, two: &'static str) -> Case {
    let spec = Gauge::Leader.spec();
    let case = Case::at("10m").with(spec, &[("instance", "a")], one).with(spec, &[("instance", "b")], two);
    there(there(case, "gateway", "1x20"), "scheduler", "1x20")
}

fn not_one_leader() -> Alert {
    let leaders_of_each = Each.gauge("sum", Gauge::Leader, &[], &[]);
    // A failover takes some seconds, and a scrape may see it.
    let quiet = leaders("1x8 0x2", "0x9 1x20");
    let no_scheduler = there(Case::at("10m"), "gateway", "1x20").fires(&[]);
    let two = leaders("1x20", "1x20").fires(&[]);
    Alert {
        name: "IiClawNotOneLeader",
        severity: Severity::Page,
        after: "1m",
        query: format!("{leaders_of_each} != 1 or {}", without(&Each.process(Gauge::Leader, &[]))),
        summary: "There is not exactly one leading scheduler",
        effect: "Without a leader no scheduled job and no heartbeat runs. With two, each thinks it leads; the database lets one write.",
        fires: leaders("0x20", "0x20").fires(&[]),
        also: vec![
            ("fires for two leaders of one cluster", case::beside_quiet_ones(&two, &quiet)),
            ("fires for a cluster without schedulers", case::beside_quiet_ones(&no_scheduler, &quiet)),
            // Something else is scraped.
            ("fires where there is nothing at all", nothing_of_ours("10m").fires(&[])),
        ],
        quiet,
    }
}

/// Another program's.
fn nothing_of_ours(at: &'static str) -> Case {
    Case::at(at).with(Gauge::ProcessFds.spec(), &[("instance", "c")], "9x90")
}

fn cron_late() -> Alert {
    let overdue = Gauge::CronOverdue;
    Alert {
        name: "IiClawCronLate",
        severity: Severity::Page,
        after: "2m",
        query: format!("{} > 30", Each.gauge("max", overdue, &[], &[])),
        summary: "Scheduled jobs are due and are not fired",
        effect: "Reminders and jobs run late. None is lost: what is late is fired once, as its job's misfire says.",
        fires: Case::at("10m").with(overdue.spec(), &[("instance", "a")], "0 60 120x20").fires(&[]),
        quiet: Case::at("10m").with(overdue.spec(), &[("instance", "a")], "0x7 60 0x20"),
        also: Vec::new(),
    }
}

fn unattended() -> Alert {
    let unattended = Gauge::ClusterUnattended;
    Alert {
        name: "IiClawUnattendedShards",
        severity: Severity::Page,
        after: "1m",
        query: format!("{} > 0", Each.gauge("max", unattended, &[], &[])),
        summary: "Shards have no owner",
        effect: "Their users' messages are accepted and wait: nothing is delivered, and their bots do not receive.",
        fires: Case::at("10m").with(unattended.spec(), &[("instance", "a")], "0x5 12x20").fires(&[]),
        quiet: Case::at("10m").with(unattended.spec(), &[("instance", "a")], "0x8 12 0x20").with(
            unattended.spec(),
            &[("instance", "b")],
            "_x20",
        ),
        also: Vec::new(),
    }
}

/// Not by sums: a shard that two hold and another that nobody holds would make them right. Each worker counts what it holds itself by an
/// older claim than the database has, which no other number makes up for.
fn duplicate_owner() -> Alert {
    let disputed = Gauge::ShardsDisputed;
    let case = |one, two| {
        let (owned, disputed) = (Gauge::ShardsOwned.spec(), disputed.spec());
        Case::at("10m")
            .with(owned, &[("instance", "a")], "128x20")
            .with(owned, &[("instance", "b")], "128x20")
            .with(Gauge::ClusterShards.spec(), &[("instance", "c")], "256x20")
            .with(disputed, &[("instance", "a")], one)
            .with(disputed, &[("instance", "b")], two)
    };
    Alert {
        name: "IiClawDuplicateOwner",
        severity: Severity::Page,
        after: "2m",
        query: format!("{} > 0", Each.gauge("sum", disputed, &["instance"], &[])),
        summary: "A worker holds shards that another one has claimed: they have two owners",
        effect: "People may see messages twice. What both write is decided by the claims' epochs: nothing is lost.",
        // As many are held as there are: one twice, and one by nobody.
        fires: case("0x5 1x20", "0x20").fires(&[("instance", "a")]),
        // A shard that moves while it is looked at, seen in one scrape and then in another worker's.
        quiet: case("0x8 1 0x20", "0x9 1 0x20"),
        also: Vec::new(),
    }
}

/// With a label for the role, which what is left of clusters has not.
fn role_absent() -> Alert {
    let absent = |role: &str| {
        let clusters = without(&Each.process(Gauge::BuildInfo, &[("role", role)]));
        format!("label_replace({clusters}, \"role\", \"{role}\", \"\", \"\")")
    };
    let all = |at, values| ROLES.into_iter().fold(Case::at(at), |case, role| there(case, role, values));
    let every_role_fires =
        |case: Case| ROLES.into_iter().fold(case, |case, role| case.fires(&[("role", role)]));
    let lacking = |gone: &'static str| {
        let left = ROLES.into_iter().filter(|role| *role != gone);
        left.fold(Case::at("10m"), |case, role| there(case, role, "1x20")).fires(&[("role", gone)])
    };
    let quiet = all("10m", "1x20");
    let vanished = every_role_fires(all("30m", "1x10 stale"));
    let removed = all("90m", "1x10 stale");
    Alert {
        name: "IiClawRoleAbsent",
        severity: Severity::Page,
        after: "2m",
        query: ROLES.map(absent).join(" or "),
        summary: "A role has no process that Prometheus could scrape",
        effect: "Without gateways nothing is accepted by webhook or API, without workers nothing is delivered, without schedulers no job runs.",
        fires: lacking("worker"),
        also: vec![
            ("fires without gateways", case::beside_quiet_ones(&lacking("gateway"), &quiet)),
            (
                "fires for a cluster that is gone as a whole",
                case::beside_quiet_ones(&vanished, &all("30m", "1x40")),
            ),
            ("forgets a cluster that was removed", case::beside_quiet_ones(&removed, &all("90m", "1x100"))),
            ("fires where there is nothing at all", every_role_fires(nothing_of_ours("10m"))),
        ],
        quiet,
    }
}

fn lease_slow() -> Alert {
    let renew = Histogram::LeaseRenew;
    let case = |quick, all| {
        Case::at("15m")
            .with_part(renew.spec(), "_bucket", &[("instance", "a"), ("le", "0.25")], quick)
            .with_part(renew.spec(), "_bucket", &[("instance", "a"), ("le", "1")], all)
            .with_part(renew.spec(), "_bucket", &[("instance", "a"), ("le", "+Inf")], all)
    };
    Alert {
        name: "IiClawLeaseRenewalSlow",
        severity: Severity::Ticket,
        after: "5m",
        query: format!("{} > 0.5", Each.quantile(0.99, renew, &["instance"], &[], "5m")),
        summary: "Renewing a lease takes more than half a second",
        effect: "At 2 s a worker stops everything, and its shards move. Until then nobody feels anything.",
        fires: case("0+60x20", "0+120x20").fires(&[("instance", "a")]),
        quiet: case("0+120x20", "0+120x20"),
        also: Vec::new(),
    }
}

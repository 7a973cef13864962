//! Who leads, who owns, who is there.

use claw_telemetry::metrics::{Gauge, Histogram};

use super::{Alert, Case, Severity};
use crate::query::{each, gauge, quantile};

pub(super) fn alerts() -> Vec<Alert> {
    vec![not_one_leader(), cron_late(), unattended(), duplicate_owner(), role_absent(), lease_slow()]
}

fn leaders(one: &'static str, two: &'static str) -> Case {
    let spec = Gauge::Leader.spec();
    Case::at("10m").with(spec, &[("instance", "a")], one).with(spec, &[("instance", "b")], two)
}

fn not_one_leader() -> Alert {
    Alert {
        name: "IiClawNotOneLeader",
        severity: Severity::Page,
        after: "1m",
        query: format!(
            "{} != 1 or absent({})",
            gauge("sum", Gauge::Leader, &[], &[]),
            each(Gauge::Leader, &[])
        ),
        summary: "There is not exactly one leading scheduler",
        effect: "Without a leader no scheduled job and no heartbeat runs. With two, each thinks it leads; the database lets one write.",
        fires: leaders("0x20", "0x20"),
        // A failover takes some seconds, and a scrape may see it.
        quiet: leaders("1x8 0x2", "0x9 1x20"),
    }
}

fn cron_late() -> Alert {
    let overdue = Gauge::CronOverdue;
    Alert {
        name: "IiClawCronLate",
        severity: Severity::Page,
        after: "2m",
        query: format!("{} > 30", gauge("max", overdue, &[], &[])),
        summary: "Scheduled jobs are due and are not fired",
        effect: "Reminders and jobs run late. None is lost: what is late is fired once, as its job's misfire says.",
        fires: Case::at("10m").with(overdue.spec(), &[("instance", "a")], "0 60 120x20"),
        quiet: Case::at("10m").with(overdue.spec(), &[("instance", "a")], "0x7 60 0x20"),
    }
}

fn unattended() -> Alert {
    let unattended = Gauge::ClusterUnattended;
    Alert {
        name: "IiClawUnattendedShards",
        severity: Severity::Page,
        after: "1m",
        query: format!("{} > 0", gauge("max", unattended, &[], &[])),
        summary: "Shards have no owner",
        effect: "Their users' messages are accepted and wait: nothing is delivered, and their bots do not receive.",
        fires: Case::at("10m").with(unattended.spec(), &[("instance", "a")], "0x5 12x20"),
        quiet: Case::at("10m").with(unattended.spec(), &[("instance", "a")], "0x8 12 0x20").with(
            unattended.spec(),
            &[("instance", "b")],
            "_x20",
        ),
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
        query: format!("{} > 0", gauge("sum", disputed, &["instance"], &[])),
        summary: "A worker holds shards that another one has claimed: they have two owners",
        effect: "People may see messages twice. What both write is decided by the claims' epochs: nothing is lost.",
        // As many are held as there are: one twice, and one by nobody.
        fires: case("0x5 1x20", "0x20").of("instance", "a"),
        // A shard that moves while it is looked at, seen in one scrape and then in another worker's.
        quiet: case("0x8 1 0x20", "0x9 1 0x20"),
    }
}

fn role_absent() -> Alert {
    let info = Gauge::BuildInfo;
    let absent = |role| format!("absent({})", each(info, &[("role", role)]));
    let there = |case: Case, role| case.with(info.spec(), &[("role", role), ("version", "0.1.0")], "1x20");
    let two = |at| there(there(Case::at(at), "gateway"), "scheduler");
    Alert {
        name: "IiClawRoleAbsent",
        severity: Severity::Page,
        after: "2m",
        query: ["gateway", "worker", "scheduler"].map(absent).join(" or "),
        summary: "A role has no process that Prometheus could scrape",
        effect: "Without gateways nothing is accepted by webhook or API, without workers nothing is delivered, without schedulers no job runs.",
        fires: two("10m").of("role", "worker"),
        quiet: there(two("10m"), "worker"),
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
        query: format!("{} > 0.5", quantile(0.99, renew, &["instance"], &[], "5m")),
        summary: "Renewing a lease takes more than half a second",
        effect: "At 2 s a worker stops everything, and its shards move. Until then nobody feels anything.",
        fires: case("0+60x20", "0+120x20").of("instance", "a"),
        quiet: case("0+120x20", "0+120x20"),
    }
}

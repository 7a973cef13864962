//! How the channels are, by what their owners say of them.

use std::time::Duration;

use claw_store::checkup::SLOW;
use claw_store::{ChannelName, Checkup, InTrouble};

use super::{Checked, DoctorSettings, Found, store};

/// So many are named; `ii-claw channels list` shows a user's.
pub(super) const NAMED: i64 = 5;

/// Which of them are in trouble: a matter of their users most often, so nothing that fails.
pub(super) async fn check(settings: &DoctorSettings) -> Checked {
    Ok(judged(&store(settings).await?.channels_checkup(NAMED).await?))
}

fn judged(found: &Checkup) -> Found {
    let mut trouble = Vec::new();
    if found.in_trouble > 0 {
        let examples = found.examples.iter().map(told).collect::<Vec<_>>();
        trouble.push(format!("in trouble are {}, such as {}", found.in_trouble, examples.join("; ")));
    }
    if found.starting > 0 {
        let minutes = SLOW.as_secs() / 60;
        trouble.push(format!(
            "{} have not connected within {minutes} minutes: look into the log of the workers",
            found.starting
        ));
    }
    if trouble.is_empty() {
        return Found::Well(format!("{} are switched on, none of them in trouble", found.enabled));
    }
    Found::Warn(format!("of {} that are switched on, {}", found.enabled, trouble.join("; and ")))
}

/// What is wrong with one, and who can do what about it.
fn told(one: &InTrouble) -> String {
    let (channel, error, ago) = (named(&one.channel), &one.error, ago(one.said));
    if one.broken {
        return format!("{channel}, which does not work until it is configured again ({ago}: {error})");
    }
    format!("{channel}, which is tried again by itself ({ago}: {error})")
}

/// The first [`NAMED`] of them with `between` between them and, behind `and`, how many more there are.
pub(super) fn first_of(all: &[String], between: &str, and: &str) -> String {
    let first = usize::try_from(NAMED).unwrap_or(usize::MAX);
    let named = all.get(..first).unwrap_or(all).join(between);
    match all.len().saturating_sub(first) {
        0 => named,
        rest => format!("{named}{and}{rest} more"),
    }
}

/// How long ago, roughly.
pub(super) fn ago(time: Duration) -> String {
    match time.as_secs() {
        seconds @ ..120 => format!("{seconds} s ago"),
        seconds @ 120..7_200 => format!("{} min ago", seconds / 60),
        seconds @ 7_200..172_800 => format!("{} h ago", seconds / 3_600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}

/// Whose, which, of what type.
pub(super) fn named(name: &ChannelName) -> String {
    format!("{}/{} ({})", name.user_id, name.instance, name.channel_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(broken: bool, said: u64) -> InTrouble {
        let channel =
            ChannelName { user_id: "ada".into(), instance: "bot".into(), channel_type: "kite".into() };
        InTrouble { channel, broken, error: "401".into(), said: Duration::from_secs(said) }
    }

    #[test]
    fn it_says_who_has_to_do_something() {
        let well = Checkup { enabled: 3, in_trouble: 0, starting: 0, examples: Vec::new() };
        assert!(matches!(judged(&well), Found::Well(said) if said.starts_with("3 are switched on")));
        let bad =
            Checkup { in_trouble: 2, starting: 1, examples: vec![one(true, 7), one(false, 7_300)], ..well };
        let Found::Warn(said) = judged(&bad) else { panic!("{bad:?}") };
        assert_eq!(
            said,
            "of 3 that are switched on, in trouble are 2, such as ada/bot (kite), which does not work until it is \
             configured again (7 s ago: 401); ada/bot (kite), which is tried again by itself (2 h ago: 401); and 1 \
             have not connected within 5 minutes: look into the log of the workers"
        );
    }

    #[test]
    fn times_are_rough() {
        let said =
            [0, 119, 120, 7_199, 7_200, 172_799, 172_800].map(|seconds| ago(Duration::from_secs(seconds)));
        let expected =
            ["0 s ago", "119 s ago", "2 min ago", "119 min ago", "2 h ago", "47 h ago", "2 days ago"];
        assert_eq!(said, expected);
    }
}

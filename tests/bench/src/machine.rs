//! What processor time processes use, as Linux tells.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// Processor time by role, a process with its children.
#[derive(Debug, Default, Clone)]
pub(crate) struct Usage(BTreeMap<String, Duration>);

impl Usage {
    /// So far.
    pub(crate) fn of(processes: &[(String, u32)]) -> Self {
        let all = stats();
        let used = processes.iter().map(|(name, pid)| {
            // A child that is named itself counts for itself.
            let named = |s: &Stat| processes.iter().any(|(_, other)| *other == s.pid);
            let its = |s: &&Stat| s.pid == *pid || (s.parent == *pid && !named(s));
            let ticks: u64 = all.iter().filter(its).map(|s| s.ticks).sum();
            // Linux counts in hundredths of a second.
            (name.clone(), Duration::from_millis(ticks * 10))
        });
        Self(used.collect())
    }

    /// What was used after `before`.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let used = |name: &String, now: &Duration| {
            now.saturating_sub(before.0.get(name).copied().unwrap_or_default())
        };
        Self(self.0.iter().map(|(name, now)| (name.clone(), used(name, now))).collect())
    }

    /// By role, for each of `messages`.
    pub(crate) fn per_message(&self, messages: u64) -> String {
        self.divided(u128::from(messages))
    }

    /// By role, for each second of `time`.
    pub(crate) fn per_second(&self, time: Duration) -> String {
        self.divided(time.as_millis() / 1_000)
    }

    fn divided(&self, by: u128) -> String {
        let mut text = String::new();
        let mut total = 0;
        for (name, used) in &self.0 {
            let each = used.as_micros() / by.max(1);
            total += each;
            // Writing to a String can't fail.
            let _ = write!(text, "{name} {each} us, ");
        }
        format!("{text}all {total} us")
    }

    /// Of this role; none when there is no such role.
    pub(crate) fn role(&self, name: &str) -> Duration {
        self.0.get(name).copied().unwrap_or_default()
    }
}

struct Stat {
    pid: u32,
    parent: u32,
    ticks: u64,
}

fn stats() -> Vec<Stat> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter_map(stat).collect()
}

/// proc(5): after the name in parentheses come state, parent, ...; fields 14 to 17 are the times of the process and of
/// its ended children.
fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |n: usize| fields.get(n).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    Some(Stat { pid, parent: u32::try_from(number(1)).ok()?, ticks: (11..=14).map(number).sum() })
}

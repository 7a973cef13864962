//! Who writes a line: a role, and the member that it is.
//!
//! A process is one role most often. Where it is several (`ii-claw up`), the crate that writes the line tells which; what they share says all
//! of them.

use std::fmt::Write as _;
use std::sync::{PoisonError, RwLock};

use crate::metrics::Role;

static SPEAKERS: RwLock<Speakers> = RwLock::new(Speakers { each: Vec::new(), all: None });

/// The roles of a process.
pub(super) struct Speakers {
    each: Vec<(Role, String, Voice)>,
    /// `None` before the first one.
    all: Option<Voice>,
}

/// What is written of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Voice {
    /// `role=worker member=one`
    pub(super) text: String,
    /// Members of a JSON object.
    pub(super) json: String,
}

/// From now on, lines of this process say that they are this role's, and by which name the cluster knows it.
pub fn speak_as(role: Role, member: &str) {
    SPEAKERS.write().unwrap_or_else(PoisonError::into_inner).add(role, member);
}

/// Tells `write` whose a line of this target is.
pub(super) fn of<T>(target: &str, write: impl FnOnce(Option<&Voice>) -> T) -> T {
    write(SPEAKERS.read().unwrap_or_else(PoisonError::into_inner).of(target))
}

impl Speakers {
    #[cfg(test)]
    pub(super) fn new() -> Self {
        Self { each: Vec::new(), all: None }
    }

    pub(super) fn add(&mut self, role: Role, member: &str) {
        self.each.retain(|(known, _, _)| *known != role);
        self.each.push((role, member.to_owned(), Voice::new(role.as_str(), member)));
        let roles: Vec<_> = self.each.iter().map(|(role, _, _)| role.as_str()).collect();
        let members: Vec<_> = self.each.iter().map(|(_, member, _)| member.as_str()).collect();
        self.all = Some(Voice::new(&roles.join("+"), &members.join("+")));
    }

    pub(super) fn of(&self, target: &str) -> Option<&Voice> {
        let of = role_of(target).and_then(|role| self.each.iter().find(|(known, _, _)| *known == role));
        of.map(|(_, _, voice)| voice).or(self.all.as_ref())
    }
}

/// Whose crate that is.
fn role_of(target: &str) -> Option<Role> {
    match target.split("::").next() {
        Some("claw_gateway") => Some(Role::Gateway),
        Some("claw_shard_worker") => Some(Role::Worker),
        Some("claw_scheduler_leader") => Some(Role::Scheduler),
        _ => None,
    }
}

impl Voice {
    fn new(role: &str, member: &str) -> Self {
        let plain = |c: char| c.is_alphanumeric() || "-_.:+@".contains(c);
        let shown = if member.chars().all(plain) { member.to_owned() } else { format!("{member:?}") };
        let mut json = format!("\"role\":\"{role}\",\"member\":\"");
        for c in member.chars() {
            // Writing into a text can't fail.
            let _ = match c {
                '"' | '\\' => write!(json, "\\{c}"),
                c if c.is_control() => write!(json, "\\u{:04x}", u32::from(c)),
                c => write!(json, "{c}"),
            };
        }
        json.push('"');
        Self { text: format!("role={role} member={shown}"), json }
    }
}

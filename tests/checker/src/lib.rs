//! The rules that must hold whatever fails, checked in one place for simulations and for real processes.
//!
//! A test records what it saw ([`Event`]) in the order in which it saw it and asks for the verdict at the end, when nothing
//! is on its way any more. The rules:
//!
//! 1. What was accepted is delivered.
//! 2. A receiver that leaves out what it had before sees each message once: a message keeps its key and its body.
//! 3. Within a conversation, first deliveries are in the order of acceptance.
//! 4. The epochs of a shard only grow, and nothing is written under one that is not the newest.
//! 5. No bot is held twice at a time.
//!
//! What is due at a time has a rule of its own: [`jobs`].
//!
//! Must hold: a verdict depends on the events only, so one that was kept in a log can be computed again by
//! [`Checker::replay`].

mod event;
pub mod jobs;
mod rules;

use std::fmt;
use std::io::{BufRead, Write};

use anyhow::Context as _;

pub use event::Event;
use rules::{Bots, Epochs, Messages};

/// How many faults of one kind a report spells out.
const SPELT_OUT: usize = 20;

/// Takes events and knows what should not have been.
#[derive(Default)]
pub struct Checker {
    messages: Messages,
    epochs: Epochs,
    bots: Bots,
    log: Option<Box<dyn Write + Send>>,
}

impl Checker {
    /// Also writes each event to `log`, a line of JSON each, before it counts.
    pub fn logging_to(log: impl Write + Send + 'static) -> Self {
        Self { log: Some(Box::new(log)), ..Self::default() }
    }

    /// Reads a log.
    ///
    /// # Errors
    /// When it can't be read, or a line is not an event: the line's number is named.
    pub fn replay(log: impl BufRead) -> anyhow::Result<Self> {
        let mut checker = Self::default();
        for (number, line) in log.lines().enumerate() {
            let event = serde_json::from_str(&line?);
            checker.record(event.with_context(|| format!("line {} is not an event", number + 1))?);
        }
        Ok(checker)
    }

    /// Takes what was seen.
    ///
    /// # Panics
    /// When there is a log and it can't be written: a proof without its record is none.
    #[expect(clippy::expect_used, reason = "a test that can't keep its record must fail loudly")]
    pub fn record(&mut self, event: Event) {
        if let Some(log) = &mut self.log {
            let mut line = serde_json::to_vec(&event).expect("an event is JSON");
            line.push(b'\n');
            log.write_all(&line).and_then(|()| log.flush()).expect("the log of events can be written");
        }
        match event {
            Event::Accepted { conversation, id } => self.messages.accepted(conversation, id),
            Event::Delivered { conversation, id, key, digest } => {
                self.messages.delivered(conversation, id, key, digest);
            }
            Event::Committed { shard, epoch, newest } => self.epochs.committed(shard, epoch, newest),
            Event::Held { bot, by, at } => self.bots.held(&bot, by, at),
            Event::LetGo { bot, by, at } => self.bots.let_go(&bot, &by, at),
        }
    }

    /// How many accepted messages have not been delivered yet: what to wait for before the verdict.
    pub fn outstanding(&self) -> usize {
        self.messages.outstanding()
    }

    /// What is to be said of everything so far.
    pub fn verdict(&self) -> Report {
        let mut report = Report {
            accepted: self.messages.accepted_in_all(),
            delivered: self.messages.delivered_in_all(),
            again: self.messages.again(),
            lost: self.messages.lost(),
            duplicates: self.messages.duplicates(),
            out_of_order: self.messages.out_of_order(),
            stale_writes: self.epochs.faults(),
            held_twice: self.bots.faults(),
        };
        report.lost.sort();
        report
    }
}

/// A verdict. Each list is of faults in words; empty ones are what is hoped for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Messages accepted.
    pub accepted: usize,
    /// Messages delivered, each counted once.
    pub delivered: usize,
    /// Deliveries that a receiver leaves out because it had them before: allowed, but each has a cost.
    pub again: usize,
    /// Rule 1.
    pub lost: Vec<String>,
    /// Rule 2.
    pub duplicates: Vec<String>,
    /// Rule 3.
    pub out_of_order: Vec<String>,
    /// Rule 4.
    pub stale_writes: Vec<String>,
    /// Rule 5.
    pub held_twice: Vec<String>,
}

impl Report {
    /// Whether every rule held.
    pub fn is_clean(&self) -> bool {
        self.kinds().iter().all(|(_, faults)| faults.is_empty())
    }

    fn kinds(&self) -> [(&'static str, &[String]); 5] {
        [
            ("lost", &self.lost),
            ("duplicates after dedup", &self.duplicates),
            ("out of order", &self.out_of_order),
            ("stale writes", &self.stale_writes),
            ("held twice", &self.held_twice),
        ]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} accepted, {} delivered ({} again)", self.accepted, self.delivered, self.again)?;
        write_faults(f, &self.kinds())
    }
}

/// How many faults there are of each kind, and the first of them.
fn write_faults(f: &mut fmt::Formatter<'_>, kinds: &[(&str, &[String])]) -> fmt::Result {
    for (kind, faults) in kinds {
        write!(f, ", {} {kind}", faults.len())?;
    }
    for (kind, faults) in kinds {
        for fault in faults.iter().take(SPELT_OUT) {
            write!(f, "\n  {kind}: {fault}")?;
        }
        if faults.len() > SPELT_OUT {
            write!(f, "\n  {kind}: and {} more", faults.len() - SPELT_OUT)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

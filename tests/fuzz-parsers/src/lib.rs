//! Every parser that reads what strangers send, as functions of bytes for fuzzing.
//!
//! A [`Target`] takes any input and must come back soon, without a panic, whatever it is; some check more (a text is cut into
//! parts that fit). Two things run them: `make fuzz-parsers` with libFuzzer, which follows the coverage, for minutes each; and
//! the tests of this crate, in every run, with each target's own examples and what proptest makes of them.
//!
//! A new adapter is fuzzed by itself: [`claw_channels::Channel::fuzz`] is part of the trait.

use claw_channels::ChannelError;

pub mod channels;
pub mod planning;
pub mod small;

/// Reads any bytes.
pub type Run = Box<dyn Fn(&[u8]) + Send + Sync>;

/// One parser, or some that belong together.
pub struct Target {
    /// What it is called on the command line.
    pub name: String,
    /// Takes any bytes.
    pub run: Run,
    /// Inputs that are understood, from which fuzzing begins.
    pub seeds: Vec<&'static [u8]>,
}

impl Target {
    fn new(name: &str, run: impl Fn(&[u8]) + Send + Sync + 'static, seeds: &[&'static str]) -> Self {
        let seeds = seeds.iter().map(|seed| seed.as_bytes()).collect();
        Self { name: name.to_owned(), run: Box::new(run), seeds }
    }
}

/// All of them.
///
/// # Errors
/// When an adapter refuses the examples of its own catalogue.
pub fn all() -> Result<Vec<Target>, ChannelError> {
    let mut targets = channels::targets()?;
    targets.extend(planning::targets());
    targets.extend(small::targets());
    Ok(targets)
}

#[cfg(test)]
mod tests;

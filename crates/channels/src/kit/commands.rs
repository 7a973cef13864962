//! Commands that people are offered, out of a channel's field `commands`: a line for each, `name: what it does`.
//!
//! Platforms differ in what a name may be made of and in how long all of it may be ([`Rules`]), and in how they are told of it, which is
//! the adapters' own.
//!
//! Must hold: what a platform would refuse is refused when the channel is saved, with what to change; what is there already is not set
//! again, for platforms count that and lock out who does it at each start; a channel without commands leaves those alone that are there.

use claw_types::ChannelId;
use tracing::{info, warn};

use crate::{ChannelError, Field, FieldKind};

/// The field.
pub const COMMANDS: Field = Field::new(
    "commands",
    "Commands",
    FieldKind::List,
    "commands that people are offered, each as name: what it does; if not set, those that are there are left as they are.",
)
.advanced()
.like("ask: Ask the assistant");

/// A command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Without the slash.
    pub name: String,
    /// What it does; its name where that is not said.
    pub description: String,
}

/// What a platform takes.
#[derive(Debug, Clone, Copy)]
pub struct Rules {
    /// Commands of one account.
    pub most: usize,
    /// Characters of a name.
    pub name: usize,
    /// Characters of what a command does.
    pub description: usize,
    /// Whether a name may have this character.
    pub may_have: fn(char) -> bool,
    /// The same in words.
    pub characters: &'static str,
}

impl Rules {
    /// The commands in these lines, in their order.
    ///
    /// # Errors
    /// [`ChannelError::Config`] for what the platform would refuse.
    pub fn read(&self, lines: &[String]) -> Result<Vec<Command>, ChannelError> {
        let most = self.most;
        if lines.len() > most {
            return Err(ChannelError::Config(format!(
                "commands has more than the {most} that can be offered"
            )));
        }
        let mut commands: Vec<Command> = Vec::with_capacity(lines.len());
        for line in lines {
            let command = self.one(line)?;
            if commands.iter().any(|known| known.name == command.name) {
                return Err(ChannelError::Config(format!("commands has {:?} twice", command.name)));
            }
            commands.push(command);
        }
        Ok(commands)
    }

    fn one(&self, line: &str) -> Result<Command, ChannelError> {
        let (name, description) = line.split_once(':').unwrap_or((line, ""));
        let name = name.trim().trim_start_matches('/');
        if !(1..=self.name).contains(&name.chars().count()) || !name.chars().all(self.may_have) {
            return Err(ChannelError::Config(format!(
                "commands: {name:?} is no name of a command: it has 1 to {} {}",
                self.name, self.characters
            )));
        }
        let description = Some(description.trim()).filter(|text| !text.is_empty()).unwrap_or(name);
        if description.chars().count() > self.description {
            return Err(ChannelError::Config(format!(
                "commands: what {name:?} does is told in at most {} characters",
                self.description
            )));
        }
        Ok(Command { name: name.to_owned(), description: description.to_owned() })
    }
}

/// Has a platform offer a channel's commands, if it has some: `replaced` asks what is there and says whether that was something else. A
/// failure is logged, and receiving goes on without: people can write the commands all the same.
pub async fn offer(
    channel: ChannelId,
    commands: &[Command],
    replaced: impl Future<Output = Result<bool, ChannelError>>,
) {
    if commands.is_empty() {
        return;
    }
    match replaced.await {
        Ok(true) => info!(channel.id = %channel, "people are offered {} commands now", commands.len()),
        Ok(false) => {}
        Err(error) => warn!(
            channel.id = %channel,
            "the commands that people are offered are not set, which is tried again when the channel is started anew: {error}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        most: 3,
        name: 4,
        description: 10,
        may_have: |c| c.is_lowercase() || c == '_',
        characters: "lower-case letters and _",
    };

    fn read(lines: &[&str]) -> Result<Vec<Command>, ChannelError> {
        RULES.read(&lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_command_is_a_name_and_what_it_does() {
        let of = |name: &str, description: &str| Command {
            name: name.to_owned(),
            description: description.to_owned(),
        };
        let read = read(&[" /ask : Ask: any ", "hülf", "a_:"]).unwrap();
        assert_eq!(read, [of("ask", "Ask: any"), of("hülf", "hülf"), of("a_", "a_")]);
    }

    #[test]
    fn what_would_be_refused_is_refused_with_a_sentence() {
        let long = format!("a: {}", "é".repeat(11));
        for (lines, words) in [
            (&[""][..], "no name"),
            (&[": x"], "no name"),
            (&["Ask: x"], "1 to 4 lower-case letters and _"),
            (&["a b"], "no name"),
            (&["abcde"], "no name"),
            (&[long.as_str()], "at most 10 characters"),
            (&["a", "/a: again"], "twice"),
            (&["a", "b", "c", "d"], "more than the 3"),
        ] {
            let refused = read(lines);
            let says = |why: &String| why.starts_with("commands") && why.contains(words);
            assert!(
                matches!(&refused, Err(ChannelError::Config(why)) if says(why)),
                "{lines:?}: {refused:?}"
            );
        }
        assert!(read(&[&format!("a: {}", "é".repeat(10))]).is_ok());
    }

    #[tokio::test]
    async fn without_commands_a_platform_is_not_asked() {
        let channel = ChannelId(uuid::Uuid::from_u128(7));
        let asked = std::cell::Cell::new(0);
        let replaced = async || {
            asked.set(asked.get() + 1);
            Ok::<_, ChannelError>(true)
        };
        offer(channel, &[], replaced()).await;
        assert_eq!(asked.get(), 0);
        offer(channel, &read(&["a"]).unwrap(), replaced()).await;
        assert_eq!(asked.get(), 1);
    }
}

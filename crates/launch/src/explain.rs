//! A bad setting on one line: clap would show the value, which may be a secret, and not the variable, by which most
//! people set it.

use std::error::Error as _;

use clap::Command;
use clap::error::{ContextKind, ErrorKind};

/// `None` for what is not about a setting's value.
pub(crate) fn on_one_line(error: &clap::Error, command: &Command) -> Option<String> {
    let text = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let why = match (error.kind(), error.source()) {
        (ErrorKind::ValueValidation, Some(why)) => why.to_string(),
        (ErrorKind::InvalidValue, _) => match text(ContextKind::ValidValue) {
            allowed if allowed.is_empty() => "is empty".to_owned(),
            allowed => format!("must be one of: {allowed}"),
        },
        _ => return None,
    };
    let argument = text(ContextKind::InvalidArg);
    let flag = argument.split([' ', '=']).next().unwrap_or_default();
    Some(match variable(command, flag) {
        Some(variable) => format!("{variable} (or {flag}): {why}"),
        None => format!("{flag}: {why}"),
    })
}

fn variable(command: &Command, flag: &str) -> Option<String> {
    let commands = std::iter::once(command).chain(command.get_subcommands());
    let mut arguments = commands.flat_map(Command::get_arguments);
    let argument = arguments.find(|a| a.get_long().is_some() && a.get_long() == flag.strip_prefix("--"))?;
    argument.get_env().map(|name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use clap::Arg;

    use super::*;

    #[test]
    fn the_variable_is_named_and_the_value_is_not_shown() {
        let secret = Arg::new("key")
            .long("key")
            .env("SOME_KEY")
            .value_parser(|text: &str| text.parse::<u8>().map_err(|_| "is not a number"));
        let mut command = Command::new("test").subcommand(Command::new("go").arg(secret));
        let error = command.try_get_matches_from_mut(["test", "go", "--key", "hunter2"]).unwrap_err();
        let line = on_one_line(&error, &command).unwrap();
        assert_eq!(line, "SOME_KEY (or --key): is not a number");
        let error = command.try_get_matches_from_mut(["test", "--nonsense"]).unwrap_err();
        assert_eq!(on_one_line(&error, &command), None);
    }
}

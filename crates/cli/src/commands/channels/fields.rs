//! Fields of a channel on the command line.

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Map, Value};

/// Fields to give a channel
#[derive(Args)]
pub(super) struct Fields {
    /// Fields, as KEY=VALUE; a list is separated by commas, or has a line for each
    #[arg(value_name = "KEY=VALUE")]
    given: Vec<String>,
    /// A field whose value stands in a file, as KEY=FILE; - for the standard input. For secrets: others on this machine
    /// can read a command line
    #[arg(long, value_name = "KEY=FILE")]
    field_file: Vec<String>,
    /// Do not ask the platform whether it knows the credential
    #[arg(long)]
    no_probe: bool,
}

impl Fields {
    /// Whether the platform is to be asked.
    pub(super) fn probe(&self) -> bool {
        !self.no_probe
    }

    /// All of them, as the API takes them.
    ///
    /// # Errors
    /// When one is no pair, is given twice, or its file can't be read.
    pub(super) fn read(&self) -> anyhow::Result<Map<String, Value>> {
        let mut fields = Map::new();
        let mut add = |key: &str, value: String| match fields.insert(key.to_owned(), value.into()) {
            None => Ok(()),
            Some(_) => bail!("the field {key:?} is given twice"),
        };
        for pair in &self.given {
            let (key, value) = halves(pair)?;
            add(key, value.to_owned())?;
        }
        for pair in &self.field_file {
            let (key, file) = halves(pair)?;
            add(key, content(file).with_context(|| format!("{key}: {file}"))?)?;
        }
        Ok(fields)
    }
}

fn halves(pair: &str) -> anyhow::Result<(&str, &str)> {
    pair.split_once('=').with_context(|| format!("{pair:?} is no field: give it as KEY=VALUE"))
}

/// Without the line break that editors and `echo` put at the end.
fn content(file: &str) -> std::io::Result<String> {
    let text = match file {
        "-" => std::io::read_to_string(std::io::stdin())?,
        file => std::fs::read_to_string(file)?,
    };
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(given: &[&str], files: &[&str]) -> Fields {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        Fields { given: owned(given), field_file: owned(files), no_probe: false }
    }

    #[test]
    fn a_value_may_hold_anything_and_a_secret_may_come_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "7:AAE=x\n").unwrap();
        let secret = format!("token_env={}", file.display());
        let read = fields(&["allowed_users=@ada, 5", "greeting=a=b"], &[&secret]).read().unwrap();
        let expected =
            serde_json::json!({"allowed_users": "@ada, 5", "greeting": "a=b", "token_env": "7:AAE=x"});
        assert_eq!(Value::from(read), expected);
    }

    #[test]
    fn what_is_no_field_is_said() {
        let said = |given: &[&str], files: &[&str]| fields(given, files).read().unwrap_err().to_string();
        assert!(said(&["token"], &[]).contains("KEY=VALUE"));
        assert!(said(&["a=1", "a=2"], &[]).contains("given twice"));
        assert!(said(&[], &["token_env=/nowhere/at-all"]).contains("token_env: /nowhere/at-all"));
    }
}

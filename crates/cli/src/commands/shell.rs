//! What a shell and `man` know of the commands, made of the commands themselves.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Command};
use clap_complete::Shell;

/// Completion of commands
#[derive(Args)]
pub(crate) struct Completions {
    /// For which shell
    shell: Shell,
}

/// Manual pages
#[derive(Args)]
pub(crate) struct Man {
    /// Write a page for each command into this folder, instead of printing the first one
    #[arg(long, value_name = "FOLDER")]
    all: Option<PathBuf>,
}

/// Prints what the shell is to read, e.g. `source <(ii-claw completions bash)`.
pub(crate) fn completions(command: &Completions, mut cli: Command) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(command.shell, &mut cli, "ii-claw", &mut script);
    written(&script)
}

/// Prints the first page, e.g. `ii-claw man | man -l -`, or writes all of them.
pub(crate) fn man(command: &Man, cli: Command) -> anyhow::Result<()> {
    let Some(folder) = &command.all else {
        let mut page = Vec::new();
        clap_mangen::Man::new(cli).render(&mut page)?;
        return written(&page);
    };
    std::fs::create_dir_all(folder).with_context(|| format!("can't make {}", folder.display()))?;
    clap_mangen::generate_to(cli, folder).with_context(|| format!("can't write to {}", folder.display()))
}

fn written(text: &[u8]) -> anyhow::Result<()> {
    crate::api::print(String::from_utf8_lossy(text).trim_end())?;
    Ok(())
}

//! Finding the installed server programs.
//!
//! Distributions disagree about where PostgreSQL's server programs live, and a
//! machine may have several major versions, or only the client library. So
//! every candidate directory is checked for the programs themselves and asked
//! for its version; the first that fits is taken. A cluster that exists
//! already can only be opened by its own major version, which then overrides
//! the order of preference.

use std::{
    env,
    ffi::OsString,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tokio::process::Command;

use crate::Error;

/// The oldest PostgreSQL that will do.
const OLDEST: u32 = 15;
/// Where Debian keeps one directory per major version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A directory with the server programs of one PostgreSQL version.
#[derive(Debug, Clone)]
pub(crate) struct PostgresBinaries(PathBuf);

impl PostgresBinaries {
    /// The programs to create a new cluster with.
    pub(crate) async fn newest() -> Result<Self, Error> {
        Self::find(|major| major >= OLDEST).await.map_err(|looked| Error::PostgresMissing { looked })
    }

    /// The programs for a cluster in `path` made by version `major`.
    pub(crate) async fn of_major(path: &Path, major: u32) -> Result<Self, Error> {
        Self::find(|candidate| candidate == major).await.map_err(|looked| Error::PostgresVersion {
            path: path.to_owned(),
            major,
            looked,
        })
    }

    /// The path of one program.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    async fn find(fits: impl Fn(u32) -> bool) -> Result<Self, String> {
        let mut looked = Vec::new();
        for dir in candidates().await {
            let complete = ["postgres", "initdb", "psql"].iter().all(|name| is_program(&dir.join(name)));
            let version = if complete { major_of(&dir).await } else { None };
            match version {
                Some(major) if fits(major) => return Ok(Self(dir)),
                Some(major) => looked.push(format!("{} has {major}", dir.display())),
                None => looked.push(format!("{} has no server", dir.display())),
            }
        }
        if looked.is_empty() {
            looked.push(format!("pg_config, {DEBIAN}, PATH"));
        }
        Err(looked.join(", "))
    }
}

/// The nats-server program.
pub(crate) fn nats_server() -> Result<PathBuf, Error> {
    if let Some(path) = env::var_os("II_CLAW_NATS_BIN") {
        let path = PathBuf::from(path);
        let inside = path.join("nats-server");
        return [path, inside].into_iter().find(|path| is_program(path)).ok_or(Error::NatsMissing);
    }
    search_path()
        .chain(["/usr/sbin", "/usr/local/bin"].map(PathBuf::from))
        .map(|dir| dir.join("nats-server"))
        .find(|path| is_program(path))
        .ok_or(Error::NatsMissing)
}

/// The directories worth a look, best first.
async fn candidates() -> Vec<PathBuf> {
    if let Some(dir) = env::var_os("II_CLAW_POSTGRES_BIN") {
        return vec![PathBuf::from(dir)];
    }
    let mut dirs: Vec<PathBuf> = Vec::new();
    let told = first_line(Command::new("pg_config").arg("--bindir")).await;
    dirs.extend(told.map(PathBuf::from));
    dirs.extend(debian_dirs(Path::new(DEBIAN)));
    dirs.extend(search_path().filter_map(|dir| {
        let program = dir.join("postgres").canonicalize().ok()?;
        program.parent().map(Path::to_owned)
    }));
    let mut seen = std::collections::HashSet::new();
    dirs.retain(|dir| seen.insert(dir.clone()));
    dirs
}

/// `<base>/<major>/bin` for every major version there, newest first.
fn debian_dirs(base: &Path) -> Vec<PathBuf> {
    let mut majors: Vec<u32> = std::fs::read_dir(base)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    majors.sort_unstable_by(|a, b| b.cmp(a));
    majors.into_iter().map(|major| base.join(major.to_string()).join("bin")).collect()
}

fn search_path() -> impl Iterator<Item = PathBuf> {
    let path: OsString = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).filter(|dir| dir.is_absolute()).collect::<Vec<_>>().into_iter()
}

fn is_program(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

async fn major_of(dir: &Path) -> Option<u32> {
    let line = first_line(Command::new(dir.join("postgres")).arg("--version")).await?;
    parse_major(&line)
}

/// `postgres (PostgreSQL) 15.18 (Debian ...)` or `... 18beta1` to its major.
fn parse_major(line: &str) -> Option<u32> {
    let version = line.split_once("(PostgreSQL)")?.1.trim_start();
    let digits = version.find(|c: char| !c.is_ascii_digit());
    version[..digits.unwrap_or(version.len())].parse().ok()
}

async fn first_line(command: &mut Command) -> Option<String> {
    let output = command.kill_on_drop(true).output().await.ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{debian_dirs, parse_major};

    #[test]
    fn major_is_read_from_every_form_of_version() {
        let of = |version: &str| parse_major(&format!("postgres (PostgreSQL) {version}"));
        assert_eq!(of("15.18 (Debian 15.18-0+deb12u1)"), Some(15));
        assert_eq!(of("18beta1"), Some(18));
        assert_eq!(of("17"), Some(17));
        assert_eq!(of(""), None);
        assert_eq!(parse_major("something else 15.1"), None);
    }

    #[test]
    fn newest_debian_version_comes_first() {
        let base = std::env::temp_dir().join(format!("devstack-bin-{}", std::process::id()));
        for name in ["9", "15", "17", "common"] {
            std::fs::create_dir_all(base.join(name)).unwrap();
        }
        let dirs = debian_dirs(&base);
        std::fs::remove_dir_all(&base).unwrap();
        let expected = ["17", "15", "9"].map(|major| base.join(major).join("bin"));
        assert_eq!(dirs, expected);
        assert!(debian_dirs(&base).is_empty());
    }
}

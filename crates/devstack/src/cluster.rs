//! The PostgreSQL cluster on disk, and the programs run on it.
//!
//! A cluster is made in a scratch directory next to its place and renamed
//! into it, password and all: at any moment there is either a complete cluster
//! or none. The scratch name is new every time, since an `initdb` that lost
//! its parent to `kill -9` may still be writing to the last one.

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{fs, process::Command, time::timeout};

use crate::{Error, account::Account, binaries::PostgresBinaries, dir};

/// The database, and the role that owns everything.
pub(crate) const NAME: &str = "ii_claw";
/// How long a helper program may take.
const PATIENCE: Duration = Duration::from_mins(2);
/// What the server is told at every start, so that no file goes stale.
/// Durability (`fsync`, `synchronous_commit`) stays at its safe default.
const SETTINGS: [&str; 10] = [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=200",
    "shared_buffers=64MB",
    // As much log as it may have anyhow, kept to be used again: while a new piece is made, every commit waits.
    "min_wal_size=1GB",
    "logging_collector=off",
    "log_destination=stderr",
    "log_checkpoints=off",
    "timezone=UTC",
    "log_timezone=UTC",
];

/// A complete cluster with its password and the programs that fit it.
#[derive(Debug)]
pub(crate) struct Cluster {
    home: PathBuf,
    account: Option<Account>,
    binaries: PostgresBinaries,
    password: String,
}

impl Cluster {
    /// Opens the cluster in `home`, creating it when there is none.
    pub(crate) async fn open(home: PathBuf, account: Option<Account>) -> Result<Self, Error> {
        remove_scratch(&home).await;
        let version = home.join("data").join("PG_VERSION");
        let binaries = match fs::read_to_string(&version).await {
            Ok(text) => {
                let major = text.trim().parse().unwrap_or_default();
                PostgresBinaries::of_major(&home, major).await?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let binaries = PostgresBinaries::newest().await?;
                create(&home, account.as_ref(), &binaries).await?;
                binaries
            }
            Err(error) => return Err(Error::io(format!("read {}", version.display()))(error)),
        };
        let secret = home.join("password");
        let password =
            fs::read_to_string(&secret).await.map_err(Error::io(format!("read {}", secret.display())))?;
        Ok(Self { home, account, binaries, password })
    }

    /// The server's data directory, which is also where it works.
    pub(crate) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// The file with the password.
    pub(crate) fn password_file(&self) -> PathBuf {
        self.home.join("password")
    }

    /// The URL for a server listening on `port`.
    pub(crate) fn url(&self, port: u16) -> String {
        let password = &self.password;
        format!("postgres://{NAME}:{password}@127.0.0.1:{port}/{NAME}")
    }

    /// The command that serves this cluster in the foreground.
    pub(crate) fn server(&self, port: u16) -> Command {
        let mut command = self.tool("postgres");
        command.arg("-D").arg(self.data());
        command.arg("-p").arg(port.to_string());
        for setting in SETTINGS {
            command.arg("-c").arg(setting);
        }
        command
    }

    /// Creates the database when missing; proves that the password is right.
    ///
    /// What a killed caller asked for still goes on in the server: a failure
    /// to create a database that is there afterwards is none.
    pub(crate) async fn ensure_database(&self, port: u16) -> Result<(), String> {
        if self.has_database(port).await? {
            return Ok(());
        }
        let created = self.query(port, &format!("CREATE DATABASE {NAME}")).await;
        if let Err(output) = created
            && !self.has_database(port).await?
        {
            return Err(output);
        }
        tracing::debug!(database = NAME, "created");
        Ok(())
    }

    async fn has_database(&self, port: u16) -> Result<bool, String> {
        let exists = format!("SELECT 1 FROM pg_database WHERE datname = '{NAME}'");
        Ok(!self.query(port, &exists).await?.trim().is_empty())
    }

    async fn query(&self, port: u16, sql: &str) -> Result<String, String> {
        let mut psql = self.tool("psql");
        psql.args(["-X", "-w", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"])
            .args(["-h", "127.0.0.1", "-U", NAME, "-d", "postgres", "-p"])
            .arg(port.to_string())
            .args(["-c", sql])
            .env("PGPASSWORD", &self.password)
            .env("PGCONNECT_TIMEOUT", "10")
            .env("PGSSLMODE", "disable")
            .env("PGGSSENCMODE", "disable");
        let output = run(&mut psql).await.map_err(|error| error.to_string())?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(said(&output))
        }
    }

    fn tool(&self, name: &str) -> Command {
        tool(&self.binaries, name, &self.home, self.account.as_ref())
    }
}

/// What `postmaster.pid` says about the server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PidFile {
    pub(crate) pid: u32,
    pub(crate) port: u16,
    /// Whether it accepts connections, rather than starting or stopping.
    pub(crate) ready: bool,
}

impl PidFile {
    /// Where the server of a cluster keeps it.
    pub(crate) fn path(data: &Path) -> PathBuf {
        data.join("postmaster.pid")
    }

    /// Reads it; `None` when there is none, or not even a number in it.
    pub(crate) async fn read(data: &Path) -> Option<Self> {
        Self::parse(&fs::read_to_string(Self::path(data)).await.ok()?)
    }

    /// The lines are: pid, data, start time, port, socket, address, shared
    /// memory, status. The server adds the later ones as it gets there.
    fn parse(text: &str) -> Option<Self> {
        let line = |index: usize| text.lines().nth(index).unwrap_or_default().trim();
        Some(Self {
            pid: line(0).parse().ok()?,
            port: line(3).parse().unwrap_or_default(),
            ready: line(7) == "ready",
        })
    }
}

async fn create(home: &Path, account: Option<&Account>, binaries: &PostgresBinaries) -> Result<(), Error> {
    tracing::info!(data = %home.display(), "creating the database");
    let scratch = dir::sibling(home, &format!(".tmp.{:08x}", rand::random::<u32>()));
    dir::make(&scratch, 0o700)?;
    let password = scratch.join("password");
    dir::write_secret(&password, &dir::secret())?;
    if let Some(account) = account {
        account.own(&scratch)?;
        account.own(&password)?;
    }
    let mut output = initdb(&scratch, account, binaries, "C.UTF-8").await?;
    if !output.status.success() && said(&output).contains("locale") {
        // Not every system has it; this one is built in everywhere.
        output = initdb(&scratch, account, binaries, "C").await?;
    }
    if !output.status.success() {
        let _ = fs::remove_dir_all(&scratch).await;
        return Err(Error::Tool {
            program: binaries.program("initdb").display().to_string(),
            what: format!("create the database in {}", home.display()),
            output: said(&output),
        });
    }
    fs::rename(&scratch, home)
        .await
        .map_err(Error::io(format!("move the new database to {}, which should not exist", home.display())))?;
    dir::sync(home.parent().unwrap_or(home)).await
}

async fn initdb(
    scratch: &Path,
    account: Option<&Account>,
    binaries: &PostgresBinaries,
    locale: &str,
) -> Result<Output, Error> {
    let mut command = tool(binaries, "initdb", scratch, account);
    command
        .arg("-D")
        .arg(scratch.join("data"))
        .arg("--pwfile")
        .arg(scratch.join("password"))
        .args(["-U", NAME, "-E", "UTF8", "--auth=scram-sha-256"])
        .arg("--no-instructions")
        .arg(format!("--locale={locale}"));
    run(&mut command).await
}

/// Removes what interrupted creations left; what resists is left for later.
async fn remove_scratch(home: &Path) {
    let (Some(parent), Some(name)) = (home.parent(), home.file_name()) else {
        return;
    };
    let prefix = format!("{}.tmp.", name.to_string_lossy());
    let Ok(mut entries) = fs::read_dir(parent).await else {
        return;
    };
    while let Ok(Some(entry)) = entries.next_entry().await {
        if entry.file_name().to_string_lossy().starts_with(&prefix)
            && let Err(error) = fs::remove_dir_all(entry.path()).await
        {
            tracing::warn!(path = %entry.path().display(), %error, "could not remove");
        }
    }
}

/// One of PostgreSQL's programs, with none of our environment (which may hold
/// secrets, or `PG*` variables that point elsewhere) and in a fixed language.
fn tool(binaries: &PostgresBinaries, name: &str, dir: &Path, account: Option<&Account>) -> Command {
    let mut command = Command::new(binaries.program(name));
    command
        .env_clear()
        .envs(["PATH", "LD_LIBRARY_PATH"].into_iter().filter_map(|name| {
            let value = std::env::var_os(name)?;
            Some((name, value))
        }))
        .env("LC_ALL", "C")
        .current_dir(dir);
    if let Some(account) = account {
        account.apply(&mut command);
    }
    command
}

async fn run(command: &mut Command) -> Result<Output, Error> {
    let program = command.as_std().get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
    match timeout(PATIENCE, output).await {
        Ok(output) => output.map_err(Error::io(format!("run {program}"))),
        Err(_) => Err(Error::Tool {
            program,
            what: "do its work".to_owned(),
            output: format!("(nothing within {} s)", PATIENCE.as_secs()),
        }),
    }
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::PidFile;

    #[test]
    fn pid_file_is_read_at_every_stage() {
        let parse = PidFile::parse;
        assert_eq!(parse(""), None);
        assert_eq!(parse("-42\n/data\n"), None);
        let starting = parse("42\n/data\n1700000000\n5433\n").unwrap();
        assert_eq!((starting.pid, starting.port), (42, 5433));
        assert!(!starting.ready);
        let text = "42\n/data\n1700000000\n5433\n\n127.0.0.1\n 1 2\n";
        assert!(parse(&format!("{text}ready   \n")).unwrap().ready);
        assert!(!parse(&format!("{text}stopping\n")).unwrap().ready);
    }
}

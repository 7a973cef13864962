//! A real PgBouncer before a test's database, in transaction mode, with few sessions for many clients.

use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::TestDatabase;

/// Where Debian puts it, which is not on everybody's path.
const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A running PgBouncer; killed with its handle.
pub struct PgBouncer {
    url: String,
    _process: Child,
    _folder: TempDir,
}

impl PgBouncer {
    /// Starts one that shares `sessions` sessions of the database among all its clients.
    ///
    /// # Panics
    /// When it can't be started: `make setup-test` installs it.
    pub async fn start(database: &TestDatabase, sessions: u32) -> Self {
        let server = reqwest::Url::parse(database.url()).expect("the database's URL is one");
        // A port is one that was free a moment ago: somebody may take it meanwhile.
        for _ in 0..5 {
            if let Some(bouncer) = Self::try_start(&server, sessions).await {
                return bouncer;
            }
        }
        panic!("PgBouncer ends at once, five times");
    }

    /// `None` when it ended, as it does when its port is taken.
    async fn try_start(server: &reqwest::Url, sessions: u32) -> Option<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it is bound").port();
        drop(listener);
        let folder = tempfile::Builder::new().prefix("ii-claw-pgbouncer-").tempdir().expect("a folder");
        let mut process = command(&folder, server, port, sessions).spawn().unwrap_or_else(|error| {
            panic!("{PROGRAM} does not start ({error}): run `scripts/setup.sh test`")
        });
        let mut log = BufReader::new(process.stderr.take().expect("piped")).lines();
        let listening = tokio::time::timeout(Duration::from_secs(60), async {
            while let Some(line) = log.next_line().await.expect("its log can be read") {
                if line.contains("listening on 127.0.0.1:") {
                    return true;
                }
            }
            false
        });
        if !listening.await.expect("PgBouncer listens within a minute") {
            return None;
        }
        // Its pipe must stay open as long as it runs.
        #[expect(clippy::disallowed_methods, reason = "ends with the pipe")]
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        let mut url = server.clone();
        url.set_host(Some("127.0.0.1")).expect("a URL of Postgres has a host");
        url.set_port(Some(port)).expect("a URL of Postgres has a port");
        Some(Self { url: url.into(), _process: process, _folder: folder })
    }

    /// The database's URL, through it.
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// The command, with its configuration in the folder.
fn command(folder: &TempDir, server: &reqwest::Url, port: u16, sessions: u32) -> Command {
    let (users, config) = (folder.path().join("users.txt"), folder.path().join("pgbouncer.ini"));
    let user = format!("\"{}\" \"{}\"\n", server.username(), server.password().unwrap_or_default());
    std::fs::write(&users, user).expect("the folder can be written");
    let host = server.host_str().expect("the database's URL has a host");
    let text = format!(
        "[databases]\n* = host={host} port={}\n\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
         unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = transaction\n\
         default_pool_size = {sessions}\nmax_client_conn = 500\n",
        server.port().unwrap_or(5432),
        users.display(),
    );
    std::fs::write(&config, text).expect("the folder can be written");
    let mut command = Command::new(PROGRAM);
    command.arg(&config).stdin(Stdio::null()).stderr(Stdio::piped()).kill_on_drop(true);
    if nix::unistd::geteuid().is_root() {
        // It refuses to run as root.
        let nobody = nix::unistd::User::from_name("nobody").ok().flatten().expect("there is a user nobody");
        for path in [folder.path(), &users, &config] {
            let given = chown(path, Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw()));
            given.expect("the folder can be given away");
        }
        command.uid(nobody.uid.as_raw()).gid(nobody.gid.as_raw());
    }
    command
}

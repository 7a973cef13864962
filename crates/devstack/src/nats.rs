//! The private nats-server, with JetStream.
//!
//! It is configured by a file written at every start, from which only the
//! token and the stored streams outlive the server. A server that outlived its
//! caller is found by its pid file and adopted when that process works in our
//! directory and takes our token. Whether a server is ready is found out by
//! speaking the opening of its protocol, which is four lines.

use std::{
    io::{self, ErrorKind},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use nix::sys::signal::Signal;
use tokio::{
    fs,
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    process::Command,
    time::{sleep, timeout},
};

use crate::{
    Error, binaries,
    dir::{self, DirLock, PortFile},
    log::Log,
    process::{Kind, Server, is_at_work},
    service::Service,
};

/// How long a start may take, reading the stored streams included.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long one attempt to talk to the server may take.
const ATTEMPT: Duration = Duration::from_secs(2);
/// How often a starting server is spoken to.
const LOOK: Duration = Duration::from_millis(25);
/// First in order, then by force.
const STOP: [(Signal, Duration); 2] =
    [(Signal::SIGTERM, Duration::from_secs(15)), (Signal::SIGKILL, Duration::from_secs(5))];

/// Starts a nats-server; its URL is `nats://token@127.0.0.1:port`.
#[derive(Debug)]
pub struct Nats;

impl Nats {
    /// Starts a server on the data under `dir`, or adopts the one running.
    ///
    /// # Errors
    ///
    /// When nats-server is not installed, when `dir` is in use or cannot be
    /// written, or when the server does not become ready in time.
    pub async fn start(dir: &Path) -> Result<Service, Error> {
        let dir = dir::create(dir).await?;
        let home = dir.join("nats");
        dir::make(&home, 0o700)?;
        let lock = DirLock::acquire(&dir.join("nats.lock"))?;
        let starter = Starter {
            kind: Kind {
                service: "nats-server",
                dir: home.clone(),
                log: Log::at(dir.join("nats.log")),
                stop: &STOP,
            },
            ports: PortFile::at(dir.join("nats.port")),
            token: token(&home).await?,
            program: binaries::nats_server()?,
        };
        let (server, port) = starter.kind.ready_within(PATIENCE, starter.bring_up()).await?;
        Ok(Service::new(server, format!("nats://{}@127.0.0.1:{port}", starter.token), lock))
    }
}

/// What a start needs.
struct Starter {
    kind: Kind,
    ports: PortFile,
    token: String,
    program: PathBuf,
}

impl Starter {
    /// A ready server, and its port.
    async fn bring_up(&self) -> Result<(Server, u16), Error> {
        loop {
            if let Some(adopted) = self.adopt().await? {
                return Ok(adopted);
            }
            let Some(log) = self.kind.log.claim()? else {
                // It has not written its pid file yet, or is ending.
                sleep(LOOK).await;
                continue;
            };
            let port = self.ports.claim().await?;
            let file = self.kind.dir.join("nats.conf");
            dir::write_secret(&file, &config(port, &self.token))?;
            let before = self.kind.log.len();
            let mut command = Command::new(&self.program);
            command.arg("-c").arg(&file).current_dir(&self.kind.dir);
            command.env_clear();
            let mut server = Server::spawn(self.kind.clone(), command, log)?;
            match self.ready(&mut server, port).await {
                Ok(()) => {
                    tracing::info!(pid = server.pid(), port, "nats-server is ready");
                    return Ok((server, port));
                }
                Err(error) => {
                    // The port was taken between our look and its start.
                    if !self.kind.log.since(before).contains("already in use") {
                        return Err(error);
                    }
                }
            }
        }
    }

    /// The server that already runs here, once it is ready.
    async fn adopt(&self) -> Result<Option<(Server, u16)>, Error> {
        let Ok(text) = fs::read_to_string(self.kind.dir.join("nats.pid")).await else {
            return Ok(None);
        };
        let (Ok(pid), Some(port)) = (text.trim().parse(), self.ports.read().await) else {
            return Ok(None);
        };
        while is_at_work(pid, &self.kind.dir) {
            match greet(port, &self.token).await {
                Ok(()) => return Ok(Some((Server::adopt(self.kind.clone(), pid), port))),
                Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                    return Err(Error::Refused {
                        pid,
                        path: self.kind.dir.join("token"),
                        output: error.to_string(),
                    });
                }
                // It is starting, or stopping.
                Err(_) => sleep(LOOK).await,
            }
        }
        Ok(None)
    }

    async fn ready(&self, server: &mut Server, port: u16) -> Result<(), Error> {
        while greet(port, &self.token).await.is_err() {
            if let Some(error) = server.failed() {
                return Err(error);
            }
            sleep(LOOK).await;
        }
        Ok(())
    }
}

/// The token of the server in `home`, made when there is none.
async fn token(home: &Path) -> Result<String, Error> {
    let path = home.join("token");
    let failed = || Error::io(format!("keep a token in {}", path.display()));
    match fs::read_to_string(&path).await {
        Ok(token) => return Ok(token),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed()(error)),
    }
    let token = dir::secret();
    let scratch = home.join("token.tmp");
    dir::write_secret(&scratch, &token)?;
    fs::rename(&scratch, &path).await.map_err(failed())?;
    Ok(token)
}

/// The configuration. Paths are relative to the server's directory, so that
/// any name of it will do and the directory can be moved.
fn config(port: u16, token: &str) -> String {
    format!(
        "# Written at every start; changes here are lost.\n\
         listen: \"127.0.0.1:{port}\"\n\
         authorization {{ token: \"{token}\" }}\n\
         max_payload: 1048576\n\
         pid_file: \"nats.pid\"\n\
         jetstream {{ store_dir: \".\" }}\n"
    )
}

/// Says hello to a server and expects it to accept the token.
async fn greet(port: u16, token: &str) -> io::Result<()> {
    timeout(ATTEMPT, async {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        let mut stream = BufReader::new(stream);
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        if !line.starts_with("INFO ") {
            return Err(io::Error::new(ErrorKind::InvalidData, line));
        }
        let hello = format!(
            "CONNECT {{\"auth_token\":\"{token}\",\"verbose\":false,\"pedantic\":false}}\r\nPING\r\n"
        );
        stream.write_all(hello.as_bytes()).await?;
        loop {
            line.clear();
            if stream.read_line(&mut line).await? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
            match line.trim_end() {
                "PONG" => return Ok(()),
                text if text.starts_with("-ERR") => {
                    return Err(io::Error::new(ErrorKind::PermissionDenied, text));
                }
                _ => {}
            }
        }
    })
    .await
    .unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::config;

    #[test]
    fn only_this_machine_and_only_with_the_token() {
        let text = config(4222, "s3cret");
        assert!(text.contains("listen: \"127.0.0.1:4222\""));
        assert!(text.contains("authorization { token: \"s3cret\" }"));
    }
}

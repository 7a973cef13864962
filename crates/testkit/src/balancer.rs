//! A plain round robin in front of several gateways: nginx, with nothing that would keep a caller at one of them.
//!
//! One process without a master, so that killing it leaves nothing behind and it is the same for root and for anyone
//! else. (Such a process can't be handed a socket that already listens: nginx 1.22 crashes. So a port is tried that was
//! free a moment ago, and another when somebody took it meanwhile.)

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::eventually;

/// A running nginx; killed with its handle.
pub struct Balancer {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Balancer {
    /// Listens on a free port and hands requests to these servers in turn.
    ///
    /// # Panics
    /// When nginx can't be started: `make setup-test` installs it.
    pub async fn start(upstreams: &[SocketAddr]) -> Self {
        let mut complaints = String::new();
        for _ in 0..5 {
            match Self::try_start(upstreams).await {
                Ok(balancer) => return balancer,
                Err(why) => complaints = why,
            }
        }
        panic!("nginx ends at once:\n{complaints}");
    }

    /// Its complaints when it ended.
    async fn try_start(upstreams: &[SocketAddr]) -> Result<Self, String> {
        let free = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = free.local_addr().expect("a bound address");
        drop(free);
        let folder = tempfile::Builder::new().prefix("ii-claw-balancer-").tempdir().expect("a folder");
        std::fs::write(folder.path().join("nginx.conf"), config(address, upstreams)).expect("a written file");
        let child = Command::new(program())
            .args(["-e", "error.log", "-c", "nginx.conf", "-p"])
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("nginx runs (`scripts/setup.sh test` installs it)");
        let mut balancer = Self { child, address, folder };
        let ended = eventually("nginx to be ready", Duration::from_secs(30), async || {
            if balancer.child.try_wait().expect("its status is known").is_some() {
                return Some(true);
            }
            // Written once it listens.
            balancer.folder.path().join("nginx.pid").exists().then_some(false)
        });
        if ended.await { Err(balancer.complaints()) } else { Ok(balancer) }
    }

    /// `http://host:port`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many requests each server has answered so far. A socket or a stream counts when it has ended.
    pub fn served(&self) -> BTreeMap<SocketAddr, usize> {
        let mut served = BTreeMap::new();
        for line in self.log("access.log").lines() {
            // After a failed attempt both servers are named; the last one is the one that answered.
            let last = line.split('\t').next().unwrap_or_default().rsplit(", ").next().unwrap_or_default();
            if let Ok(server) = last.parse::<SocketAddr>() {
                *served.entry(server).or_default() += 1;
            }
        }
        served
    }

    /// What it had to complain about.
    pub fn complaints(&self) -> String {
        self.log("error.log")
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }
}

/// Debian keeps it where only root's path leads.
fn program() -> PathBuf {
    let places = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"];
    places.map(PathBuf::from).into_iter().find(|place| place.exists()).unwrap_or_else(|| "nginx".into())
}

/// What nginx itself answers to a request that makes no sense to it.
const REFUSED: &str = r#"{"title":"Bad Request","status":400,"detail":"the path is malformed: send another one","error":"the path is malformed: send another one"}"#;

/// Every path in it is below the folder that nginx is given.
fn config(address: SocketAddr, upstreams: &[SocketAddr]) -> String {
    let servers = upstreams.iter().fold(String::new(), |mut list, upstream| {
        // Without a count of failures: a server is never passed over.
        let _ = write!(list, " server {upstream} max_fails=0;");
        list
    });
    format!(
        r#"
daemon off;
master_process off;
pid nginx.pid;
error_log error.log notice;
events {{ worker_connections 1024; }}
http {{
    log_format served "$upstream_addr\t$status\t$request_method $uri";
    access_log access.log served;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    # What is wrong with a request is for the gateway to say.
    client_max_body_size 0;
    large_client_header_buffers 8 64k;
    ignore_invalid_headers off;
    underscores_in_headers on;
    # One request, one turn, also on a connection that the caller keeps: nothing to the servers is kept.
    upstream gateways {{{servers} }}
    map $http_upgrade $upstream_connection {{ "" close; default upgrade; }}
    server {{
        listen {address};
        # A path with a NUL in it, or that leads above the root, gets no further than here.
        error_page 400 /refused;
        location = /refused {{
            internal;
            default_type application/problem+json;
            return 400 '{REFUSED}';
        }}
        location / {{
            proxy_pass http://gateways;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $upstream_connection;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            # Streams of events go through as they come.
            proxy_buffering off;
            proxy_read_timeout 75s;
        }}
    }}
}}
"#
    )
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::TcpStream;

    use super::*;

    /// Begins to answer every request with this event, and never ends.
    async fn streams(event: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let answer =
                    format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: {event}\n\n");
                stream.write_all(answer.as_bytes()).await.unwrap();
                open.push(stream);
            }
        });
        address
    }

    /// The first line of data of an answer that goes on.
    async fn first_event(address: SocketAddr) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /events HTTP/1.1\r\nhost: example\r\n\r\n").await.unwrap();
        let mut lines = BufReader::new(stream).lines();
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(event) = line.strip_prefix("data: ") {
                return event.to_owned();
            }
        }
        panic!("it ended");
    }

    #[tokio::test]
    async fn a_stream_goes_through_while_it_is_open_and_each_request_has_its_turn() {
        let servers = [streams("one").await, streams("two").await];
        let balancer = Balancer::start(&servers).await;
        let mut seen = Vec::new();
        for _ in 0..4 {
            let event = tokio::time::timeout(Duration::from_secs(10), first_event(balancer.address()));
            seen.push(event.await.expect("the event within 10 s"));
        }
        assert_eq!(seen, ["one", "two", "one", "two"]);
        eventually("two requests at each", Duration::from_secs(10), async || {
            servers.iter().all(|server| balancer.served().get(server) == Some(&2)).then_some(())
        })
        .await;
    }

    #[tokio::test]
    async fn it_ends_with_its_handle() {
        let balancer = Balancer::start(&[streams("one").await]).await;
        let address = balancer.address();
        first_event(address).await;
        drop(balancer);
        eventually("nobody to listen", Duration::from_secs(10), async || {
            TcpStream::connect(address).await.is_err().then_some(())
        })
        .await;
    }
}

//! A network that fails on command: a TCP proxy of our own, one for each way that a test wants to break.
//!
//! What a process can notice of a fault differs by fault, and that is the point of having all of them: a cut tells both
//! ends at once, a black hole tells nobody, a half-open connection tells one end only.
//!
//! What must hold: in [`Mode::Pass`] it is a plain wire (ends are passed on, too); a change counts for open and for new
//! connections; and what a black hole held back arrives when it ends, as TCP would send it again.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Bytes that are carried at a time.
const CHUNK: usize = 16 * 1024;

/// One of the two ends that a proxy connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Who connected to the proxy.
    Client,
    /// Whom the proxy connected to.
    Server,
}

/// What the network does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// All is well.
    Pass,
    /// Each chunk arrives so much later.
    Delay(Duration),
    /// Open connections are reset at both ends, new ones as soon as they are accepted.
    Cut,
    /// Nothing is forwarded and nothing is closed; new connections are accepted and held.
    BlackHole,
    /// This end of every connection is closed while the other one stays open and hears nothing. A new connection is held
    /// or reset accordingly. Once the network is well again, what stayed open is reset.
    HalfOpen {
        /// The end that sees its connection closed.
        closed: End,
    },
}

impl Mode {
    fn forwards(self) -> bool {
        matches!(self, Self::Pass | Self::Delay(_))
    }

    /// Whether open connections end.
    fn breaks(self) -> bool {
        matches!(self, Self::Cut | Self::HalfOpen { .. })
    }
}

#[derive(Default)]
struct Counts {
    connections: AtomicU64,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

/// A running proxy; its connections end with its handle.
pub struct FaultProxy {
    address: SocketAddr,
    mode: watch::Sender<Mode>,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

impl FaultProxy {
    /// Listens on a free port of this machine and forwards to `server`.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let mode = watch::Sender::new(Mode::Pass);
        let counts = Arc::<Counts>::default();
        #[expect(clippy::disallowed_methods, reason = "aborted with the handle")]
        let task = tokio::spawn(accept(listener, server, mode.subscribe(), Arc::clone(&counts)));
        Self { address, mode, counts, task }
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the network does this.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> u64 {
        self.counts.connections.load(Ordering::Relaxed)
    }

    /// How many bytes were forwarded so far: to the server, to clients.
    pub fn bytes(&self) -> (u64, u64) {
        (self.counts.to_server.load(Ordering::Relaxed), self.counts.to_client.load(Ordering::Relaxed))
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        // The connections' tasks end because the sender of modes is gone.
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, mode: watch::Receiver<Mode>, counts: Arc<Counts>) {
    loop {
        // An error is of that one connection, or of too many open files: the next connection tells.
        let Ok((client, _)) = listener.accept().await else { continue };
        counts.connections.fetch_add(1, Ordering::Relaxed);
        #[expect(clippy::disallowed_methods, reason = "ends with its connection, or with the proxy")]
        tokio::spawn(connection(client, server, mode.clone(), Arc::clone(&counts)));
    }
}

/// Carries one connection to its end. That it failed is for its two ends to say.
async fn connection(
    client: TcpStream,
    server: SocketAddr,
    mut mode: watch::Receiver<Mode>,
    counts: Arc<Counts>,
) {
    let now = mode.wait_for(|mode| *mode != Mode::BlackHole).await.map(|mode| *mode);
    match now {
        Ok(Mode::Cut | Mode::HalfOpen { closed: End::Client }) => reset(&client),
        Ok(Mode::HalfOpen { closed: End::Server }) => hold(client, &mut mode).await,
        Ok(_) => match TcpStream::connect(server).await {
            Ok(server) => carry(client, server, &mut mode, &counts).await,
            Err(_) => reset(&client),
        },
        Err(_) => {}
    }
}

async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    mode: &mut watch::Receiver<Mode>,
    counts: &Counts,
) {
    // Neither end waits for more before it sends, so the proxy must not either.
    let _slower = client.set_nodelay(true).and(server.set_nodelay(true));
    let broken = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let to_server = pump(from_client, to_server, mode.clone(), &counts.to_server);
        let to_client = pump(from_server, to_client, mode.clone(), &counts.to_client);
        let ended = async { tokio::try_join!(to_server, to_client) };
        tokio::select! {
            _ = ended => None,
            broken = mode.wait_for(|mode| mode.breaks()) => broken.ok().map(|mode| *mode),
        }
    };
    match broken {
        Some(Mode::HalfOpen { closed: End::Server }) => {
            drop(server);
            hold(client, mode).await;
        }
        Some(Mode::HalfOpen { closed: End::Client }) => {
            drop(client);
            hold(server, mode).await;
        }
        Some(_) => {
            reset(&client);
            reset(&server);
        }
        None => {}
    }
}

/// Forwards one direction until its end, which is passed on.
async fn pump(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut mode: watch::Receiver<Mode>,
    count: &AtomicU64,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        forwarding(&mut mode).await?;
        let mut paused = mode.clone();
        let read = tokio::select! {
            biased;
            // What is not read stays with the sender's kernel, as on a wire that takes nothing.
            paused = paused.wait_for(|mode| !mode.forwards()) => {
                paused.map_err(gone)?;
                continue;
            }
            read = from.read(&mut chunk) => read?,
        };
        let now = *mode.borrow();
        if let Mode::Delay(delay) = now {
            tokio::time::sleep(delay).await;
        }
        // A fault that began meanwhile keeps it, too.
        forwarding(&mut mode).await?;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&chunk[..read]).await?;
        count.fetch_add(read as u64, Ordering::Relaxed);
    }
}

async fn forwarding(mode: &mut watch::Receiver<Mode>) -> io::Result<()> {
    mode.wait_for(|mode| mode.forwards()).await.map(drop).map_err(gone)
}

fn gone(_: watch::error::RecvError) -> io::Error {
    io::Error::other("the proxy has ended")
}

/// Keeps an end that hears nothing until the network is well again, which then knows nothing of the connection.
async fn hold(end: TcpStream, mode: &mut watch::Receiver<Mode>) {
    if mode.wait_for(|mode| mode.forwards() || *mode == Mode::Cut).await.is_ok() {
        reset(&end);
    }
}

/// The next close of this socket is a reset.
fn reset(end: &TcpStream) {
    // Refused only for a socket that is closed already.
    let _closed = SockRef::from(end).set_linger(Some(Duration::ZERO));
}

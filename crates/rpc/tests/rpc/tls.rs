//! Certificates: the right ones open, others are refused with a line on both sides, and new files count without a restart.

use std::sync::Arc;
use std::time::Duration;

use claw_config::TlsFiles;
use claw_rpc::{Credentials, SERVER_NAME};
use claw_runtime::Lifecycle;
use claw_telemetry::metrics;
use claw_testkit::eventually;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::common::{Clock, Log, key, peers, serve};

/// An authority.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a certificate is like.
#[derive(Clone, Copy)]
struct Leaf {
    name: &'static str,
    /// The year in which it ends.
    until: i32,
}

const GOOD: Leaf = Leaf { name: SERVER_NAME, until: 2999 };

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes the three files of a process; `trusted` is whom it believes.
    fn write(&self, folder: &TempDir, leaf: Leaf, trusted: &Self) {
        let mut params = CertificateParams::new([leaf.name.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2001, 1, 1);
        params.not_after = date_time_ymd(leaf.until, 1, 1);
        let own = KeyPair::generate().unwrap();
        let cert = params.signed_by(&own, &self.0).unwrap();
        std::fs::write(folder.path().join("tls.crt"), cert.pem()).unwrap();
        std::fs::write(folder.path().join("tls.key"), own.serialize_pem()).unwrap();
        std::fs::write(folder.path().join("ca.crt"), trusted.0.pem()).unwrap();
    }

    /// Credentials that are read once.
    async fn credentials(&self, leaf: Leaf, trusted: &Self) -> Credentials {
        let folder = tempfile::tempdir().unwrap();
        self.write(&folder, leaf, trusted);
        Credentials::once(&key(), Some(files(&folder))).await.unwrap()
    }
}

fn files(folder: &TempDir) -> TlsFiles {
    let file = |name: &str| folder.path().join(name);
    TlsFiles { cert: file("tls.crt"), key: file("tls.key"), ca: file("ca.crt") }
}

#[tokio::test]
async fn only_the_clusters_certificates_open() {
    let (log, _following) = Log::follow();
    let (ours, foreign) = (Authority::new(), Authority::new());
    let (lifecycle, server) = (Lifecycle::new(), ours.credentials(GOOD, &ours).await);
    let address = serve(&lifecycle, &server, Arc::default()).await;
    let good = peers(&ours.credentials(GOOD, &ours).await);
    good.scheduler_status(&address).await.unwrap();

    // What the caller is told, and what the server's log says.
    let expired = Leaf { until: 2002, ..GOOD };
    let table = [
        (
            "foreign",
            foreign.credentials(GOOD, &ours).await,
            "did not sign our certificate",
            "was not signed by",
        ),
        ("expired", ours.credentials(expired, &ours).await, "our certificate has expired", "has expired"),
        ("distrustful", ours.credentials(GOOD, &foreign).await, "was not signed by", "did not sign our"),
        ("plain", Credentials::once(&key(), None).await.unwrap(), "this port needs TLS", "came without TLS"),
    ];
    for (who, credentials, told, logged) in table {
        let before = log.text().len();
        let error = peers(&credentials).scheduler_status(&address).await.unwrap_err().to_string();
        assert!(error.contains(told), "{who}: {error}");
        eventually(&format!("the log to tell of {who}"), Duration::from_secs(5), async || {
            let new = log.text()[before..].to_owned();
            (new.contains("refused a c") && new.contains(logged)).then_some(())
        })
        .await;
        // The server is none the worse for it.
        good.scheduler_status(&address).await.unwrap();
        peers(&ours.credentials(GOOD, &ours).await).scheduler_status(&address).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_is_not_the_clusters_is_not_believed() {
    let ours = Authority::new();
    let foreign = Authority::new();
    let caller = ours.credentials(GOOD, &ours).await;
    let table = [
        ("foreign", foreign.credentials(GOOD, &ours).await, "was not signed by the authority"),
        ("expired", ours.credentials(Leaf { until: 2002, ..GOOD }, &ours).await, "has expired"),
        (
            "other",
            ours.credentials(Leaf { name: "other", ..GOOD }, &ours).await,
            "not for the DNS name ii-claw",
        ),
        ("plain", Credentials::once(&key(), None).await.unwrap(), "does not speak TLS"),
    ];
    for (who, server, told) in table {
        let lifecycle = Lifecycle::new();
        let address = serve(&lifecycle, &server, Arc::default()).await;
        let error = peers(&caller).scheduler_status(&address).await.unwrap_err().to_string();
        assert!(error.contains(told), "{who}: {error}");
    }
}

#[tokio::test]
async fn probes_are_answered_without_a_certificate() {
    let ours = Authority::new();
    let (lifecycle, server) = (Lifecycle::new(), ours.credentials(GOOD, &ours).await);
    let address = serve(&lifecycle, &server, Arc::default()).await;
    let ready = get(&address, "/readyz").await;
    assert!(ready.starts_with("HTTP/1.0 200") && ready.ends_with("ready\n"), "{ready}");
}

/// Prometheus has none either.
#[tokio::test]
async fn calls_are_counted_and_shown_without_a_certificate() {
    metrics::begin();
    let ours = Authority::new();
    let (lifecycle, server) = (Lifecycle::new(), ours.credentials(GOOD, &ours).await);
    let address = serve(&lifecycle, &server, Arc::default()).await;
    peers(&server).step_down(&address).await.unwrap();
    peers(&server).run_now(&address).await.unwrap_err();
    let shown = get(&address, "/metrics").await;
    assert!(shown.starts_with("HTTP/1.0 200"), "{shown}");
    // Other tests of this process make calls, too.
    for (method, code) in [("StepDown", "ok"), ("RunNow", "refused")] {
        let series = format!("claw_rpc_requests_total{{method=\"Scheduler/{method}\",code=\"{code}\"}} ");
        assert!(shown.contains(&series), "{series}: {shown}");
    }
}

async fn get(address: &str, path: &str) -> String {
    let mut probe = tokio::net::TcpStream::connect(address).await.unwrap();
    probe.write_all(format!("GET {path} HTTP/1.0\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    probe.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn a_peer_that_dawdles_holds_up_nobody() {
    let ours = Authority::new();
    let (lifecycle, credentials) = (Lifecycle::new(), ours.credentials(GOOD, &ours).await);
    let address = serve(&lifecycle, &credentials, Arc::default()).await;
    let mut dawdling = Vec::new();
    for _ in 0..50 {
        let mut tcp = tokio::net::TcpStream::connect(&address).await.unwrap();
        // The first byte of a handshake, and no more.
        tcp.write_all(&[22]).await.unwrap();
        dawdling.push(tcp);
    }
    peers(&credentials).scheduler_status(&address).await.unwrap();
    let mut ended = Vec::new();
    let limit = Duration::from_secs(10);
    tokio::time::timeout(limit, dawdling[0].read_to_end(&mut ended)).await.expect("it is cut off").unwrap();
}

#[tokio::test]
async fn changed_files_count_without_a_restart_and_broken_ones_change_nothing() {
    let (log, _following) = Log::follow();
    let (old, new) = (Authority::new(), Authority::new());
    let folder = tempfile::tempdir().unwrap();
    old.write(&folder, GOOD, &old);
    let lifecycle = Lifecycle::new();
    let server = Credentials::new(&key(), Some(files(&folder)), &lifecycle).await.unwrap();
    let address = serve(&lifecycle, &server, Arc::new(Clock::default())).await;
    let (of_old, of_new) = (old.credentials(GOOD, &old).await, new.credentials(GOOD, &new).await);
    let connected = peers(&of_old);
    connected.scheduler_status(&address).await.unwrap();
    assert!(peers(&of_new).scheduler_status(&address).await.is_err());

    std::fs::write(folder.path().join("tls.crt"), "half a cert").unwrap();
    eventually("the broken file to be told of", Duration::from_secs(10), async || {
        log.text().contains("going on with the old ones: II_CLAW_RPC_TLS_CERT").then_some(())
    })
    .await;
    peers(&of_old).scheduler_status(&address).await.unwrap();

    new.write(&folder, GOOD, &new);
    eventually("the new certificate to be shown", Duration::from_secs(10), async || {
        peers(&of_new).scheduler_status(&address).await.ok()
    })
    .await;
    assert!(peers(&of_old).scheduler_status(&address).await.is_err(), "the old authority counts no more");
    connected.scheduler_status(&address).await.expect("a connection that stands goes on");
    let told = log.text().matches("going on with the old ones").count();
    assert!(told <= 3, "each fault is told once, not every two seconds: {told} times");
}

#[tokio::test]
async fn files_that_do_not_fit_are_refused_at_the_start() {
    let (ours, folder) = (Authority::new(), tempfile::tempdir().unwrap());
    let refused = async |files: TlsFiles| {
        let error = Credentials::once(&key(), Some(files)).await.err().expect("they are refused");
        claw_store::chain(&error)
    };
    ours.write(&folder, GOOD, &ours);
    let missing = TlsFiles { ca: "/nowhere/ca.crt".into(), ..files(&folder) };
    let said = refused(missing).await;
    assert!(said.starts_with("II_CLAW_RPC_TLS_CA /nowhere/ca.crt: can't be read"), "{said}");
    let mixed = TlsFiles { key: files(&folder).cert, ..files(&folder) };
    let said = refused(mixed).await;
    assert!(said.starts_with("II_CLAW_RPC_TLS_KEY: holds no private key"), "{said}");
    std::fs::write(folder.path().join("tls.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let said = refused(files(&folder)).await;
    assert!(said.starts_with("II_CLAW_RPC_TLS_CERT: does not fit the key"), "{said}");
}

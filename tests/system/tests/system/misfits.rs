//! Processes that do not fit the cluster: a clock an hour off, a schema of the future, a foreign certificate. Each is harmless
//! or refused with a line that says what is wrong, and the cluster works on.

use std::path::{Path, PathBuf};
use std::time::Duration;

use claw_runtime::{Clock as _, SystemClock};
use claw_system_tests::{Api, Cluster, address_in, token};
use claw_testkit::{Receiver, eventually};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// The library that tells a process another time.
fn fake_time() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").unwrap().filter_map(Result::ok);
    let mut found = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    found.find(|path| path.exists()).expect("libfaketime (`scripts/setup.sh test` installs it)")
}

/// The variables that set a process's clock, but not its timers, off.
fn off_by<'a>(library: &'a Path, hours: &'a str) -> [(&'static str, &'a str); 4] {
    let library = library.to_str().unwrap();
    [
        ("LD_PRELOAD", library),
        ("FAKETIME", hours),
        ("DONT_FAKE_MONOTONIC", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ]
}

/// A channel whose messages go both ways; answers its id, its secret and its platform.
async fn channel(api: &Api) -> (String, String, Receiver) {
    let (platform, secret) = (Receiver::start().await, token(16));
    let fields = json!({"secret_env": secret, "callback_url": platform.url()});
    (api.configure("ada", "hook", "webhook", fields).await, secret, platform)
}

/// A message from a person and the answer to it.
async fn both_ways(cluster: &Cluster, api: &Api, (id, secret, platform): &(String, String, Receiver)) {
    let (heard, seen) = (cluster.receiver.deliveries().len(), platform.deliveries().len());
    let body = json!({"message_id": token(6), "sender": {"id": "ada"}, "text": "hi"});
    assert_eq!(api.push(id, secret, &body).await, Some(StatusCode::OK));
    cluster.receiver.wait_for(heard + 1).await;
    let (status, answer) = api.send("ada", "hook", "ada", "hello").await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    platform.wait_for(seen + 1).await;
}

async fn cluster_of(api: &Api) -> Value {
    api.call("GET", "/api/cluster", None).await.1
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_an_hour_apart_do_no_harm() {
    let library = fake_time();
    let cluster = Cluster::prepare().await;
    let listen = [("II_CLAW_LISTEN", "127.0.0.1:0"), ("II_CLAW_RPC_LISTEN", "127.0.0.1:0")];
    let with = |hours, name| {
        let mut more = off_by(&library, hours).to_vec();
        more.extend(listen);
        more.push(("II_CLAW_NAME", name));
        more
    };
    let mut gateway = cluster.start(&["gateway"], &with("+1h", "early"));
    gateway.wait_for_line("this machine's clock is 3600 s ahead of the database's").await;
    let api =
        Api::new(&format!("http://{}", address_in(&gateway.wait_for_line("the gateway listens on").await)));
    let mut late = cluster.start(&["worker"], &with("-1h", "late"));
    late.wait_for_line("this machine's clock is 3600 s behind the database's").await;
    late.wait_for_line("claimed").await;
    let mut clock = cluster.start(&["scheduler"], &with("+1h", "clock"));
    clock.wait_for_line("elected").await;
    let _right = cluster.worker("right", &api.base).await;
    let seen = eventually("two live workers", Duration::from_secs(30), async || {
        let seen = cluster_of(&api).await;
        let workers =
            seen["members"].as_array()?.iter().filter(|m| m["role"] == "worker" && m["live"] == true);
        let shared = workers.filter(|m| m["shards"].as_u64() > Some(90)).count() == 2;
        // While some are on their way from one to the other, nobody owns them.
        (shared && seen["shards"]["owned"] == 256).then_some(seen)
    })
    .await;
    assert_eq!(seen["leader"]["live"], true, "{seen}");

    // Whoever delivers it, the backend would refuse a signature of another hour.
    for n in 0..8 {
        let slug = format!("hook_{n}");
        let secret = token(16);
        let id = api.configure("ada", &slug, "webhook", json!({"secret_env": secret})).await;
        let body = json!({"message_id": "1", "sender": {"id": "ada"}, "text": slug});
        assert_eq!(api.push(&id, &secret, &body).await, Some(StatusCode::OK));
    }
    for delivery in cluster.receiver.wait_for(8).await {
        let signed: i64 = delivery.header("webhook-timestamp").parse().unwrap();
        let off = signed - SystemClock.now().timestamp();
        assert!(off.abs() < 60, "signed {off} s off");
    }
    // A key that ends in half an hour is good at a gateway that is an hour ahead.
    let mut database = cluster.database.connect().await;
    let soon = sqlx::query_scalar(
        "select to_char(now() at time zone 'utc' + interval '30 minutes', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')",
    );
    let soon: String = soon.fetch_one(&mut database).await.unwrap();
    let body = json!({"name": "short", "expires_at": soon});
    let (status, made) = api.call("POST", "/api/keys", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let key = made["key"].as_str().unwrap();
    let used = api.client.get(format!("{}/api/audit", api.base)).bearer_auth(key).send().await.unwrap();
    assert_eq!(used.status(), StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_an_older_schema_starts_only_if_the_database_allows_it() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let _one = cluster.worker("one", &api.base).await;
    let channel = channel(&api).await;
    api.wait_for_status("ada", "hook", "running").await;
    let mut database = cluster.database.connect().await;
    // What a newer version's migration would leave behind.
    let future = "insert into _sqlx_migrations values (999, 'future', now(), true, '', 0)";
    sqlx::query(future).execute(&mut database).await.unwrap();
    let mut two = cluster.worker("two", &api.base).await;
    two.signal("TERM").await;
    assert_eq!(two.wait().await, Some(0));
    sqlx::query("update cluster set oldest_schema = 999").execute(&mut database).await.unwrap();
    for role in ["gateway", "worker", "scheduler", "migrate"] {
        let listen = [("II_CLAW_LISTEN", "127.0.0.1:0"), ("II_CLAW_RPC_LISTEN", "127.0.0.1:0")];
        let mut refused = cluster.start(&[role], &listen);
        assert_eq!(refused.wait().await, Some(1), "{role}");
        let said = refused.all_output().await;
        assert!(said.contains("has migration 999, which this version does not know"), "{role}: {said}");
    }
    both_ways(&cluster, &api, &channel).await;
}

/// An authority, and the files of the processes that it knows.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Writes a process's files to `folder`.
    fn write(&self, folder: &Path) {
        let params = CertificateParams::new(["ii-claw".to_owned()]).unwrap();
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        for (name, text) in
            [("tls.crt", cert.pem()), ("tls.key", key.serialize_pem()), ("ca.crt", self.0.pem())]
        {
            std::fs::write(folder.join(name), text).unwrap();
        }
    }
}

/// With certificates from this folder in every process that is started from now on.
fn with_certificates(cluster: Cluster, folder: &Path) -> Cluster {
    let path = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    cluster
        .with("II_CLAW_RPC_TLS_CERT", &path("tls.crt"))
        .with("II_CLAW_RPC_TLS_KEY", &path("tls.key"))
        .with("II_CLAW_RPC_TLS_CA", &path("ca.crt"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_certificate_is_refused_and_a_renewed_one_counts_at_once() {
    let (ours, foreign) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let authority = Authority::new();
    authority.write(ours.path());
    Authority::new().write(foreign.path());
    let cluster = with_certificates(Cluster::prepare().await, ours.path());
    let (mut gateway, api) = cluster.gateway().await;
    let _one = cluster.worker("one", &api.base).await;
    let (mut scheduler, _) = cluster.scheduler("clock").await;
    scheduler.wait_for_line("elected").await;
    let channel = channel(&api).await;
    api.wait_for_status("ada", "hook", "running").await;
    both_ways(&cluster, &api, &channel).await;
    let seen = cluster_of(&api).await;
    assert!(seen["members"].as_array().unwrap().iter().all(|m| m["unreachable"].is_null()), "{seen}");
    let mut doctor = cluster.start(&["doctor"], &[]);
    assert_eq!(doctor.wait().await, Some(0), "{}", doctor.all_output().await);

    // A scheduler: it owns nothing that would have to be reached.
    let cluster = with_certificates(cluster, foreign.path());
    let (mut stranger, _) = cluster.scheduler("stranger").await;
    eventually("the stranger to be unreachable", Duration::from_secs(20), async || {
        let seen = cluster_of(&api).await;
        let why =
            seen["members"].as_array()?.iter().find(|m| m["name"] == "stranger")?["unreachable"].clone();
        why.as_str()?.contains("was not signed by the authority in II_CLAW_RPC_TLS_CA").then_some(())
    })
    .await;
    stranger.wait_for_line("refused a connection from").await;
    both_ways(&cluster, &api, &channel).await;

    // It is given the right files.
    authority.write(foreign.path());
    stranger.wait_for_line("certificates were read again").await;
    eventually("the stranger to be one of us", Duration::from_secs(20), async || {
        let seen = cluster_of(&api).await;
        seen["members"].as_array()?.iter().all(|m| m["unreachable"].is_null()).then_some(())
    })
    .await;
    gateway.signal("TERM").await;
    assert_eq!(gateway.wait().await, Some(0), "{}", gateway.output());
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_come_together_or_not_at_all() {
    let cluster = Cluster::prepare().await;
    let mut half = cluster.start(&["scheduler"], &[("II_CLAW_RPC_TLS_CERT", "/nowhere")]);
    assert_eq!(half.wait().await, Some(1));
    let said = half.all_output().await;
    assert!(said.contains("II_CLAW_RPC_TLS_KEY is not set, though others of"), "{said}");
}

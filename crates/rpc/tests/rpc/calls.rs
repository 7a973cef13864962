use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use claw_rpc::{CallError, Credentials};
use claw_runtime::Lifecycle;
use claw_secrets::{KeyRing, MasterKey};
use claw_testkit::eventually;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;

use crate::common::{Clock, key, peers, serve};

async fn channel(address: &str) -> Channel {
    Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

#[tokio::test]
async fn a_call_is_answered_and_its_refusal_told() {
    let (lifecycle, credentials) = (Lifecycle::new(), Credentials::once(&key(), None).await.unwrap());
    let address = serve(&lifecycle, &credentials, Arc::default()).await;
    let peers = peers(&credentials);
    assert_eq!(peers.scheduler_status(&address).await.unwrap().leading, Some(7));
    assert_eq!(peers.step_down(&address).await.unwrap().stands_by, Duration::from_secs(10));
    let refused = peers.run_now(&address).await.unwrap_err();
    assert!(
        matches!(&refused, CallError::Refused(why) if why == "this scheduler does not lead"),
        "{refused}"
    );
    // A scheduler has no worker's calls: as an older version lacks newer ones.
    let unknown = peers.drain(&address, true).await.unwrap_err();
    assert!(matches!(&unknown, CallError::Unknown(_)), "{unknown}");
}

#[tokio::test]
async fn another_clusters_token_opens_nothing() {
    let (lifecycle, credentials) = (Lifecycle::new(), Credentials::once(&key(), None).await.unwrap());
    let clock = Arc::new(Clock::default());
    let address = serve(&lifecycle, &credentials, Arc::clone(&clock)).await;
    let stranger = Credentials::once(&MasterKey::from_api_key("another one").into(), None).await.unwrap();
    let refused = peers(&stranger).scheduler_status(&address).await.unwrap_err().to_string();
    assert!(refused.contains("all roles need the same II_CLAW_MASTER_KEY"), "{refused}");
    assert_eq!(clock.asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn roles_with_different_master_keys_talk_when_each_knows_the_others() {
    let of = |name: &str| MasterKey::from_api_key(name);
    let ring = async |current: &str, others: &[&str]| {
        let ring = KeyRing::new(of(current), others.iter().map(|name| of(name)));
        Credentials::once(&ring, None).await.unwrap()
    };
    let (before, after) = (ring("old", &["new"]).await, ring("new", &["old"]).await);
    for (server, caller) in [(&before, &after), (&after, &before)] {
        let lifecycle = Lifecycle::new();
        let address = serve(&lifecycle, server, Arc::default()).await;
        assert_eq!(peers(caller).scheduler_status(&address).await.unwrap().leading, Some(7));
        let only_new = ring("new", &[]).await;
        peers(&only_new).scheduler_status(&address).await.unwrap();
        let stranger = ring("stranger", &["old", "new"]).await;
        assert!(
            peers(&stranger).scheduler_status(&address).await.is_err(),
            "it shows the token of its current key only"
        );
    }
}

#[tokio::test]
async fn nobody_works_for_a_caller_that_has_gone() {
    let (lifecycle, credentials) = (Lifecycle::new(), Credentials::once(&key(), None).await.unwrap());
    let clock = Arc::new(Clock::default());
    clock.hangs.store(true, Ordering::SeqCst);
    let address = serve(&lifecycle, &credentials, Arc::clone(&clock)).await;
    let began = Instant::now();
    let late = peers(&credentials).scheduler_status(&address).await.unwrap_err().to_string();
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert!(late.contains(&address), "{late}");
    eventually("the server to stop, too", Duration::from_secs(5), async || {
        (clock.given_up.load(Ordering::SeqCst) == 1).then_some(())
    })
    .await;
    assert_eq!(clock.asked.load(Ordering::SeqCst), 1, "a call that took too long is not repeated");
}

#[tokio::test]
async fn a_peer_that_is_gone_is_tried_a_few_times_and_found_again() {
    let (lifecycle, credentials) = (Lifecycle::new(), Credentials::once(&key(), None).await.unwrap());
    let address = serve(&lifecycle, &credentials, Arc::default()).await;
    let peers = peers(&credentials);
    peers.scheduler_status(&address).await.unwrap();
    lifecycle.finish(Duration::from_secs(5)).await.unwrap();
    let gone = peers.scheduler_status(&address).await.unwrap_err().to_string();
    assert!(gone.contains(&address) && gone.contains("refused"), "{gone}");
    let listener = tokio::net::TcpListener::bind(&address).await.unwrap();
    let lifecycle = Lifecycle::new();
    claw_rpc::serve_scheduler(&lifecycle, listener, &credentials, Arc::new(Clock::default())).unwrap();
    peers.scheduler_status(&address).await.unwrap();
}

#[tokio::test]
async fn health_follows_readiness_and_needs_no_token() {
    let (lifecycle, credentials) = (Lifecycle::new(), Credentials::once(&key(), None).await.unwrap());
    let clock = Arc::new(Clock::default());
    let address = serve(&lifecycle, &credentials, Arc::clone(&clock)).await;
    let mut health = HealthClient::new(channel(&address).await);
    let asked = |service: &str| HealthCheckRequest { service: service.to_owned() };
    for service in ["", "iiclaw.v1.Scheduler"] {
        let said = health.check(asked(service)).await.unwrap().into_inner();
        assert_eq!(said.status(), ServingStatus::Serving, "{service:?}");
    }
    let unknown = health.check(asked("iiclaw.v1.Worker")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
    let mut watch = health.watch(asked("")).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    clock.unready.store(true, Ordering::SeqCst);
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    lifecycle.shutdown();
    assert!(watch.message().await.unwrap().is_none(), "a watcher holds up no shutdown");
}

#[tokio::test]
async fn the_services_describe_themselves() {
    let (lifecycle, credentials) = (Lifecycle::new(), Credentials::once(&key(), None).await.unwrap());
    let address = serve(&lifecycle, &credentials, Arc::default()).await;
    let mut reflection = ServerReflectionClient::new(channel(&address).await);
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let asked = futures::stream::iter([ask]);
    let said = reflection.server_reflection_info(asked).await.unwrap().into_inner().message().await;
    let Some(MessageResponse::ListServicesResponse(list)) = said.unwrap().unwrap().message_response else {
        panic!("no list of services");
    };
    let names: Vec<_> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in ["iiclaw.v1.Worker", "iiclaw.v1.Scheduler", "iiclaw.v1.Gateway", "grpc.health.v1.Health"] {
        assert!(names.contains(&name), "{name} is not among {names:?}");
    }
}

//! Whether `II_CLAW_PUBLIC_URL` leads to the gateways of this cluster: the backend fetches attachments there, and platforms post there.
//!
//! What answers says of which cluster it is, by an id that is no secret; it is sent no key, as it may be anybody. Whoever can't reach it from
//! where the doctor runs is only warned: a name may lead elsewhere inside of a container than outside.

use std::time::Duration;

use anyhow::{Context as _, bail};
use claw_channels::kit::http;
use claw_runtime::{Clock as _, SystemClock};
use reqwest::tls::TlsInfo;
use reqwest::{Response, Url};
use serde_json::Value;

use super::{Checked, DoctorSettings, Found, store};

/// Who renews certificates by themselves do so a month ahead: what ends within this was not renewed.
const SOON: Duration = Duration::from_hours(14 * 24);
/// A gateway answers within this.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a TLS stack says of a certificate that it refuses.
const REFUSED: &str = "invalid peer certificate";

pub(super) async fn check(settings: &DoctorSettings) -> Checked {
    let Some(url) = &settings.backend.public_url else {
        return Ok(Found::Well(format!(
            "II_CLAW_PUBLIC_URL is not set: links to attachments begin with {}, which is right for a backend on the same machine only",
            settings.backend.public_url()
        )));
    };
    let ours = store(settings).await?.cluster_id().await?.to_string();
    ask(url, &ours, SystemClock.now().timestamp()).await
}

/// `ours`: the id of the cluster. `now`: in seconds since 1970.
async fn ask(public: &Url, ours: &str, now: i64) -> Checked {
    let mut url = public.clone();
    let parts = url.path_segments_mut();
    parts
        .map_err(|()| anyhow::anyhow!("II_CLAW_PUBLIC_URL {public} can't have a path"))?
        .pop_if_empty()
        .extend(["api", "health"]);
    let answered = http::inspecting_client(PATIENCE)?.get(url.clone()).send().await;
    let answer = match answered.map_err(|error| claw_store::chain(&error.without_url())) {
        Ok(answer) => answer,
        Err(why) if why.contains(REFUSED) => bail!("{url} has a certificate that nobody takes: {why}"),
        Err(why) => {
            return Ok(Found::Warn(format!(
                "{url} can't be reached from here ({why}): see that it can be from the backend and from platforms"
            )));
        }
    };
    let until = certificate_ends(&answer)?;
    let status = answer.status();
    let body: Value = answer.json().await.unwrap_or_default();
    match body["cluster"].as_str() {
        Some(id) if id == ours => {}
        Some(_) => {
            bail!("{url} is answered by another cluster: set II_CLAW_PUBLIC_URL to where this one is reached")
        }
        // Gateways of versions that do not tell their cluster, as there are during an upgrade.
        None if body["status"].is_string() && body["version"].is_string() => {
            return Ok(Found::Warn(format!(
                "{url} is answered by a gateway of an older version, which does not say of which cluster it is: ask again once all \
                 gateways are of this version"
            )));
        }
        None => bail!(
            "{url} answers {status}, and not as a gateway of this version: set II_CLAW_PUBLIC_URL to where the gateways are reached, \
             without a redirection"
        ),
    }
    if body["status"] != "ok" {
        return Ok(Found::Warn(format!(
            "{url} leads to this cluster, to a gateway without database or NATS: `/readyz` of each gateway says which"
        )));
    }
    Ok(lasting(&url, until.map(|until| until - now)))
}

/// When the server's certificate ends, in seconds since 1970; `None` without TLS.
fn certificate_ends(answer: &Response) -> anyhow::Result<Option<i64>> {
    let told = answer.extensions().get::<TlsInfo>().and_then(TlsInfo::peer_certificate);
    told.map(ends).transpose()
}

/// The same of a certificate in DER.
fn ends(der: &[u8]) -> anyhow::Result<i64> {
    let read = x509_parser::parse_x509_certificate(der).ok();
    let (_, certificate) = read.context("the certificate of II_CLAW_PUBLIC_URL can't be read")?;
    Ok(certificate.validity().not_after.timestamp())
}

/// `left`: seconds until its certificate ends, where it has one.
fn lasting(url: &Url, left: Option<i64>) -> Found {
    let ours = format!("{url} leads to this cluster");
    let Some(left) = left else { return Found::Well(ours) };
    let days = left / 86_400;
    if u64::try_from(left).unwrap_or(0) < SOON.as_secs() {
        return Found::Warn(format!("{ours}, but its certificate ends in {days} days: renew it"));
    }
    Found::Well(format!("{ours}, and its certificate is good for {days} days"))
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::StatusCode;
    use axum::routing::get;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use serde_json::json;

    use super::*;

    /// What is said of a server that answers so.
    async fn said_of(status: StatusCode, body: Value) -> Result<Found, String> {
        drop(rustls::crypto::ring::default_provider().install_default());
        let answer = move || async move { (status, axum::Json(body)) };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/behind/", listener.local_addr().unwrap())).unwrap();
        let served = axum::serve(listener, Router::new().route("/behind/api/health", get(answer)));
        tokio::select! {
            found = ask(&url, "ours", 0) => found.map_err(|error| error.to_string()),
            ended = served.into_future() => panic!("{ended:?}"),
        }
    }

    #[tokio::test]
    async fn only_this_cluster_is_well() {
        let ok = StatusCode::OK;
        let found = said_of(ok, json!({"status": "ok", "cluster": "ours"})).await;
        assert!(
            matches!(found, Ok(Found::Well(said)) if said.ends_with("/behind/api/health leads to this cluster"))
        );
        let found = said_of(ok, json!({"status": "degraded", "cluster": "ours"})).await;
        assert!(matches!(found, Ok(Found::Warn(said)) if said.contains("`/readyz`")));
        let found = said_of(ok, json!({"status": "ok", "version": "0.1.0"})).await;
        assert!(matches!(found, Ok(Found::Warn(said)) if said.contains("a gateway of an older version")));
        for (status, body, says) in [
            (ok, json!({"status": "ok", "cluster": "theirs"}), "another cluster"),
            (ok, json!({"status": "ok"}), "not as a gateway of this version"),
            (StatusCode::NOT_FOUND, json!("nothing"), "answers 404"),
            (StatusCode::MOVED_PERMANENTLY, json!(null), "without a redirection"),
        ] {
            let refused = said_of(status, body).await.map(|_| ()).unwrap_err();
            assert!(refused.contains(says), "{refused}");
        }
    }

    #[tokio::test]
    async fn who_does_not_reach_it_from_here_is_only_warned() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let found = ask(&Url::parse(&format!("http://{nobody}")).unwrap(), "ours", 0).await;
        assert!(matches!(found, Ok(Found::Warn(said)) if said.contains("can't be reached from here")));
    }

    #[test]
    fn the_end_of_a_certificate_is_read() {
        let mut params = CertificateParams::new(["claw.example.org".to_owned()]).unwrap();
        params.not_after = date_time_ymd(2030, 1, 1);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(ends(certificate.der()).unwrap(), 1_893_456_000);
        assert!(ends(b"none").is_err());
    }

    #[test]
    fn a_certificate_that_ends_soon_is_told() {
        let url = Url::parse("https://claw.example.org").unwrap();
        let days = |days: i64| lasting(&url, Some(days * 86_400));
        assert!(matches!(days(14), Found::Well(said) if said.ends_with("good for 14 days")));
        assert!(matches!(days(13), Found::Warn(said) if said.ends_with("ends in 13 days: renew it")));
        assert!(matches!(lasting(&url, None), Found::Well(said) if said.ends_with("this cluster")));
    }
}

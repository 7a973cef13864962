//! Whether the backend is there and takes our signatures.
//!
//! It is posted `{}`, rightly signed and then wrongly. No message is like that, so nothing comes of it; but a backend that checks
//! signatures answers the first one as a bad body (or takes it) and the second one with 401 or 403, and one that has
//! another secret refuses both.

use anyhow::{Context as _, bail};
use claw_secrets::signature;
use reqwest::{Client, StatusCode, Url};
use secrecy::ExposeSecret as _;

use super::{Checked, DoctorSettings, Found, LIMIT};

/// No message, and no message's signature.
const EMPTY: &[u8] = b"{}";

pub(super) async fn check(settings: &DoctorSettings) -> Checked {
    let (url, secret) = settings.backend.webhook()?;
    ask(&url, secret.expose_secret().as_bytes()).await
}

async fn ask(url: &Url, secret: &[u8]) -> Checked {
    let client = claw_channels::kit::http::operator_client(LIMIT)?;
    let signed = signature::sign(secret, EMPTY);
    let right = post(&client, url, signed).await?;
    if refuses(right) {
        bail!(
            "{url} refuses what is signed with AI_WEBHOOK_SECRET ({right}): the backend has another secret"
        );
    }
    if right == StatusCode::NOT_FOUND || right == StatusCode::METHOD_NOT_ALLOWED {
        bail!("{url} answers a POST with {right}: AI_WEBHOOK_URL does not lead to the backend's webhook");
    }
    if right.is_server_error() {
        bail!("{url} answers with {right}: look into the backend's log");
    }
    // Signed with a secret that nobody has: the right signature of another body.
    let wrong = post(&client, url, signature::sign(secret, b"another body")).await?;
    if refuses(wrong) {
        return Ok(Found::Well(format!("{url} takes our signature and refuses a wrong one ({wrong})")));
    }
    Ok(Found::Warn(format!(
        "{url} answers a wrong signature as it does the right one ({wrong}): it may take what anybody posts to it"
    )))
}

async fn post(client: &Client, url: &Url, signed: String) -> anyhow::Result<StatusCode> {
    let request = client.post(url.clone()).header(signature::HEADER, signed);
    let request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(EMPTY);
    let answer = request.send().await.map_err(reqwest::Error::without_url);
    Ok(answer.with_context(|| format!("AI_WEBHOOK_URL {url}"))?.status())
}

fn refuses(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Bytes;
    use axum::http::HeaderMap;
    use axum::routing::post;

    use super::*;

    const SECRET: &[u8] = b"a secret";

    /// What is said of a backend that answers so, by whether the signature is right.
    async fn said_of(answer: fn(bool) -> StatusCode) -> Result<Found, String> {
        let receive = move |headers: HeaderMap, body: Bytes| async move {
            let given = headers[signature::HEADER].to_str().unwrap();
            answer(signature::verify(SECRET, &body, given))
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = Url::parse(&format!("http://{}/hook", listener.local_addr().unwrap())).unwrap();
        let served = axum::serve(listener, Router::new().route("/hook", post(receive)));
        tokio::select! {
            found = ask(&url, SECRET) => found.map_err(|error| error.to_string()),
            ended = served.into_future() => panic!("{ended:?}"),
        }
    }

    #[tokio::test]
    async fn a_backend_that_checks_signatures_is_told_from_one_that_does_not() {
        drop(rustls::crypto::ring::default_provider().install_default());
        let careful = |right| if right { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::UNAUTHORIZED };
        assert!(matches!(said_of(careful).await, Ok(Found::Well(said)) if said.contains("401")));
        assert!(
            matches!(said_of(|_| StatusCode::OK).await, Ok(Found::Warn(said)) if said.contains("anybody"))
        );
        for (answer, says) in [
            ((|_| StatusCode::FORBIDDEN) as fn(bool) -> StatusCode, "another secret"),
            (|_| StatusCode::NOT_FOUND, "does not lead to"),
            (|_| StatusCode::BAD_GATEWAY, "the backend's log"),
        ] {
            let refused = said_of(answer).await.map(|_| ()).unwrap_err();
            assert!(refused.contains(says), "{refused}");
        }
    }
}

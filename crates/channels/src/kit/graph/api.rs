//! Calls of the Graph API (<https://developers.facebook.com/docs/graph-api/overview>).
//!
//! The token is in the `Authorization` header, but for the one call that renews it (`renewal.rs`). Beside it goes `appsecret_proof`, by
//! which Meta takes no calls from whoever has found the token alone
//! (<https://developers.facebook.com/docs/graph-api/guides/secure-requests>); being a hash of both secrets it may stand in the address. Meta
//! knows no repeated calls: one that is not answered may have happened.

mod renewal;

use bytes::Bytes;
use claw_secrets::signature::hmac_sha256;
use reqwest::multipart::{Form, Part};
use reqwest::{RequestBuilder, Response};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use self::renewal::Renewal;
pub use self::renewal::{NotRenewed, Term};
use super::Platform;
use super::refusal::refused;
use crate::kit::answer::beginning;
use crate::kit::file::File;
use crate::kit::http::{classify, repeatable};
use crate::kit::transfer::{self, LONGEST, STALL, Upload, download};
use crate::{ChannelError, Deps, MediaStream};

/// All that is read of an answer.
const MAX_ANSWER: usize = 256 * 1024;
/// Whose servers may be sent the token when Meta names them, beside the one that is called
/// (<https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media/>).
const META: [&str; 4] = [".fbsbx.com", ".fbcdn.net", ".facebook.com", ".whatsapp.net"];

/// A token of Meta's has more characters than this; what is shorter may be a word of what is said.
const SHORTEST_TOKEN: usize = 16;

/// The calls of one channel.
pub struct Api {
    platform: Platform,
    base: Url,
    /// The one that the channel was given.
    token: String,
    proof: Option<String>,
    renewal: Option<Renewal>,
    deps: Deps,
}

/// What becomes of a server's tokens, and what goes with them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tokens {
    /// They stay. Each call proves that its maker knows the app's secret.
    Proven,
    /// They end, and are renewed here. Of a proof the server says nothing.
    Renewed,
}

/// Whether a call may just be made again when nobody knows what became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Twice {
    /// It does the same as once, or nothing.
    Harmless,
    /// People would see it twice.
    Seen,
}

impl Api {
    /// Calls with this token to this server. No I/O.
    ///
    /// # Errors
    /// [`ChannelError::Config`] when the server may not be called.
    pub fn new(
        platform: Platform,
        api_url: &str,
        token: String,
        app_secret: &str,
        deps: Deps,
    ) -> Result<Self, ChannelError> {
        let base = deps.http.check(api_url);
        let base = base.map_err(|why| ChannelError::Config(format!("api_url {why}")))?;
        let proof = Some(hex::encode(hmac_sha256(app_secret.as_bytes(), &[token.as_bytes()])));
        Ok(Self { platform, base, token, proof, renewal: None, deps })
    }

    /// The same, at a server with tokens like these.
    #[must_use]
    pub fn with(self, tokens: Tokens) -> Self {
        match tokens {
            Tokens::Proven => self,
            Tokens::Renewed => {
                let renewal = Renewal::new(&self.deps.memory, &self.base, &self.token);
                Self { proof: None, renewal: Some(renewal), ..self }
            }
        }
    }

    /// What was made of the channel.
    pub fn deps(&self) -> &Deps {
        &self.deps
    }

    /// Asks for something.
    ///
    /// # Errors
    /// By what the caller can do.
    pub async fn get<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<T, ChannelError> {
        let mut url = self.address(path)?;
        url.query_pairs_mut().extend_pairs(query);
        let answer = self.answer(self.deps.http.calls().get(url), Twice::Harmless).await?;
        self.read(&answer, Twice::Harmless)
    }

    /// Has something done.
    ///
    /// # Errors
    /// By what the caller can do; [`ChannelError::Uncertain`] without an answer where people would see it twice.
    pub async fn post<T: DeserializeOwned>(
        &self,
        path: &[&str],
        body: &Value,
        twice: Twice,
    ) -> Result<T, ChannelError> {
        let request = self.deps.http.calls().post(self.address(path)?).json(body);
        self.read(&self.answer(request, twice).await?, twice)
    }

    /// Sets something, which is then what it is however often it is done, at an address with a query.
    ///
    /// # Errors
    /// By what the caller can do.
    pub async fn set(&self, path: &[&str], query: &[(&str, &str)], body: &Value) -> Result<(), ChannelError> {
        let mut url = self.address(path)?;
        url.query_pairs_mut().extend_pairs(query);
        let request = self.deps.http.calls().post(url).json(body);
        let answer = self.answer(request, Twice::Harmless).await?;
        self.read::<IgnoredAny>(&answer, Twice::Harmless).map(drop)
    }

    /// Uploads a file, which nobody sees until a message refers to it.
    ///
    /// # Errors
    /// By what the caller can do.
    pub async fn upload<T: DeserializeOwned>(
        &self,
        path: &[&str],
        texts: &[(&'static str, String)],
        name: &'static str,
        file: &File,
    ) -> Result<T, ChannelError> {
        let (upload, length) = (Upload::default(), file.bytes.len() as u64);
        let form = texts.iter().fold(Form::new(), |form, (key, text)| form.text(*key, text.clone()));
        let form = form.part(name, part(file, length, &upload)?);
        let request = self.deps.http.calls().post(self.address(path)?);
        let request = request.timeout(transfer::limit(length)).multipart(form);
        let answered = upload.watch(self.answer(request, Twice::Harmless)).await;
        let answer = answered.unwrap_or_else(|| {
            let stalled =
                format!("{} took nothing of the upload for {} s", self.platform.name, STALL.as_secs());
            Err(ChannelError::Retryable(stalled))
        })?;
        self.read(&answer, Twice::Harmless)
    }

    /// Opens what Meta keeps behind the token, at an address that Meta named.
    ///
    /// # Errors
    /// When it is not handed out, or is on a server that must not get the token.
    pub async fn open(&self, address: &str) -> Result<MediaStream, ChannelError> {
        let elsewhere = || {
            let name = self.platform.name;
            ChannelError::Permanent(format!("{name} keeps the attachment where the token may not be sent"))
        };
        let url = self.deps.http.check(address).map_err(|_| elsewhere())?;
        if !self.may_have_token(&url) {
            return Err(elsewhere());
        }
        let token = self.token().await?;
        let request = self.deps.http.calls().get(url).bearer_auth(&token).timeout(LONGEST).send();
        let late = || ChannelError::Retryable(format!("{} did not answer in time", self.platform.name));
        let response = timeout(STALL, request).await.map_err(|_| late())?;
        let response = response.map_err(|error| repeatable(&error.without_url()))?;
        if !response.status().is_success() {
            return Err(self.refused(response, &token).await);
        }
        let header = response.headers().get(http::header::CONTENT_TYPE);
        let content_type = header.and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(MediaStream { content_type, bytes: download(response) })
    }

    fn may_have_token(&self, url: &Url) -> bool {
        let is_metas = |host: &str| META.iter().any(|domain| host.ends_with(domain));
        url.origin() == self.base.origin() || url.scheme() == "https" && url.host_str().is_some_and(is_metas)
    }

    /// Below the server; an id in it can't lead elsewhere.
    fn address(&self, path: &[&str]) -> Result<Url, ChannelError> {
        let mut url = self.base.clone();
        let no_base = |()| ChannelError::Config("api_url can't have a path behind it".to_owned());
        url.path_segments_mut().map_err(no_base)?.pop_if_empty().extend(path);
        if let Some(proof) = &self.proof {
            url.query_pairs_mut().append_pair("appsecret_proof", proof);
        }
        Ok(url)
    }

    async fn answer(&self, request: RequestBuilder, twice: Twice) -> Result<Bytes, ChannelError> {
        let token = self.token().await?;
        self.answered(request.bearer_auth(&token), &token, twice).await
    }

    /// The answer to a request that has the token wherever it belongs.
    async fn answered(
        &self,
        request: RequestBuilder,
        token: &str,
        twice: Twice,
    ) -> Result<Bytes, ChannelError> {
        let response = request.send().await.map_err(|error| match twice {
            Twice::Harmless => repeatable(&error.without_url()),
            Twice::Seen => classify(&error.without_url()),
        })?;
        if response.status().is_success() {
            Ok(beginning(response, MAX_ANSWER).await)
        } else {
            Err(self.refused(response, token).await)
        }
    }

    async fn refused(&self, response: Response, token: &str) -> ChannelError {
        let (status, headers) = (response.status(), response.headers().clone());
        let answer = without(&beginning(response, MAX_ANSWER).await, token);
        refused(self.platform, status, &headers, answer.as_bytes(), self.deps.clock.now().timestamp())
    }

    /// Meta said that it was done; only the answer may be of no use.
    fn read<T: DeserializeOwned>(&self, answer: &[u8], twice: Twice) -> Result<T, ChannelError> {
        let unread = format!("{}'s answer can't be read", self.platform.name);
        serde_json::from_slice(answer).map_err(|_| match twice {
            Twice::Harmless => ChannelError::Retryable(unread),
            Twice::Seen => ChannelError::Uncertain(unread),
        })
    }
}

/// Meta's words for a token that it can't read may have the token in them.
fn without(answer: &[u8], token: &str) -> String {
    let said = String::from_utf8_lossy(answer);
    if token.len() < SHORTEST_TOKEN { said.into_owned() } else { said.replace(token, "[token]") }
}

fn part(file: &File, length: u64, upload: &Upload) -> Result<Part, ChannelError> {
    let part = Part::stream_with_length(upload.body(file.bytes.clone()), length).file_name(file.name.clone());
    // A host may have told a type that is none, and both platforms ask for one.
    part.mime_str(&file.content_type).map_err(|_| {
        ChannelError::Permanent("the attachment's server does not tell which type it has".to_owned())
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::adapters::webhook::testing::{Recorder, deps};
    use crate::kit::graph::CLOUD;

    const PLATFORM: Platform = Platform { name: "Acme", window: "wait" };

    fn api(url: Option<&str>) -> Api {
        let deps = deps(Arc::new(Recorder::default()));
        Api::new(PLATFORM, url.unwrap_or(CLOUD), "token".to_owned(), "secret", deps).unwrap()
    }

    #[test]
    fn an_id_stays_one_segment_and_the_proof_is_no_secret() {
        let url = api(Some("https://graph.example/v1/")).address(&["../1?x=#", "messages"]).unwrap();
        // `printf token | openssl dgst -sha256 -hmac secret`
        let proof = "e941110e3d2bfe82621f0e3e1434730d7305d106c5f68c87165d0b27a4611a4a";
        let expected = format!("https://graph.example/v1/..%2F1%3Fx=%23/messages?appsecret_proof={proof}");
        assert_eq!(url.as_str(), expected);
    }

    #[test]
    fn a_token_is_not_quoted() {
        let token = "IGAAexamTokenOfTheAccount0123456789";
        let said = format!(r#"{{"error": {{"message": "Malformed access token {token}"}}}}"#);
        assert_eq!(
            without(said.as_bytes(), token),
            r#"{"error": {"message": "Malformed access token [token]"}}"#
        );
        assert_eq!(without(b"the token is no token", "token"), "the token is no token", "a word stays one");
    }

    #[test]
    fn the_token_goes_to_metas_servers_only() {
        let may = |base: Option<&str>, url: &str| api(base).may_have_token(&Url::parse(url).unwrap());
        assert!(may(None, "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1"));
        assert!(may(None, "https://graph.facebook.com/v25.0/x"));
        for elsewhere in [
            "http://lookaside.fbsbx.com/x",
            "https://fbsbx.com.example.org/x",
            "https://evilfbsbx.com/x",
            "https://example.org/.fbsbx.com",
        ] {
            assert!(!may(None, elsewhere), "{elsewhere}");
        }
        assert!(may(Some("http://127.0.0.1:9/v1"), "http://127.0.0.1:9/media"));
        assert!(!may(Some("http://127.0.0.1:9/v1"), "http://127.0.0.1:10/media"));
    }
}

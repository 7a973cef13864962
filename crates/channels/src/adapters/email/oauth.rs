//! Access tokens for a mailbox whose provider takes no passwords, from the server that hands them out.
//!
//! With a refresh token, the channel reads and writes as the person who allowed it; without one, as an application that an
//! administrator let into the mailbox (client credentials, which Microsoft 365 has).

use url::Url;

use super::config::wrong;
use crate::kit::access_token::{Form, Grant};
use crate::{ChannelError, Deps};

/// Whose tokens they are: `sign_in`.
pub(super) const SIGN_IN: &[&str] = &["password", "google", "microsoft", "oauth2"];

/// <https://developers.google.com/identity/protocols/oauth2/web-server#offline>. A refreshed token has the scope that was allowed.
const GOOGLE: &str = "https://oauth2.googleapis.com/token";
/// <https://learn.microsoft.com/en-us/entra/identity-platform/v2-oauth2-auth-code-flow#refresh-the-access-token>, with the
/// organisation in its path.
const MICROSOFT: &str = "https://login.microsoftonline.com";
/// In place of the organisation, where it is that of the person who allowed it (same page).
const ANY_ORGANISATION: &str = "common";
/// What a person allows
/// (<https://learn.microsoft.com/en-us/exchange/client-developer/legacy-protocols/how-to-authenticate-an-imap-pop-smtp-application-by-using-oauth>).
const AS_PERSON: &str =
    "https://outlook.office.com/IMAP.AccessAsUser.All https://outlook.office.com/SMTP.Send offline_access";
/// What an administrator allows an application (same page): all that was consented to.
const AS_APPLICATION: &str = "https://outlook.office365.com/.default";

/// The fields on this, as they were given.
pub(super) struct Given {
    pub(super) sign_in: Option<String>,
    pub(super) client_id: Option<String>,
    pub(super) client_secret: Option<String>,
    pub(super) refresh_token: Option<String>,
    pub(super) tenant_id: Option<String>,
    pub(super) token_url: Option<String>,
    pub(super) scope: Option<String>,
}

impl Given {
    /// Where tokens come from; `None` for a channel that signs in with its password.
    ///
    /// # Errors
    /// With a sentence that says which field is missing or wrong.
    pub(super) fn grant(&self, deps: &Deps) -> Result<Option<Grant>, ChannelError> {
        let platform = match self.sign_in.as_deref() {
            Some("google") => "Google",
            Some("microsoft") => "Microsoft",
            Some("oauth2") => "the token server",
            _ => return Ok(None),
        };
        let secret = self.client_secret.clone().filter(|text| !text.is_empty());
        let refresh = self.refresh_token.clone().filter(|text| !text.is_empty());
        let client = self
            .client_id
            .as_deref()
            .ok_or_else(|| wrong("client_id is needed to sign in with access tokens"))?;
        if refresh.is_none() && platform == "Google" {
            return Err(wrong(
                "refresh_token_env is needed: Google lets only people allow that their mail is read",
            ));
        }
        if refresh.is_none() && secret.is_none() {
            return Err(wrong(
                "refresh_token_env (as a person) or client_secret_env (as an application) is needed",
            ));
        }
        let endpoint = self.endpoint(refresh.is_some())?;
        let endpoint =
            deps.http.check(&endpoint).map_err(|why| ChannelError::Config(format!("token_url {why}")))?;
        let scope = self.scope.clone().or_else(|| {
            let usual = if refresh.is_some() { AS_PERSON } else { AS_APPLICATION };
            (platform == "Microsoft").then(|| usual.to_owned())
        });
        let form = form(client, secret, refresh, scope);
        let credential: Vec<&str> = form.iter().map(|(_, value)| value.as_str()).collect();
        let made = form.clone();
        Ok(Some(Grant::new(platform, endpoint, &credential, move || Ok(made.clone()), deps.clone())))
    }

    /// The address of the server that hands out tokens.
    fn endpoint(&self, as_person: bool) -> Result<String, ChannelError> {
        if let Some(url) = &self.token_url {
            return Ok(url.clone());
        }
        match self.sign_in.as_deref() {
            Some("google") => Ok(GOOGLE.to_owned()),
            Some("microsoft") => {
                let usual = as_person.then_some(ANY_ORGANISATION);
                let tenant = self.tenant_id.as_deref().or(usual).ok_or_else(|| {
                    wrong("tenant_id is needed: as an application, tokens are asked for at one organisation")
                })?;
                let mut url = Url::parse(MICROSOFT).map_err(|_| wrong("token_url is no address"))?;
                url.path_segments_mut()
                    .map_err(|()| wrong("token_url is no address"))?
                    .extend([tenant, "oauth2", "v2.0", "token"]);
                Ok(url.into())
            }
            _ => Err(wrong(
                "token_url is needed for sign_in oauth2: where the provider hands out access tokens",
            )),
        }
    }
}

/// What is sent for a token (<https://www.rfc-editor.org/rfc/rfc6749>, sections 4.4.2 and 6).
fn form(client: &str, secret: Option<String>, refresh: Option<String>, scope: Option<String>) -> Form {
    let kind = if refresh.is_some() { "refresh_token" } else { "client_credentials" };
    let mut form = vec![("grant_type", kind.to_owned()), ("client_id", client.to_owned())];
    form.extend(secret.map(|secret| ("client_secret", secret)));
    form.extend(refresh.map(|refresh| ("refresh_token", refresh)));
    form.extend(scope.map(|scope| ("scope", scope)));
    form
}

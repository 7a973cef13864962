//! A service account's key file (<https://developers.google.com/workspace/chat/authenticate-authorize-chat-app>), and what is signed with it
//! to get access tokens (<https://developers.google.com/identity/protocols/oauth2/service-account#httprest>).

use serde::Deserialize;
use serde_json::json;

use crate::ChannelError;
use crate::kit::jwt::SigningKey;

/// All that an app may do without a person and without an administrator.
pub(super) const BOT: &str = "https://www.googleapis.com/auth/chat.bot";
/// To be told of the messages of its spaces and their reactions, which takes an administrator's approval
/// (<https://developers.google.com/workspace/events/guides/auth>).
pub(super) const MESSAGES: &str = "https://www.googleapis.com/auth/chat.app.messages.readonly";
/// For whom an assertion is; also where another server takes it.
const AUDIENCE: &str = "https://oauth2.googleapis.com/token";
/// How long an assertion counts at most, in seconds.
const LIFETIME: i64 = 3600;

/// A service account.
#[derive(Debug)]
pub(super) struct Account {
    file: File,
    key: SigningKey,
}

#[derive(Deserialize)]
struct File {
    client_email: String,
    private_key_id: String,
    private_key: String,
    #[serde(default)]
    project_id: String,
}

/// Without the key.
impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("File").field("client_email", &self.client_email).finish_non_exhaustive()
    }
}

impl Account {
    /// Of the file's content; the error says what is wrong with the field, without a word of it.
    pub(super) fn read(json: &str) -> Result<Self, String> {
        let file: File = serde_json::from_str(json).map_err(|_| {
            "service_account_env is not the content of a service account's key file: a JSON document with client_email, \
             private_key_id and private_key"
                .to_owned()
        })?;
        let key = SigningKey::from_pem(&file.private_key)
            .map_err(|why| format!("private_key in service_account_env {why}"))?;
        Ok(Self { file, key })
    }

    pub(super) fn email(&self) -> &str {
        &self.file.client_email
    }

    pub(super) fn project(&self) -> &str {
        &self.file.project_id
    }

    /// Which key of the account this is.
    pub(super) fn key_id(&self) -> &str {
        &self.file.private_key_id
    }

    /// The private key as it was given, to tell one from another.
    pub(super) fn private_key(&self) -> &str {
        &self.file.private_key
    }

    /// What an access token of this scope is given for at `now`, in seconds since 1970.
    pub(super) fn assertion(&self, scope: &str, now: i64) -> Result<String, ChannelError> {
        let claims = json!({
            "iss": self.file.client_email, "scope": scope, "aud": AUDIENCE, "iat": now, "exp": now + LIFETIME,
        });
        let unsigned = |_| ChannelError::Retryable("the service account's key could not sign".to_owned());
        self.key.token(&self.file.private_key_id, &claims).map_err(unsigned)
    }
}

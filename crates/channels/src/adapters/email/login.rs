//! How a channel signs in at its two servers: with a password, or with an access token (SASL's `XOAUTH2`,
//! <https://developers.google.com/workspace/gmail/imap/xoauth2-protocol>, and `OAUTHBEARER`, <https://www.rfc-editor.org/rfc/rfc7628>).
//!
//! A token that a server does not take is given up, and the sign-in tried once more with a new one: it may have been taken back.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::config::Mailbox;
use super::wire::Server;
use crate::ChannelError;
use crate::kit::access_token::Grant;

/// What a mailbox signs in with.
pub(super) enum Credential {
    Password(String),
    Tokens(Box<Grant>),
}

/// Who signs in. Without `Debug`: it has the secret.
pub(super) struct Login {
    pub(super) username: String,
    pub(super) proof: Proof,
}

/// By what it is shown that it is them.
pub(super) enum Proof {
    Password(String),
    Token(String),
}

/// How a token is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mechanism {
    Xoauth2,
    OauthBearer,
}

impl Mechanism {
    /// The one to use, of those that a server offers. Gmail documents the first, and Microsoft's servers have no other.
    pub(super) fn offered(is_offered: impl Fn(&str) -> bool) -> Option<Self> {
        [Self::Xoauth2, Self::OauthBearer].into_iter().find(|mechanism| is_offered(mechanism.name()))
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Xoauth2 => "XOAUTH2",
            Self::OauthBearer => "OAUTHBEARER",
        }
    }

    /// What shows who signs in, in Base64.
    pub(super) fn response(self, username: &str, token: &str, server: &Server) -> String {
        let Server { host, port, .. } = server;
        STANDARD.encode(match self {
            Self::Xoauth2 => format!("user={username}\u{1}auth=Bearer {token}\u{1}\u{1}"),
            Self::OauthBearer => {
                // RFC 5801, section 4.
                let name = username.replace('=', "=3D").replace(',', "=2C");
                format!("n,a={name},\u{1}host={host}\u{1}port={port}\u{1}auth=Bearer {token}\u{1}\u{1}")
            }
        })
    }

    /// What a server is told that says why it refuses, so that it goes on and refuses.
    pub(super) fn go_on(self) -> &'static str {
        match self {
            Self::Xoauth2 => "",
            // A lone ^A (RFC 7628, section 3.2.3).
            Self::OauthBearer => "AQ==",
        }
    }
}

impl Login {
    /// What a server says, without the secret, should it repeat what it was told.
    pub(super) fn hidden(&self, said: &str) -> String {
        let (Proof::Password(secret) | Proof::Token(secret)) = &self.proof;
        if secret.is_empty() { said.to_owned() } else { said.replace(secret, "[secret]") }
    }

    /// What it is called in a sentence that begins with it.
    pub(super) fn what(&self) -> &'static str {
        match self.proof {
            Proof::Password(_) => "user name and password",
            Proof::Token(_) => "user name and access token",
        }
    }
}

impl Mailbox {
    /// Who signs in, with the token that counts now.
    pub(super) async fn login(&self) -> Result<Login, ChannelError> {
        let proof = match &self.credential {
            Credential::Password(password) => Proof::Password(password.clone()),
            Credential::Tokens(grant) => Proof::Token(grant.token().await?),
        };
        Ok(Login { username: self.username.clone(), proof })
    }

    /// A login with another token than the one that was not taken; `None` where there is nothing else to try.
    pub(super) async fn renewed(&self, login: &Login) -> Result<Option<Login>, ChannelError> {
        let (Credential::Tokens(grant), Proof::Token(token)) = (&self.credential, &login.proof) else {
            return Ok(None);
        };
        grant.forget(token).await;
        self.login().await.map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::email::wire::Protection;

    /// The examples of the pages above.
    #[test]
    fn a_token_is_handed_over_as_the_documents_have_it() {
        let server = Server {
            what: "the IMAP server",
            host: "server.example.com".to_owned(),
            port: 143,
            protection: Protection::Tls,
        };
        let token = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg";
        assert_eq!(
            Mechanism::Xoauth2.response("someuser@example.com", token, &server),
            "dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ=="
        );
        let bearer = Mechanism::OauthBearer.response(
            "user@example.com",
            "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==",
            &server,
        );
        let read = STANDARD.decode(bearer).unwrap();
        assert_eq!(
            String::from_utf8(read).unwrap(),
            "n,a=user@example.com,\u{1}host=server.example.com\u{1}port=143\u{1}auth=Bearer \
             vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\u{1}\u{1}"
        );
    }

    #[test]
    fn the_mechanism_is_one_that_is_offered() {
        let of = |offers: &[&str]| Mechanism::offered(|name| offers.contains(&name));
        assert_eq!(of(&["PLAIN", "OAUTHBEARER", "XOAUTH2"]), Some(Mechanism::Xoauth2));
        assert_eq!(of(&["PLAIN", "OAUTHBEARER"]), Some(Mechanism::OauthBearer));
        assert_eq!(of(&["PLAIN"]), None);
    }
}

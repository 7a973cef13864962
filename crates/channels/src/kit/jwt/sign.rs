//! Tokens that we make, of a private key that a user was given by a platform.

use std::fmt;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD as BASE64};
use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_SHA256, RsaKeyPair};
use serde_json::{Value, json};

/// A private key.
pub struct SigningKey(RsaKeyPair);

/// A text is no private key that can be used; without the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no RSA private key in PEM (PKCS #8), as in \"-----BEGIN PRIVATE KEY-----\"")]
pub struct NoKey;

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// Of a key in PEM (RFC 7468, section 10).
    ///
    /// # Errors
    /// When it is none.
    pub fn from_pem(pem: &str) -> Result<Self, NoKey> {
        let (_, rest) = pem.split_once("-----BEGIN PRIVATE KEY-----").ok_or(NoKey)?;
        let (body, _) = rest.split_once("-----END PRIVATE KEY-----").ok_or(NoKey)?;
        let body: String = body.split_whitespace().collect();
        let der = BASE64_STANDARD.decode(body).map_err(|_| NoKey)?;
        RsaKeyPair::from_pkcs8(&der).map(Self).map_err(|_| NoKey)
    }

    /// A token with these claims, which names its key.
    ///
    /// # Errors
    /// When the system has no randomness for blinding.
    pub fn token(&self, key: &str, claims: &Value) -> Result<String, NoKey> {
        let header = json!({"alg": "RS256", "typ": "JWT", "kid": key});
        let mut token =
            format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), token.as_bytes(), &mut signature)
            .map_err(|_| NoKey)?;
        token.push('.');
        token.push_str(&BASE64.encode(signature));
        Ok(token)
    }
}

//! Encrypted attachments (<https://spec.matrix.org/latest/client-server-api/#sending-encrypted-attachments>): a key for each, which
//! stands in the message; the homeserver has bytes that mean nothing to it.
//!
//! In a stored message an attachment is its address with the key, the counter and the hash behind it: `mxc://server/id#key.counter.hash`.
//!
//! Must hold: whoever reads to the end of an attachment without an error has what its sender sent.

use aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use claw_runtime::Random;
use ctr::Ctr64BE;
use ctr::cipher::{KeyIvInit as _, StreamCipher as _};
use futures::StreamExt as _;
use futures::stream::{self, BoxStream};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::ChannelError;

/// How an attachment is read.
struct Opening {
    key: [u8; 32],
    counter: [u8; 16],
    hash: [u8; 32],
}

/// Encrypts an attachment; what the message says of it, without its address.
pub(in crate::adapters::matrix) fn seal(bytes: &[u8], random: &dyn Random) -> (Bytes, Value) {
    let (mut key, mut counter) = ([0; 32], [0; 16]);
    random.fill(&mut key);
    // The other half counts, from 0.
    random.fill(&mut counter[..8]);
    let mut sealed = bytes.to_vec();
    Ctr64BE::<Aes256>::new(&key.into(), &counter.into()).apply_keystream(&mut sealed);
    let about = json!({
        "v": "v2", "iv": STANDARD_NO_PAD.encode(counter), "hashes": {"sha256": STANDARD_NO_PAD.encode(Sha256::digest(&sealed))},
        "key": {"kty": "oct", "alg": "A256CTR", "ext": true, "k": URL_SAFE_NO_PAD.encode(key), "key_ops": ["encrypt", "decrypt"]},
    });
    (sealed.into(), about)
}

/// An attachment as it is kept, out of what a message says of it.
pub(in crate::adapters::matrix) fn handle(file: &Value) -> Option<String> {
    let (url, key, counter) = (file["url"].as_str()?, file["key"]["k"].as_str()?, file["iv"].as_str()?);
    let hash = file["hashes"]["sha256"].as_str()?.trim_end_matches('=');
    let secret = format!("{key}.{counter}.{hash}");
    let is_known = file["v"] == "v2" && file["key"]["alg"] == "A256CTR" && parsed(&secret).is_some();
    (is_known && !url.contains('#')).then(|| format!("{url}#{secret}"))
}

/// What is behind the address of an attachment that is kept.
fn parsed(secret: &str) -> Option<Opening> {
    let mut parts = secret.split('.');
    let key = URL_SAFE_NO_PAD.decode(parts.next()?).ok()?;
    let counter = STANDARD_NO_PAD.decode(parts.next()?).ok()?;
    let hash = STANDARD_NO_PAD.decode(parts.next()?).ok()?;
    Some(Opening {
        key: key.try_into().ok()?,
        counter: counter.try_into().ok()?,
        hash: hash.try_into().ok()?,
    })
}

/// Decrypts an attachment as it comes. What comes last is an error when it is not what its sender sent.
pub(in crate::adapters::matrix) fn open(
    secret: &str,
    bytes: BoxStream<'static, Result<Bytes, ChannelError>>,
) -> Result<BoxStream<'static, Result<Bytes, ChannelError>>, ChannelError> {
    let Opening { key, counter, hash } = parsed(secret)
        .ok_or_else(|| ChannelError::Permanent("the attachment's key can't be read".to_owned()))?;
    let cipher = Ctr64BE::<Aes256>::new(&key.into(), &counter.into());
    let opened = stream::unfold(Some((bytes, cipher, Sha256::new())), move |state| async move {
        let (mut bytes, mut cipher, mut read) = state?;
        match bytes.next().await {
            Some(Ok(piece)) => {
                read.update(&piece);
                let mut piece = piece.to_vec();
                cipher.apply_keystream(&mut piece);
                Some((Ok(Bytes::from(piece)), Some((bytes, cipher, read))))
            }
            Some(Err(error)) => Some((Err(error), None)),
            None => {
                let why = "the attachment is not what its sender sent: its hash is another one";
                let is_it = read.finalize()[..] == hash;
                (!is_it).then(|| (Err(ChannelError::Permanent(why.to_owned())), None))
            }
        }
    });
    Ok(opened.boxed())
}

#[cfg(test)]
mod tests {
    use claw_runtime::SeededRandom;

    use super::*;

    async fn read(secret: &str, pieces: Vec<Bytes>) -> Result<Vec<u8>, ChannelError> {
        let mut opened = open(secret, stream::iter(pieces.into_iter().map(Ok)).boxed())?;
        let mut all = Vec::new();
        while let Some(piece) = opened.next().await {
            all.extend_from_slice(&piece?);
        }
        Ok(all)
    }

    fn secret(mut about: Value) -> String {
        about["url"] = json!("mxc://example.org/AbC");
        let handle = handle(&about).unwrap();
        handle.strip_prefix("mxc://example.org/AbC#").unwrap().to_owned()
    }

    #[tokio::test]
    async fn what_was_sealed_is_read_and_nothing_else() {
        let (sealed, about) = seal(b"a picture", &SeededRandom::new(1));
        assert_ne!(&sealed[..], b"a picture");
        let secret = secret(about);
        let pieces = vec![sealed.slice(..4), sealed.slice(4..)];
        assert_eq!(read(&secret, pieces).await.unwrap(), b"a picture");
        let mut other = sealed.to_vec();
        other[0] ^= 1;
        assert!(matches!(read(&secret, vec![other.into()]).await, Err(ChannelError::Permanent(_))));
        assert!(read(&secret, vec![sealed.slice(..4)]).await.is_err(), "cut off");
        assert!(read("x", vec![]).await.is_err());
    }

    /// <https://github.com/matrix-org/matrix-encrypt-attachment/blob/master/test/decrypt.Spec.js>
    #[tokio::test]
    async fn what_another_program_sealed_is_read() {
        for (sealed, hash, plain) in [
            ("5xJZTt5cQicm+9f4", "YzF08lARDdOCzJpzuSwsjTNlQc4pHxpdHcXiD/wpK6k", "Hello, World"),
            (
                "zhtFStAeFx0s+9L/sSQO+WQMtldqYEHqTxMduJrCIpnkyer09kxJJuA4K+adQE4w+7jZe/vR9kIcqj9rOhDR8Q",
                "IOq7/dHHB+mfHfxlRY5XMeCWEwTPmlf4cJcgrkf6fVU",
                "alphanumericallyalphanumericallyalphanumericallyalphanumerically",
            ),
        ] {
            let about = json!({
                "v": "v2", "iv": "//////////8AAAAAAAAAAA", "hashes": {"sha256": hash},
                "key": {"kty": "oct", "alg": "A256CTR", "k": "__________________________________________8"},
            });
            let sealed = STANDARD_NO_PAD.decode(sealed).unwrap();
            assert_eq!(read(&secret(about), vec![sealed.into()]).await.unwrap(), plain.as_bytes());
        }
    }
}

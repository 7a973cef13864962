//! The place of the store as an operator writes it, in one setting: a folder, or a bucket.
//!
//! ```text
//! /var/lib/ii-claw/media
//! s3://bucket/prefix?region=eu-central-1
//! s3://bucket?endpoint=https://minio.example:9000
//! ```
//!
//! Keys are not part of it: the setting appears in process lists and logs.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use url::Url;

/// A bucket and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Its name.
    pub name: String,
    /// Put before the names of all objects.
    pub prefix: Option<String>,
    /// Its region; `us-east-1` when there is none.
    pub region: Option<String>,
    /// The service, where that is not Amazon's.
    pub endpoint: Option<Url>,
    /// Whether the bucket's name goes into the path and not into the host.
    pub path_style: bool,
}

impl Bucket {
    /// The service's address with the bucket's name in its host, where it belongs there.
    pub(crate) fn endpoint_url(&self, endpoint: &Url) -> String {
        let url = endpoint.as_str().trim_end_matches('/');
        if self.path_style { url.to_owned() } else { url.replacen("://", &format!("://{}.", self.name), 1) }
    }
}

/// Where attachments are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaLocation {
    /// A folder.
    Folder(PathBuf),
    /// A bucket of an S3 service.
    S3(Bucket),
}

/// Why a text is not a place; to be put after the name of the setting.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocationError {
    /// Nothing.
    #[error("is empty; give a folder, or s3://bucket")]
    Empty,
    /// Another scheme.
    #[error("starts with {0}://, which is not known; give a folder, or s3://bucket")]
    Scheme(String),
    /// Not a URL.
    #[error("is not like s3://bucket/prefix?region=eu-central-1")]
    Form,
    /// Not a bucket's name.
    #[error("names no bucket: 3 to 63 of a-z, 0-9, '.' and '-' go between s3:// and the next slash")]
    Bucket,
    /// Keys in the URL.
    #[error(
        "may not carry keys, which would end up in logs; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
    )]
    Keys,
    /// An odd prefix.
    #[error("has the prefix {0:?}; only letters, digits, '-', '_', '.' and single slashes are allowed")]
    Prefix(String),
    /// An option that there is not, or twice.
    #[error("has the option {0:?}; there are region, endpoint and path_style, each once")]
    Option(String),
    /// A wrong region.
    #[error("has the region {0:?}, which is not like eu-central-1")]
    Region(String),
    /// A wrong endpoint.
    #[error("has the endpoint {0:?}, which is not like https://minio.example:9000")]
    Endpoint(String),
    /// Neither true nor false.
    #[error("has path_style={0}; it is true or false")]
    PathStyle(String),
}

impl FromStr for MediaLocation {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let text = text.trim();
        match text.split_once("://") {
            _ if text.is_empty() => Err(LocationError::Empty),
            None => Ok(Self::Folder(text.into())),
            Some((scheme, _)) if scheme.eq_ignore_ascii_case("s3") => bucket(text).map(Self::S3),
            Some((scheme, _)) if scheme.contains('/') => Ok(Self::Folder(text.into())),
            Some((scheme, _)) => Err(LocationError::Scheme(scheme.to_owned())),
        }
    }
}

fn bucket(text: &str) -> Result<Bucket, LocationError> {
    let url = Url::parse(text).map_err(|_| LocationError::Form)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(LocationError::Keys);
    }
    if url.port().is_some() || url.fragment().is_some() {
        return Err(LocationError::Form);
    }
    let name = url.host_str().filter(|name| is_bucket(name)).ok_or(LocationError::Bucket)?;
    let mut bucket = Bucket {
        name: name.to_owned(),
        prefix: prefix(&url)?,
        region: None,
        endpoint: None,
        path_style: false,
    };
    let mut path_style = None;
    for (option, value) in url.query_pairs() {
        let value = value.into_owned();
        match &*option {
            "region" if bucket.region.is_none() => bucket.region = Some(region(value)?),
            "endpoint" if bucket.endpoint.is_none() => bucket.endpoint = Some(endpoint(value)?),
            "path_style" if path_style.is_none() => {
                path_style = Some(value.parse().map_err(|_| LocationError::PathStyle(value))?);
            }
            _ => return Err(LocationError::Option(option.into_owned())),
        }
    }
    // Services of one's own rarely have a host name for each bucket; Amazon always has.
    bucket.path_style = path_style.unwrap_or(bucket.endpoint.is_some());
    Ok(bucket)
}

fn is_bucket(name: &str) -> bool {
    let end = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    (3..=63).contains(&bytes.len())
        && bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-'))
        && end(bytes.first())
        && end(bytes.last())
}

fn prefix(url: &Url) -> Result<Option<String>, LocationError> {
    let prefix = url.path().trim_start_matches('/').trim_end_matches('/');
    let ok = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !part.trim_matches('.').is_empty() && part.bytes().all(allowed)
    };
    match prefix {
        "" => Ok(None),
        _ if prefix.split('/').all(ok) => Ok(Some(prefix.to_owned())),
        _ => Err(LocationError::Prefix(prefix.to_owned())),
    }
}

fn region(text: String) -> Result<String, LocationError> {
    let ok = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if ok { Ok(text) } else { Err(LocationError::Region(text)) }
}

fn endpoint(text: String) -> Result<Url, LocationError> {
    let plain = |url: &Url| {
        let bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        matches!(url.scheme(), "http" | "https") && url.has_host() && bare && url.password().is_none()
    };
    Url::parse(&text).ok().filter(plain).ok_or(LocationError::Endpoint(text))
}

impl fmt::Display for MediaLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(f, "{}", path.display()),
            Self::S3(Bucket { name, prefix, endpoint, .. }) => {
                write!(f, "s3://{name}")?;
                prefix.iter().try_for_each(|prefix| write!(f, "/{prefix}"))?;
                endpoint.iter().try_for_each(|endpoint| write!(f, " at {endpoint}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(text: &str) -> Bucket {
        match text.parse() {
            Ok(MediaLocation::S3(bucket)) => bucket,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn a_folder_is_a_folder() {
        for text in ["/var/lib/ii-claw/media", "media", "./a b", " /x ", "/odd/a://b"] {
            assert_eq!(text.parse(), Ok(MediaLocation::Folder(text.trim().into())), "{text}");
        }
    }

    #[test]
    fn a_bucket_with_its_options() {
        let plain = s3("s3://claw-media");
        assert_eq!(
            (&*plain.name, plain.prefix, plain.region, plain.path_style),
            ("claw-media", None, None, false)
        );
        let full = s3("s3://claw-media/a/b/?region=eu-central-1&endpoint=http://127.0.0.1:9000");
        assert_eq!((full.prefix.as_deref(), full.region.as_deref()), (Some("a/b"), Some("eu-central-1")));
        let endpoint = full.endpoint.clone().unwrap();
        assert!(full.path_style);
        assert_eq!(full.endpoint_url(&endpoint), "http://127.0.0.1:9000");
        let hosted = s3("s3://claw-media?endpoint=https%3A%2F%2Fs3.example%3A9000%2F&path_style=false");
        assert_eq!(
            hosted.endpoint_url(&hosted.endpoint.clone().unwrap()),
            "https://claw-media.s3.example:9000"
        );
        assert_eq!(MediaLocation::S3(full).to_string(), "s3://claw-media/a/b at http://127.0.0.1:9000/");
    }

    #[test]
    fn what_is_wrong_is_said() {
        use LocationError::{Bucket, Empty, Endpoint, Form, Keys, Option, PathStyle, Prefix, Region, Scheme};

        let text = str::to_owned;
        for (given, error) in [
            ("", Empty),
            ("  ", Empty),
            ("gs://bucket", Scheme(text("gs"))),
            ("file:///x", Scheme(text("file"))),
            ("s3://", Bucket),
            ("s3:///prefix", Bucket),
            ("s3://ab", Bucket),
            ("s3://Claw_Media", Bucket),
            ("s3://-claw", Bucket),
            ("s3://claw:99", Form),
            ("s3://claw#x", Form),
            ("s3://key:secret@claw", Keys),
            ("s3://claw/a//b", Prefix(text("a//b"))),
            ("s3://claw/a%20b", Prefix(text("a%20b"))),
            ("s3://claw?zone=x", Option(text("zone"))),
            ("s3://claw?region=a&region=b", Option(text("region"))),
            ("s3://claw?region=eu_1", Region(text("eu_1"))),
            ("s3://claw?endpoint=minio:9000", Endpoint(text("minio:9000"))),
            ("s3://claw?endpoint=https://a:b@minio", Endpoint(text("https://a:b@minio"))),
            ("s3://claw?path_style=yes", PathStyle(text("yes"))),
        ] {
            assert_eq!(given.parse::<MediaLocation>(), Err(error), "{given}");
        }
    }
}

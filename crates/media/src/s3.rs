//! A bucket of an S3 service.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey as Setting};
use object_store::prefix::PrefixStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use secrecy::{ExposeSecret as _, SecretString};

use crate::Result;
use crate::location::Bucket;

/// The keys for a bucket, from the caller's settings.
#[derive(Debug, Clone, Default)]
pub struct S3Keys {
    /// `AWS_ACCESS_KEY_ID`.
    pub access_key_id: Option<SecretString>,
    /// `AWS_SECRET_ACCESS_KEY`.
    pub secret_access_key: Option<SecretString>,
    /// `AWS_SESSION_TOKEN`, with temporary keys.
    pub session_token: Option<SecretString>,
}

/// Which bucket, and how to reach it.
#[derive(Debug, Clone)]
pub struct S3Options {
    /// Where it is.
    pub bucket: Bucket,
    /// With which keys; without any, those that the environment or the machine has.
    pub keys: S3Keys,
}

/// What says in the environment where a machine's or a container's own credentials come from. Nothing else is read there.
const FROM_ENVIRONMENT: [Setting; 11] = [
    Setting::AccessKeyId,
    Setting::SecretAccessKey,
    Setting::Token,
    Setting::WebIdentityTokenFile,
    Setting::RoleArn,
    Setting::RoleSessionName,
    Setting::StsEndpoint,
    Setting::ContainerCredentialsRelativeUri,
    Setting::ContainerCredentialsFullUri,
    Setting::ContainerAuthorizationTokenFile,
    Setting::MetadataEndpoint,
];

pub(crate) fn open(options: &S3Options) -> Result<Arc<dyn ObjectStore>> {
    let Bucket { name, prefix, region, endpoint, path_style } = &options.bucket;
    let mut builder = with_keys(AmazonS3Builder::new(), &options.keys, AmazonS3Builder::from_env)
        .with_bucket_name(name)
        .with_client_options(client())
        .with_retry(retry())
        .with_virtual_hosted_style_request(!path_style);
    if let Some(region) = region {
        builder = builder.with_region(region);
    }
    if let Some(endpoint) = endpoint {
        builder = builder
            .with_endpoint(options.bucket.endpoint_url(endpoint))
            .with_allow_http(endpoint.scheme() == "http");
    }
    let objects = builder.build()?;
    Ok(match prefix {
        Some(prefix) => Arc::new(PrefixStore::new(objects, prefix.as_str())),
        None => Arc::new(objects),
    })
}

fn with_keys(
    mut builder: AmazonS3Builder,
    keys: &S3Keys,
    environment: impl FnOnce() -> AmazonS3Builder,
) -> AmazonS3Builder {
    if keys.access_key_id.is_none() && keys.secret_access_key.is_none() {
        let environment = environment();
        for setting in FROM_ENVIRONMENT {
            if let Some(value) = environment.get_config_value(&setting) {
                builder = builder.with_config(setting, value);
            }
        }
        return builder;
    }
    let given = [
        (Setting::AccessKeyId, &keys.access_key_id),
        (Setting::SecretAccessKey, &keys.secret_access_key),
        (Setting::Token, &keys.session_token),
    ];
    for (setting, value) in given {
        if let Some(value) = value {
            builder = builder.with_config(setting, value.expose_secret());
        }
    }
    builder
}

/// A limit on silence and not on the whole: a download lasts as long as the person's line needs.
fn client() -> ClientOptions {
    ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(5))
        .with_read_timeout(Duration::from_secs(30))
        .with_timeout_disabled()
}

/// Somebody waits for the answer, so an outage is told soon.
fn retry() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig { max_backoff: Duration::from_secs(2), ..BackoffConfig::default() },
        max_retries: 4,
        retry_timeout: Duration::from_secs(15),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_gives_credentials_only_and_only_where_none_are_set() {
        let environment = || {
            AmazonS3Builder::new()
                .with_config(Setting::RoleArn, "arn:aws:iam::1:role/claw")
                .with_config(Setting::WebIdentityTokenFile, "/token")
                .with_config(Setting::Token, "of the environment")
                .with_config(Setting::Endpoint, "https://elsewhere.example")
                .with_config(Setting::Bucket, "other")
        };
        let found = |keys: &S3Keys| {
            let builder = with_keys(AmazonS3Builder::new(), keys, environment);
            [Setting::RoleArn, Setting::AccessKeyId, Setting::Token, Setting::Endpoint, Setting::Bucket]
                .map(|setting| builder.get_config_value(&setting))
        };
        let text = |text: &str| Some(text.to_owned());
        let role = text("arn:aws:iam::1:role/claw");
        assert_eq!(found(&S3Keys::default()), [role, None, text("of the environment"), None, None]);
        let keys = S3Keys {
            access_key_id: Some("id".into()),
            secret_access_key: Some("key".into()),
            session_token: None,
        };
        assert_eq!(found(&keys), [None, text("id"), None, None, None]);
    }
}

//! The settings, in groups that the roles put together.

use std::net::SocketAddr;
use std::sync::{Arc, Once};
use std::time::Duration;

use clap::Args;
use claw_media::{MediaLocation, S3Keys};
use claw_secrets::{KeyError, KeyRing, MasterKey};
use claw_types::{Pooler, ShardCount};
use ipnet::IpNet;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::own_address::own_address;
use crate::{TlsFiles, TlsSettings, TraceSettings, values};

/// A setting that is missing or wrong.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConfigError {
    /// Not set.
    #[error("{0} is not set")]
    Missing(&'static str),
    /// One of several settings that only make sense together.
    #[error("{0} is not set, though others of {list} are: set all three or none", list = TlsFiles::ALL.join(", "))]
    Alone(&'static str),
    /// Set, but wrong.
    #[error("II_CLAW_MASTER_KEY {0}")]
    MasterKey(KeyError),
    /// One of several is wrong.
    #[error("II_CLAW_OTHER_MASTER_KEYS: key {place} of them {error}")]
    OtherMasterKey {
        /// Which one, counted from 1.
        place: usize,
        /// What is wrong.
        error: KeyError,
    },
    /// A lease through a pooler would not be one.
    #[error(
        "II_CLAW_DATABASE_POOLER=transaction needs II_CLAW_LEASE_DATABASE_URL: the address of the same database without \
         the pooler"
    )]
    LeaseThroughPooler,
    /// What failed would be forgotten before what is done.
    #[error(
        "II_CLAW_DEAD_LETTER_DAYS is {failed}, less than II_CLAW_MESSAGE_DAYS ({messages}): set it to {messages} or more, \
         or to 0 for ever"
    )]
    DeadLetterDays {
        /// Days for what failed.
        failed: u16,
        /// Days for messages.
        messages: u16,
    },
    /// An erasure finds attachments by their messages.
    #[error(
        "II_CLAW_MEDIA_DAYS is {media}, more than II_CLAW_MESSAGE_DAYS ({messages}): attachments whose messages are forgotten \
         could not be erased with their user. Set it to {messages} or less; if schedulers have another II_CLAW_MESSAGE_DAYS, \
         give it to gateways, too"
    )]
    MediaDays {
        /// Days for attachments.
        media: u16,
        /// Days for messages.
        messages: u16,
    },
}

/// The database.
#[derive(Debug, Clone, Args)]
pub struct StoreSettings {
    /// Postgres: postgres://user:password@host:5432/database
    #[arg(long, env = "DATABASE_URL", value_parser = values::database_url, hide_env_values = true)]
    pub database_url: Option<SecretString>,
    /// The same database reached without a transaction pooler, for the lease connection and migrations; default: DATABASE_URL
    #[arg(long, env = "II_CLAW_LEASE_DATABASE_URL", value_parser = values::database_url, hide_env_values = true)]
    pub lease_database_url: Option<SecretString>,
    /// What DATABASE_URL leads to: none, or a pooler of transactions such as PgBouncer
    #[arg(long, env = "II_CLAW_DATABASE_POOLER", default_value = "none", value_parser = values::pooler)]
    pub database_pooler: Pooler,
    /// Connections of one process to the database
    #[arg(long, env = "II_CLAW_DATABASE_CONNECTIONS", default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=500))]
    pub database_connections: u32,
    /// Shards of a new cluster; an existing one must have as many
    #[arg(long, env = "II_CLAW_SHARDS", value_parser = values::shard_count)]
    pub shards: Option<ShardCount>,
    /// NATS: nats://host:4222
    #[arg(long, env = "NATS_URL", value_parser = values::nats_url, hide_env_values = true)]
    pub nats_url: Option<SecretString>,
}

impl StoreSettings {
    /// The database's URL.
    ///
    /// # Errors
    /// When it is not set.
    pub fn database(&self) -> Result<&str, ConfigError> {
        let url = self.database_url.as_ref().ok_or(ConfigError::Missing("DATABASE_URL"))?;
        Ok(url.expose_secret())
    }

    /// The URL for the lease connection.
    ///
    /// # Errors
    /// When neither is set, or there is a pooler and the address without it is not set.
    pub fn lease_database(&self) -> Result<&str, ConfigError> {
        match &self.lease_database_url {
            Some(url) => Ok(url.expose_secret()),
            None if self.database_pooler != Pooler::None => Err(ConfigError::LeaseThroughPooler),
            None => self.database(),
        }
    }

    /// What [`StoreSettings::database`] leads to.
    ///
    /// # Errors
    /// When there is a pooler and the address without it is not set.
    pub fn pooler(&self) -> Result<Pooler, ConfigError> {
        self.lease_database().map(|_| self.database_pooler)
    }

    /// The URL of NATS.
    ///
    /// # Errors
    /// When it is not set.
    pub fn nats(&self) -> Result<&str, ConfigError> {
        Ok(self.nats_url.as_ref().ok_or(ConfigError::Missing("NATS_URL"))?.expose_secret())
    }
}

/// The keys.
#[derive(Debug, Clone, Args)]
pub struct KeySettings {
    /// The operator's key: what II-Agent sends as bearer token
    #[arg(long, env = "II_CLAW_API_KEY", value_parser = values::secret, hide_env_values = true)]
    pub api_key: Option<SecretString>,
    /// Seals channel secrets: 32 bytes in base64; default: derived from the API key
    #[arg(long, env = "II_CLAW_MASTER_KEY", value_parser = values::secret, hide_env_values = true)]
    pub master_key: Option<SecretString>,
    /// Master keys that are known beside it while it is replaced: the one to come, or the one of before
    #[arg(
        long,
        env = "II_CLAW_OTHER_MASTER_KEYS",
        value_delimiter = ',',
        value_parser = values::secret,
        hide_env_values = true
    )]
    pub other_master_keys: Vec<SecretString>,
}

/// The keys, ready to use.
#[derive(Clone)]
pub struct Keys {
    /// The operator's key.
    pub api_key: SecretString,
    /// The master key, and others that are known.
    pub master: Arc<KeyRing>,
}

impl KeySettings {
    /// Reads them; warns when the master key hangs on the API key.
    ///
    /// # Errors
    /// When the API key is not set or a master key is not one.
    pub fn keys(&self) -> Result<Keys, ConfigError> {
        let api_key = self.api_key.clone().ok_or(ConfigError::Missing("II_CLAW_API_KEY"))?;
        let master = if let Some(text) = &self.master_key {
            MasterKey::from_base64(text.expose_secret()).map_err(ConfigError::MasterKey)?
        } else {
            static SAID: Once = Once::new();
            SAID.call_once(|| tracing::warn!(
                "II_CLAW_MASTER_KEY is not set: channel secrets are sealed under a key derived from II_CLAW_API_KEY, \
                 so changing that key would make them unreadable; set one with `openssl rand -base64 32`"
            ));
            MasterKey::from_api_key(api_key.expose_secret())
        };
        let others = self.other_master_keys.iter().enumerate().map(|(at, text)| {
            let wrong = |error| ConfigError::OtherMasterKey { place: at + 1, error };
            MasterKey::from_base64(text.expose_secret()).map_err(wrong)
        });
        let others = others.collect::<Result<Vec<_>, _>>()?;
        Ok(Keys { api_key, master: Arc::new(KeyRing::new(master, others)) })
    }
}

/// The backend.
#[derive(Debug, Clone, Args)]
pub struct BackendSettings {
    /// Where messages go: http://host:8000/ii-claw/webhook/inbound
    #[arg(long, env = "AI_WEBHOOK_URL", value_parser = values::http_url)]
    pub ai_webhook_url: Option<Url>,
    /// The key of the webhook's signatures
    #[arg(long, env = "AI_WEBHOOK_SECRET", value_parser = values::secret, hide_env_values = true)]
    pub ai_webhook_secret: Option<SecretString>,
    /// The key before that one, while the backend may still expect it: signs `webhook-signature`, too
    #[arg(long, env = "AI_WEBHOOK_SECRET_PREVIOUS", value_parser = values::secret, hide_env_values = true)]
    pub ai_webhook_secret_previous: Option<SecretString>,
    /// Seconds until a webhook without an answer counts as failed
    #[arg(long, env = "II_CLAW_WEBHOOK_TIMEOUT_SECS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=300))]
    pub webhook_timeout_secs: u64,
    /// Hours for which a webhook that fails is tried again
    #[arg(long, env = "AI_WEBHOOK_RETRY_HOURS", default_value_t = 28, value_parser = clap::value_parser!(u64).range(1..=168))]
    pub ai_webhook_retry_hours: u64,
    /// Seconds for which people see that an answer is being written, if none comes; 0 to never show it
    #[arg(long, env = "II_CLAW_TYPING_SECS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(0..=3600))]
    pub typing_secs: u64,
    /// Seconds that an answer may take which the backend writes as a stream
    #[arg(long, env = "II_CLAW_STREAM_SECS", default_value_t = 600, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub stream_secs: u64,
    /// Streams that one worker reads at once, of one user a quarter of them
    #[arg(long, env = "II_CLAW_STREAMS", default_value_t = 512, value_parser = clap::value_parser!(u16).range(4..=16_384))]
    pub streams: u16,
    /// Where the backend reaches the gateways, for media links; default: http://localhost and the gateway's port
    #[arg(long, env = "II_CLAW_PUBLIC_URL", value_parser = values::http_url)]
    pub public_url: Option<Url>,
}

impl BackendSettings {
    /// The webhook's URL and secret.
    ///
    /// # Errors
    /// When one of them is not set.
    pub fn webhook(&self) -> Result<(Url, SecretString), ConfigError> {
        let url = self.ai_webhook_url.clone().ok_or(ConfigError::Missing("AI_WEBHOOK_URL"))?;
        let secret = self.ai_webhook_secret.clone().ok_or(ConfigError::Missing("AI_WEBHOOK_SECRET"))?;
        Ok((url, secret))
    }

    /// For how long a webhook that fails is tried again.
    pub fn retry_for(&self) -> Duration {
        Duration::from_hours(self.ai_webhook_retry_hours)
    }

    /// For how long an answer is waited for visibly.
    pub fn typing(&self) -> Duration {
        Duration::from_secs(self.typing_secs)
    }

    /// How long the backend may write one answer.
    pub fn stream(&self) -> Duration {
        Duration::from_secs(self.stream_secs)
    }

    /// How long to wait for the webhook's answer.
    pub fn webhook_timeout(&self) -> Duration {
        Duration::from_secs(self.webhook_timeout_secs)
    }
}

/// What channels may reach.
#[derive(Debug, Clone, Copy, Args)]
pub struct UrlPolicy {
    /// Let user-supplied URLs point to private and loopback addresses
    #[arg(
        long = "allow-private-urls",
        env = "II_CLAW_ALLOW_PRIVATE_URLS",
        default_value_t = false,
        num_args = 0..=1,
        default_missing_value = "true",
        action = clap::ArgAction::Set
    )]
    pub allow_private: bool,
}

/// Where gateways keep the attachments that they fetched from platforms.
#[derive(Debug, Clone, Args)]
pub struct MediaSettings {
    /// A folder, or s3://bucket/prefix?region=..&endpoint=..; default: a folder under the system's temporary one
    #[arg(long = "media", env = "II_CLAW_MEDIA")]
    pub location: Option<MediaLocation>,
    /// Largest attachment that is fetched, in MiB
    #[arg(long = "media-max-mib", env = "II_CLAW_MEDIA_MAX_MIB", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=2_000))]
    pub max_mib: u64,
    /// Days until a fetched attachment is removed
    #[arg(long = "media-days", env = "II_CLAW_MEDIA_DAYS", default_value_t = 7, value_parser = clap::value_parser!(u16).range(1..=3_650))]
    pub days: u16,
    /// Key id for the bucket; default: the machine's own credentials
    #[arg(long = "aws-access-key-id", env = "AWS_ACCESS_KEY_ID", value_parser = values::secret, hide_env_values = true)]
    pub access_key_id: Option<SecretString>,
    /// Secret key for the bucket
    #[arg(long = "aws-secret-access-key", env = "AWS_SECRET_ACCESS_KEY", value_parser = values::secret, hide_env_values = true)]
    pub secret_access_key: Option<SecretString>,
    /// Session token, with temporary keys
    #[arg(long = "aws-session-token", env = "AWS_SESSION_TOKEN", value_parser = values::secret, hide_env_values = true)]
    pub session_token: Option<SecretString>,
}

impl MediaSettings {
    /// Where to keep them.
    pub fn location(&self) -> MediaLocation {
        let default = || MediaLocation::Folder(std::env::temp_dir().join("ii-claw-media"));
        self.location.clone().unwrap_or_else(default)
    }

    /// Whether somebody said where. What can't be fetched again is kept there only: nobody who named a place has gateways that keep
    /// what is sent to them each for itself, unknowingly.
    pub fn is_named(&self) -> bool {
        self.location.is_some()
    }

    /// The keys for a bucket.
    pub fn keys(&self) -> S3Keys {
        S3Keys {
            access_key_id: self.access_key_id.clone(),
            secret_access_key: self.secret_access_key.clone(),
            session_token: self.session_token.clone(),
        }
    }
}

/// The internal RPC of a role.
#[derive(Debug, Clone, Args)]
pub struct RpcSettings {
    /// What this role's RPC shows others, and expects of them.
    #[command(flatten)]
    pub tls: TlsSettings,
    /// Where the internal RPC and the role's health endpoints listen
    #[arg(long, env = "II_CLAW_RPC_LISTEN", default_value = "0.0.0.0:4201")]
    pub rpc_listen: SocketAddr,
    /// How others reach it, host:port; default: this machine's address and the port
    #[arg(long, env = "II_CLAW_RPC_ADVERTISE")]
    pub rpc_advertise: Option<String>,
    /// This process's name in the cluster; default: the host name and a random suffix
    #[arg(long, env = "II_CLAW_NAME")]
    pub name: Option<String>,
}

/// Logging.
#[derive(Debug, Clone, Args)]
pub struct LogSettings {
    /// Level, or directives like info,claw_gateway=debug
    #[arg(
        long = "log",
        env = "II_CLAW_LOG",
        default_value = "info,async_nats=warn,sqlx=warn",
        global = true
    )]
    pub level: String,
    /// text or json
    #[arg(long = "log-format", env = "II_CLAW_LOG_FORMAT", default_value = "text", value_parser = ["text", "json"], global = true)]
    pub format: String,
}

/// What users' scheduled jobs may do.
#[derive(Debug, Clone, Copy, Args)]
pub struct JobSettings {
    /// Shortest interval in seconds of a job that runs every so many seconds; those that are there keep theirs
    #[arg(long, env = "II_CLAW_MIN_EVERY_SECS", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub min_every_secs: u64,
}

/// Everything a gateway needs.
#[derive(Debug, Clone, Args)]
pub struct GatewaySettings {
    /// Where the API, the platform webhooks and the web chat listen
    #[arg(long, env = "II_CLAW_LISTEN", default_value = "0.0.0.0:4200")]
    pub listen: SocketAddr,
    /// Database and NATS.
    #[command(flatten)]
    pub store: StoreSettings,
    /// The keys.
    #[command(flatten)]
    pub keys: KeySettings,
    /// What channels may reach.
    #[command(flatten)]
    pub urls: UrlPolicy,
    /// Milliseconds that a send waits for the platform before it answers 202 queued
    #[arg(long, env = "II_CLAW_SEND_WAIT_MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(0..=25_000))]
    pub send_wait_ms: u64,
    /// What users' scheduled jobs may do.
    #[command(flatten)]
    pub jobs: JobSettings,
    /// Networks of load balancers whose X-Forwarded-For is believed: 10.0.0.0/8,192.168.1.5/32
    #[arg(long, env = "II_CLAW_TRUSTED_PROXIES", value_delimiter = ',')]
    pub trusted_proxies: Vec<IpNet>,
    /// Attachments.
    #[command(flatten)]
    pub media: MediaSettings,
    /// Days for which schedulers keep messages; 0: for ever. Attachments can't be kept for longer
    #[arg(long, env = "II_CLAW_MESSAGE_DAYS", default_value = "90", value_parser = values::message_days)]
    pub message_days: u16,
    /// The internal RPC.
    #[command(flatten)]
    pub rpc: RpcSettings,
    /// Traces.
    #[command(flatten)]
    pub traces: TraceSettings,
}

/// Everything a worker needs.
#[derive(Debug, Clone, Args)]
pub struct WorkerSettings {
    /// Database and NATS.
    #[command(flatten)]
    pub store: StoreSettings,
    /// The keys.
    #[command(flatten)]
    pub keys: KeySettings,
    /// The backend.
    #[command(flatten)]
    pub backend: BackendSettings,
    /// What channels may reach.
    #[command(flatten)]
    pub urls: UrlPolicy,
    /// Seconds after which a message to a person that names no ttl_seconds is not sent any more
    #[arg(long, env = "II_CLAW_SEND_TTL_SECS", default_value_t = 86_400, value_parser = clap::value_parser!(u32).range(1..=604_800))]
    pub send_ttl_secs: u32,
    /// The internal RPC.
    #[command(flatten)]
    pub rpc: RpcSettings,
    /// Traces.
    #[command(flatten)]
    pub traces: TraceSettings,
    /// This worker's share of the shards relative to the others
    #[arg(long, env = "II_CLAW_WEIGHT", default_value = "1", value_parser = values::weight)]
    pub weight: f64,
}

/// How long things are kept.
#[derive(Debug, Clone, Copy, Args)]
pub struct RetentionSettings {
    /// Days for which messages are kept that are done or discarded, 7 or more; 0 keeps them for ever
    #[arg(long, env = "II_CLAW_MESSAGE_DAYS", default_value = "90", value_parser = values::message_days)]
    pub message_days: u16,
    /// Days for which messages are kept that failed or expired, at least II_CLAW_MESSAGE_DAYS; 0 keeps them for ever; default: 90,
    /// or II_CLAW_MESSAGE_DAYS if that is more
    #[arg(long, env = "II_CLAW_DEAD_LETTER_DAYS", value_parser = values::message_days)]
    pub dead_letter_days: Option<u16>,
    /// Days for which it is kept what scheduled jobs did
    #[arg(long, env = "II_CLAW_RUN_DAYS", default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=3650))]
    pub run_days: u16,
    /// Hours for which events are kept: as long may a stream or a destination be away without missing any
    #[arg(long, env = "II_CLAW_EVENTS_HOURS", default_value_t = 72, value_parser = clap::value_parser!(u16).range(1..=8760))]
    pub events_hours: u16,
}

/// Everything a scheduler needs.
#[derive(Debug, Clone, Args)]
pub struct SchedulerSettings {
    /// Database and NATS.
    #[command(flatten)]
    pub store: StoreSettings,
    /// The keys.
    #[command(flatten)]
    pub keys: KeySettings,
    /// The internal RPC.
    #[command(flatten)]
    pub rpc: RpcSettings,
    /// Traces.
    #[command(flatten)]
    pub traces: TraceSettings,
    /// How long things are kept.
    #[command(flatten)]
    pub retention: RetentionSettings,
}

impl GatewaySettings {
    /// Days until a fetched attachment is removed.
    ///
    /// # Errors
    /// When its message may be forgotten before: only by that an erasure finds it.
    pub fn media_days(&self) -> Result<u16, ConfigError> {
        let (media, messages) = (self.media.days, self.message_days);
        if messages > 0 && media > messages {
            return Err(ConfigError::MediaDays { media, messages });
        }
        Ok(media)
    }
}

impl RetentionSettings {
    /// Days for which failed and expired messages are kept if nobody says otherwise and other messages are not kept for longer.
    const DEAD_LETTER_DAYS: u16 = 90;

    /// These settings, if they go together.
    ///
    /// # Errors
    /// When what failed would be forgotten before what is done.
    pub fn checked(self) -> Result<Self, ConfigError> {
        let messages = self.message_days;
        match self.dead_letter_days {
            Some(failed) if failed > 0 && failed < messages => {
                Err(ConfigError::DeadLetterDays { failed, messages })
            }
            _ => Ok(self),
        }
    }

    /// Days for which messages are kept that failed or expired; 0: for ever.
    pub fn dead_letters(self) -> u16 {
        self.dead_letter_days.unwrap_or_else(|| self.message_days.max(Self::DEAD_LETTER_DAYS))
    }
}

impl BackendSettings {
    /// Where links to the gateway begin, without a slash at the end.
    pub fn public_url(&self) -> String {
        let url = self.public_url.as_ref().map_or("http://localhost:4200", Url::as_str);
        url.trim_end_matches('/').to_owned()
    }
}

impl RpcSettings {
    /// This process's name: the one that is set, or the host's with a suffix that is new with each start.
    pub fn member_name(&self, suffix: &str) -> String {
        self.name.clone().unwrap_or_else(|| format!("{}-{suffix}", host_name()))
    }

    /// Where others reach the RPC that listens on `bound`.
    pub fn advertised(&self, bound: SocketAddr) -> String {
        match &self.rpc_advertise {
            Some(address) => address.clone(),
            None if bound.ip().is_unspecified() => match own_address(bound.ip()) {
                Some(ip) => SocketAddr::new(ip, bound.port()).to_string(),
                None => format!("{}:{}", host_name(), bound.port()),
            },
            None => bound.to_string(),
        }
    }
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Gateway {
        #[command(flatten)]
        settings: GatewaySettings,
    }

    #[test]
    fn attachments_go_before_what_an_erasure_finds_them_by() {
        let days = |media: &str, messages: &str| {
            let told = ["gateway", "--media-days", media, "--message-days", messages];
            Gateway::try_parse_from(told).unwrap().settings.media_days()
        };
        assert_eq!(days("7", "7"), Ok(7));
        assert_eq!(days("3650", "0"), Ok(3650), "messages are kept for ever");
        assert_eq!(days("91", "90"), Err(ConfigError::MediaDays { media: 91, messages: 90 }));
    }

    #[test]
    fn what_failed_is_kept_for_as_long_as_what_is_done_at_least() {
        let keep = |message_days, dead_letter_days| {
            let keep = RetentionSettings { message_days, dead_letter_days, run_days: 90, events_hours: 72 };
            keep.checked().map(RetentionSettings::dead_letters)
        };
        for (messages, failed, kept) in
            [(7, None, 90), (365, None, 365), (90, Some(90), 90), (90, Some(0), 0), (0, Some(7), 7)]
        {
            assert_eq!(keep(messages, failed), Ok(kept), "{messages} {failed:?}");
        }
        let refused = keep(90, Some(89)).unwrap_err().to_string();
        assert_eq!(
            refused,
            "II_CLAW_DEAD_LETTER_DAYS is 89, less than II_CLAW_MESSAGE_DAYS (90): set it to 90 or more, \
             or to 0 for ever"
        );
    }
}

//! What a mailbox's channel is made of: its fields, and what they come to.

use claw_types::MediaKind;
use serde::Deserialize;

use super::incoming::Rules;
use super::login::Credential;
use super::oauth::{self, SIGN_IN};
use super::wire::{Protection, Server};
use crate::kit::http::Http;
use crate::{About, Albums, Caps, ChannelError, Deps, Dialect, Field, FieldKind, Reports, TextUnit};

/// Mail has no limit of its own; this is one for people who read it, and for servers that look into it.
pub(super) static CAPS: Caps = Caps {
    max_text: 20_000,
    max_caption: 20_000,
    unit: TextUnit::Chars,
    markdown: Dialect::Html,
    media: KINDS,
    albums: Some(&Albums { max: 10, groups: &[KINDS] }),
    threads: true,
    reply_to: true,
    reactions: true,
    // That a mail came back is told, and nothing of one that arrived.
    reports: Reports { replies: true, reactions: true, receipts: true, ..Reports::NONE },
    tells_programs: true,
    lacks: super::lacks::LACKS,
    ..Caps::TEXT_ONLY
};
const KINDS: &[MediaKind] =
    &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Voice, MediaKind::File];

/// IMAP over TLS, and IMAP whose TLS begins with a command (<https://www.rfc-editor.org/rfc/rfc8314#section-7>).
const IMAPS: u16 = 993;
const IMAP: u16 = 143;
/// Submission over TLS, and submission whose TLS begins with a command (same, section 3.3).
const SUBMISSIONS: u16 = 465;
const SUBMISSION: u16 = 587;
/// How connections are protected: `encryption`.
const ENCRYPTIONS: &[&str] = &["tls", "none"];
/// The password goes to both servers, and so do the access tokens that the other two are given for.
const SECRETS: &[&str] = &["password_env", "client_secret_env", "refresh_token_env"];
/// What tokens are given for.
const GRANTED: &[&str] = &["client_secret_env", "refresh_token_env"];
/// Folders of a channel; each is opened in turn.
const MOST_FOLDERS: usize = 10;

pub(super) const ABOUT: About = About {
    display_name: "E-mail",
    category: "chat",
    description: "A mailbox: mail to it is read by IMAP, answers are sent by SMTP.",
    setup: &[
        "Make a mailbox for the agent alone: whatever comes to it is answered.",
        "Where the provider wants a second factor, make an app password for it; where it takes no passwords (Gmail, Microsoft 365), register an app with it that may read and send mail.",
        "Put the provider's IMAP and SMTP servers in here, with the user name and the password, or with what the app was given.",
        "Only mail that comes after that is answered. Nothing has to be reachable from outside.",
    ],
    docs_url: "https://www.rfc-editor.org/rfc/rfc8314",
};

pub(super) const FIELDS: &[Field] = &[
    Field::new("imap_host", "IMAP server", FieldKind::Text, "the server with the mailbox.")
        .required()
        .receives(SECRETS)
        .like("imap.example.org"),
    Field::new("imap_port", "IMAP port", FieldKind::Number, "993 if not set; 143 begins without TLS and goes on with it.")
        .advanced()
        .up_to(65_535)
        .receives(SECRETS)
        .like("993"),
    Field::new("smtp_host", "SMTP server", FieldKind::Text, "the server that takes mail to be sent.")
        .required()
        .receives(SECRETS)
        .like("smtp.example.org"),
    Field::new(
        "smtp_port",
        "SMTP port",
        FieldKind::Number,
        "587 if not set, which begins without TLS and goes on with it, as every port does but 465, which has TLS from the beginning.",
    )
    .advanced()
    .up_to(65_535)
    .receives(SECRETS)
    .like("587"),
    Field::new("username", "User name", FieldKind::Text, "the name to sign in with, for most providers the address.")
        .required()
        .like("claw@example.org"),
    Field::new("password_env", "Password", FieldKind::Secret, "the password, or an app password.").required_unless("client_id"),
    Field::new(
        "sign_in",
        "Sign in with",
        FieldKind::Choice(SIGN_IN),
        "the password, or access tokens (OAuth) of Google, of Microsoft, or of another provider (oauth2, with token_url); password \
         if not set.",
    )
    .receives(GRANTED),
    Field::new(
        "client_id",
        "Client id",
        FieldKind::Text,
        "for access tokens: the id of the app that is registered with the provider.",
    )
    .like("12345-abc.apps.googleusercontent.com"),
    Field::new("client_secret_env", "Client secret", FieldKind::Secret, "for access tokens: the secret of that app, if it has one."),
    Field::new(
        "refresh_token_env",
        "Refresh token",
        FieldKind::Secret,
        "for access tokens: what the provider gave when the mailbox's owner allowed the app; without it, the channel signs in as an \
         application, which an administrator of Microsoft 365 lets into the mailbox.",
    ),
    Field::new(
        "tenant_id",
        "Organisation",
        FieldKind::Text,
        "for Microsoft: the tenant in which the app is registered; needed without a refresh token.",
    )
    .advanced()
    .like("contoso.onmicrosoft.com"),
    Field::new(
        "token_url",
        "Token server",
        FieldKind::Url,
        "for access tokens: where they are handed out, in place of the chosen provider's own address.",
    )
    .advanced()
    .receives(GRANTED)
    .like("https://login.example.org/oauth2/token"),
    Field::new("scope", "Scope", FieldKind::Text, "for access tokens: what they are for, where the provider wants to be told.")
        .advanced()
        .like("https://mail.example.org/.default"),
    Field::new(
        "address",
        "Address",
        FieldKind::Text,
        "the mailbox's address, where it is not the user name.",
    )
    .advanced()
    .like("claw@example.org"),
    Field::new("from_name", "Name", FieldKind::Text, "the name beside the address in mail that is sent.")
        .advanced()
        .like("Claw"),
    Field::new(
        "folders",
        "Folders",
        FieldKind::List,
        "the folders that are read, at most 10; INBOX if not set. With one, mail is answered at once; with several, within a minute.",
    )
    .advanced()
    .like("INBOX"),
    Field::new(
        "keep_sent",
        "Keep what is sent",
        FieldKind::Bool,
        "whether a copy of what is sent is put into the mailbox's folder for that, unless the provider does so by itself; true if not \
         set.",
    )
    .advanced(),
    Field::new(
        "sent_folder",
        "Folder of what is sent",
        FieldKind::Text,
        "the folder for these copies; if not set, the one that the server marks as such, and none if it marks none.",
    )
    .advanced()
    .like("Sent"),
    Field::new(
        "allowed_senders",
        "Allowed senders",
        FieldKind::List,
        "whose mail is read: addresses, or domains with an @ in front; empty for everyone. A sender can be forged: see trusted_server.",
    )
    .like("ada@example.org, @example.com"),
    Field::new(
        "trusted_server",
        "Trusted server",
        FieldKind::Text,
        "the name by which the receiving server signs its Authentication-Results; with it, only mail is read that this server \
         says dmarc=pass of.",
    )
    .advanced()
    .like("mx.example.org"),
    Field::new(
        "encryption",
        "Encryption",
        FieldKind::Choice(ENCRYPTIONS),
        "whether connections are encrypted; none only where the operator allows private addresses, for servers in the own network: \
         it shows the password to whoever listens; tls if not set",
    )
    .advanced()
    .receives(SECRETS),
];

/// The fields.
#[derive(Deserialize)]
pub struct Config {
    pub(super) imap_host: String,
    imap_port: Option<u64>,
    smtp_host: String,
    smtp_port: Option<u64>,
    pub(super) username: String,
    password_env: Option<String>,
    sign_in: Option<String>,
    client_id: Option<String>,
    client_secret_env: Option<String>,
    refresh_token_env: Option<String>,
    tenant_id: Option<String>,
    token_url: Option<String>,
    scope: Option<String>,
    address: Option<String>,
    from_name: Option<String>,
    #[serde(default)]
    folders: Vec<String>,
    keep_sent: Option<bool>,
    sent_folder: Option<String>,
    #[serde(default)]
    allowed_senders: Vec<String>,
    trusted_server: Option<String>,
    encryption: Option<String>,
}

/// What they come to.
pub(super) struct Mailbox {
    pub(super) imap: Server,
    pub(super) smtp: Server,
    pub(super) username: String,
    pub(super) credential: Credential,
    pub(super) name: String,
    pub(super) folders: Vec<String>,
    /// Whether copies are made of what is sent, and in which folder if not in the one that the server marks.
    pub(super) keeps_copies: bool,
    pub(super) sent_folder: Option<String>,
    pub(super) rules: Rules,
}

impl Mailbox {
    pub(super) fn new(mut config: Config, deps: &Deps) -> Result<Self, ChannelError> {
        let http = &deps.http;
        let is_open = config.encryption.as_deref() == Some("none");
        if is_open && !http.allows_private() {
            return Err(wrong(
                "encryption can't be none here: the password would go over the internet for everybody to read (the operator can \
                 set II_CLAW_ALLOW_PRIVATE_URLS=true)",
            ));
        }
        if config.username.is_empty() {
            return Err(wrong("username can't be empty"));
        }
        let credential = credential(&mut config, deps)?;
        let own = config.address.unwrap_or_else(|| config.username.clone()).to_lowercase();
        super::compose::recipient(&own).map_err(|_| {
            wrong("the user name is no address, so address has to be set, like claw@example.org")
        })?;
        let protection = |begins_open: bool| match (is_open, begins_open) {
            (true, _) => Protection::None,
            (false, true) => Protection::StartTls,
            (false, false) => Protection::Tls,
        };
        let (imap_port, smtp_port) =
            (port("imap_port", config.imap_port, IMAPS)?, port("smtp_port", config.smtp_port, SUBMISSION)?);
        let folders = if config.folders.is_empty() { vec!["INBOX".to_owned()] } else { config.folders };
        if folders.len() > MOST_FOLDERS {
            return Err(wrong("folders can list at most 10"));
        }
        Ok(Self {
            imap: Server {
                what: "the IMAP server",
                host: host("imap_host", config.imap_host, http)?,
                port: imap_port,
                protection: protection(imap_port == IMAP),
            },
            smtp: Server {
                what: "the SMTP server",
                host: host("smtp_host", config.smtp_host, http)?,
                port: smtp_port,
                protection: protection(smtp_port != SUBMISSIONS),
            },
            username: config.username,
            credential,
            name: config.from_name.unwrap_or_default(),
            folders,
            keeps_copies: config.keep_sent.unwrap_or(true),
            sent_folder: config.sent_folder,
            rules: Rules { own, allowed: config.allowed_senders, vouching: config.trusted_server },
        })
    }

    /// The domain of the own address.
    pub(super) fn domain(&self) -> &str {
        self.rules.own.rsplit('@').next().unwrap_or_default()
    }
}

/// What the fields on it come to.
fn credential(config: &mut Config, deps: &Deps) -> Result<Credential, ChannelError> {
    let given = oauth::Given {
        sign_in: config.sign_in.take(),
        client_id: config.client_id.take(),
        client_secret: config.client_secret_env.take(),
        refresh_token: config.refresh_token_env.take(),
        tenant_id: config.tenant_id.take(),
        token_url: config.token_url.take(),
        scope: config.scope.take(),
    };
    if let Some(grant) = given.grant(deps)? {
        return Ok(Credential::Tokens(Box::new(grant)));
    }
    let password = config.password_env.take().filter(|password| !password.is_empty());
    password.map(Credential::Password).ok_or_else(|| {
        wrong("password_env is needed, unless sign_in says that the channel signs in with access tokens")
    })
}

pub(super) fn wrong(sentence: &str) -> ChannelError {
    ChannelError::Config(sentence.to_owned())
}

fn port(key: &str, given: Option<u64>, usual: u16) -> Result<u16, ChannelError> {
    let port = given.map_or(Ok(usual), u16::try_from);
    port.ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| wrong(&format!("{key} is no port: it is from 1 to 65535")))
}

/// Its form is looked at here, where it leads when it is called.
fn host(key: &str, host: String, http: &Http) -> Result<String, ChannelError> {
    let is_name = !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".-:".contains(c));
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let checked = http.check(&format!("https://{bracketed}/"));
    match checked {
        Ok(_) if is_name => Ok(host),
        Err(why @ crate::kit::guard::UrlError::Private) => Err(wrong(&format!("{key} {why}"))),
        _ => Err(wrong(&format!(
            "{key} is no name of a server, like mail.example.org, without scheme and port"
        ))),
    }
}

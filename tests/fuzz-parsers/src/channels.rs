//! Each adapter's reading of what people and their platform send, by [`claw_channels::Channel::fuzz`].

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use claw_channels::kit::http::Http;
use claw_channels::{ALL, Channel, ChannelError, Deps, Entry, Live, NoMemory, RawRequest};
use claw_runtime::{Ids, ManualClock, SeededRandom};
use claw_types::ChannelId;
use http::header::{HeaderName, HeaderValue};
use uuid::Uuid;

use crate::Target;

/// What these adapters understand beside the payloads of their exams, by a word of the target's name.
const SEEDS: &[(&str, &[&str])] = &[
    (
        "discord",
        &[
            r#"{"op":10,"d":{"heartbeat_interval":41250}}"#,
            r#"{"op":0,"t":"READY","s":1,"d":{"session_id":"s","resume_gateway_url":"wss://gateway.discord.gg","user":{"id":"1"}}}"#,
            r#"{"id":"s","url":"wss://gateway.discord.gg","seq":7,"bot":"1","key":"k"}"#,
            r#"{"code":50035,"message":"Invalid Form Body","errors":{"content":{"_errors":[{"code":"X","message":"Must be 2000 or fewer in length."}]}}}"#,
            r#"{"message":"You are being rate limited.","retry_after":64.57,"global":false}"#,
            r#"{"url":"wss://gateway.discord.gg","session_start_limit":{"total":1000,"remaining":999,"reset_after":1,"max_concurrency":1}}"#,
        ],
    ),
    (
        "instagram",
        &[
            r#"{"object":"instagram","entry":[{"id":"1","messaging":[{"sender":{"id":"2"},"recipient":{"id":"1"},"timestamp":"1","message":{"mid":"m","attachments":{"type":"ig_reel","payload":{"url":"https://example.org/","title":"t"}}}}]}]}"#,
        ],
    ),
    (
        "email",
        &[
            "* 3 FETCH (UID 17 RFC822.SIZE 4711)",
            "* OK [UIDVALIDITY 3857529045] UIDs valid",
            "* 1 FETCH (UID 7 BODY[]<0> {12}",
            "250 SIZE 35882577",
            "450 4.2.1 The user you are trying to contact is receiving mail too quickly",
            "From: Ada <ada@example.com>\r\nMessage-ID: <a@b>\r\nReferences: <c@d> <e@f>\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\nhello\r\n\r\nOn 1 May 2023 Claw wrote:\r\n> hi\r\n--x\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0KGgo=\r\n--x--\r\n",
        ],
    ),
    (
        "google_chat",
        &[
            r#"{"error":{"code":403,"message":"This Chat app is not a member of this space.","status":"PERMISSION_DENIED"}}"#,
            r#"{"name":"spaces/AAAA/messages/BBBB.BBBB"}"#,
            r#"{"message":{"attributes":{"ce-id":"1","ce-time":"2023-11-14T22:13:20Z","ce-type":"google.workspace.chat.reaction.v1.created"},"data":"eyJyZWFjdGlvbiI6IHsibmFtZSI6ICJzcGFjZXMvQUFBQS9tZXNzYWdlcy9CQkJCL3JlYWN0aW9ucy9SIiwgInVzZXIiOiB7Im5hbWUiOiAidXNlcnMvMSJ9LCAiZW1vamkiOiB7InVuaWNvZGUiOiAiXHVkODNkXHVkYzRkIn19fQ==","messageId":"7"},"subscription":"s"}"#,
            r#"{"subscriptions":[{"name":"subscriptions/1","targetResource":"//chat.googleapis.com/spaces/AAAA","notificationEndpoint":{"pubsubTopic":"projects/p/topics/t"},"state":"ACTIVE","expireTime":"2023-11-15T02:00:00Z"}],"nextPageToken":"2"}"#,
            r#"{"type":"service_account","private_key_id":"1","private_key":"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n","client_email":"bot@p.iam.gserviceaccount.com"}"#,
        ],
    ),
    (
        "line",
        &[
            r#"{"message":"The request body has 1 error(s)","details":[{"message":"May not be empty","property":"messages[0].text"}]}"#,
            r#"{"sentMessages":[{"id":"461230966842064897","quoteToken":"q"}]}"#,
        ],
    ),
    (
        "slack",
        &[
            r#"{"ok":false,"error":"missing_scope","needed":"chat:write","response_metadata":{"messages":["[ERROR] no more than 50 items"]}}"#,
            r#"{"ok":true,"channel":{"id":"D1"},"user":"bot","user_id":"U1","ts":"1700000000.000100"}"#,
            "payload=%7B%22type%22%3A%22block_actions%22%2C%22user%22%3A%7B%22id%22%3A%22U1%22%7D%2C%22actions%22%3A%5B%5D%7D",
            "command=%2Fask&text=how+are+you&channel_id=C1&user_id=U1&user_name=ada&trigger_id=1.2.3",
            "<@U1|ada> <https://example.org|a &amp; b> <!subteam^S1|@support> <#C1> &lt;",
        ],
    ),
    (
        "messenger",
        &[
            r#"{"error":{"message":"(#10) outside of allowed window","type":"OAuthException","code":10,"error_subcode":2018278,"error_user_msg":"x","is_transient":false}}"#,
            r#"{"error":{"message":"(#4) limit","code":4,"error_data":"text"}}"#,
        ],
    ),
    (
        "sms",
        &[
            "MessageSid=SM1&From=%2B15558675310&To=%2B15017122661&Body=hello&NumMedia=1&MediaContentType0=image%2Fpng&MediaUrl0=https%3A%2F%2Fapi.twilio.com%2F2010-04-01%2FAccounts%2FAC1%2FMessages%2FMM1%2FMedia%2FME1",
            "MessageSid=SM1&MessageStatus=delivered&To=%2B15558675310",
            r#"{"code":21610,"message":"Attempt to send to unsubscribed recipient","status":400}"#,
        ],
    ),
    (
        "teams",
        &[
            r#"{"error":{"code":"BotNotInConversationRoster","message":"The bot is not part of the conversation roster."}}"#,
            r#"{"id":"1:0c7d5d5e"}"#,
        ],
    ),
    (
        "matrix",
        &[
            r#"{"next_batch":"s2","rooms":{"join":{"!r:x.org":{"summary":{"m.joined_member_count":3},"timeline":{"limited":true,"prev_batch":"t1","events":[]},"ephemeral":{"events":[{"type":"m.receipt","content":{"$e":{"m.read":{"@ada:x.org":{"ts":1}}}}}]}}},"invite":{"!i:x.org":{}}}}"#,
            r#"{"chunk":[{"type":"m.room.message","event_id":"$e","sender":"@ada:x.org","origin_server_ts":1,"content":{"msgtype":"m.emote","body":"> <@bob:x.org> a\n\nwaves at @helper:example.org"}}],"end":"t2"}"#,
            r#"{"errcode":"M_LIMIT_EXCEEDED","error":"Too Many Requests","retry_after_ms":2000}"#,
            "# a\n\n> - 1. **b** [c](https://x.org) `d`\n\n| e |\n| - |\n| @ada:x.org |",
            "mxc://x.org/AbC",
        ],
    ),
    (
        "telegram",
        &[
            r#"{"update_id":1,"message":{"message_id":5,"from":{"id":9,"is_bot":false,"first_name":"Ada"},"chat":{"id":9,"type":"private","first_name":"Ada"},"date":1700000000,"text":"hello"}}"#,
            r#"{"update_id":2,"message":{"message_id":6,"message_thread_id":3,"is_topic_message":true,"from":{"id":9,"is_bot":false,"first_name":"Ada","username":"ada"},"chat":{"id":-1007,"type":"supergroup","title":"T","is_forum":true},"date":1700000000,"text":"/ask@example_bot hi \ud83d\ude00","entities":[{"type":"bot_command","offset":0,"length":16}]}}"#,
            r#"{"update_id":3,"message":{"message_id":7,"from":{"id":9,"is_bot":false,"first_name":"Ada"},"chat":{"id":9,"type":"private","first_name":"Ada"},"date":1700000000,"caption":"c","photo":[{"file_id":"A","file_unique_id":"B","width":1,"height":1,"file_size":3}],"reply_to_message":{"message_id":4,"chat":{"id":9,"type":"private","first_name":"Ada"},"date":1700000000,"text":"x"}}}"#,
            r#"{"update_id":4,"callback_query":{"id":"1","from":{"id":9,"is_bot":false,"first_name":"Ada"},"message":{"message_id":8,"chat":{"id":9,"type":"private","first_name":"Ada"},"date":1700000000,"text":"x","reply_markup":{"inline_keyboard":[[{"text":"Yes","callback_data":"y"}]]}},"chat_instance":"1","data":"y"}}"#,
            r#"{"update_id":5,"edited_message":{"message_id":5,"from":{"id":9,"is_bot":false,"first_name":"Ada"},"chat":{"id":9,"type":"private","first_name":"Ada"},"date":1700000000,"edit_date":1700000001,"text":"hallo"}}"#,
            r#"{"update_id":6,"message_reaction":{"chat":{"id":9,"type":"private","first_name":"Ada"},"message_id":5,"user":{"id":9,"is_bot":false,"first_name":"Ada"},"date":1700000000,"old_reaction":[],"new_reaction":[{"type":"emoji","emoji":"\ud83d\udc4d"}]}}"#,
            r#"{"update_id":7,"message":{"message_id":9,"from":{"id":9,"is_bot":false,"first_name":"Ada"},"chat":{"id":9,"type":"private","first_name":"Ada"},"date":1700000000,"location":{"latitude":1.5,"longitude":2.5},"voice":{"file_id":"A","file_unique_id":"B","duration":3}}}"#,
            r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 3","parameters":{"retry_after":3}}"#,
            r#"{"ok":true,"result":[{"update_id":1}]}"#,
        ],
    ),
    (
        "webchat",
        &[
            r#"{"type":"message","client_id":"c-1","text":"hello"}"#,
            r#"{"type":"message","client_id":"c-2","text":"Yes","pressed":{"data":"y","message_id":"0190-1"}}"#,
            r#"{"type":"message","client_id":"c-6","text":"why?","reply_to":"0190-1:1"}"#,
            r#"{"type":"edit","client_id":"c-3","message":"c-1","text":"hallo"}"#,
            r#"{"type":"delete","client_id":"c-4","message":"c-1"}"#,
            r#"{"type":"react","client_id":"c-5","message_id":"0190-1:1","added":"👍","removed":null}"#,
            "https://example.org:8443",
        ],
    ),
    (
        "webhook",
        &[
            r#"{"message_id":"m1","conversation_id":"c","sender":{"id":"7","name":"Ada","is_bot":false},"text":"hello","is_group":true,"mentioned":true,"thread_id":"t","timestamp":"2026-01-01T00:00:00Z","metadata":{"k":1}}"#,
            r#"{"sender":{"id":7},"media":{"kind":"image","url":"https://example.org/a.png","filename":"a.png","duration_seconds":1}}"#,
            r#"{"event":"edit","event_id":"e1","message_id":"m1","sender":{"id":"7"},"text":"hallo"}"#,
            r#"{"event":"delete","message_id":"m1","sender":{"id":"7"}}"#,
            r#"{"event":"reaction","message_id":"a1","sender":{"id":"7"},"added":["👍"],"removed":["👎"]}"#,
            r#"{"message_id":"m2","sender":{"id":"7"},"text":"why?","reply_to":"a1"}"#,
            r#"{"id":"platform-1"}"#,
        ],
    ),
    (
        "whatsapp",
        &[
            r#"{"template":{"name":"order_ready","language":{"code":"en_US"}}}"#,
            r#"{"code":131026,"title":"Message undeliverable","error_data":{"details":"d"}}"#,
            r#"{"error":{"message":"(#131047) Re-engagement message","code":131047,"error_data":{"messaging_product":"whatsapp","details":"d"}}}"#,
        ],
    ),
];

struct Nobody;

#[async_trait]
impl Live for Nobody {
    async fn publish(&self, _: ChannelId, _: &str, _: Bytes) {}
}

/// Headers in which platforms sign, say when, and tell what a body is.
const HEADERS: &[&str] = &[
    "authorization",
    "content-type",
    "host",
    "x-forwarded-host",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
    "x-webhook-signature",
    "x-hub-signature-256",
    "x-line-signature",
    "x-slack-request-timestamp",
    "x-slack-signature",
    "x-telegram-bot-api-secret-token",
    "x-twilio-signature",
];

/// One for each adapter, and one for what is read of a post before its sender is known.
pub(crate) fn targets() -> Result<Vec<Target>, ChannelError> {
    let mut targets = ALL.iter().map(target).collect::<Result<Vec<_>, _>>()?;
    targets.push(posts()?);
    Ok(targets)
}

/// A post to each adapter: the first line is the query and the value of every header, the rest the body. None that strangers make up is
/// genuine, so nothing may come of it.
fn posts() -> Result<Target, ChannelError> {
    let channels = ALL.iter().map(made).collect::<Result<Vec<_>, _>>()?;
    let run = move |data: &[u8]| {
        let request = post(data);
        for channel in &channels {
            drop(channel.handshake(&request));
            drop(channel.decode(&request));
        }
    };
    Ok(Target::new(
        "post-headers",
        run,
        &[
            "hub.mode=subscribe&hub.verify_token=t&hub.challenge=c\n{}",
            "sha256=00ff\n{\"object\":\"page\",\"entry\":[]}",
            "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503\npayload=%7B%7D",
            "t=1700000000,v1=00ff\n{\"type\":\"url_verification\",\"challenge\":\"c\"}",
            "1700000000\n{\"update_id\":1}",
            "Bearer eyJhbGciOiJSUzI1NiJ9.e30.AAAA\n{\"type\":\"message\"}",
            "application/x-www-form-urlencoded\nMessageSid=SM1&From=%2B1",
        ],
    ))
}

fn post(data: &[u8]) -> RawRequest {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (head, body) = (&data[..end], data.get(end + 1..).unwrap_or_default());
    let value = HeaderValue::from_bytes(head).unwrap_or(HeaderValue::from_static("sha256="));
    RawRequest {
        headers: HEADERS.iter().map(|name| (HeaderName::from_static(name), value.clone())).collect(),
        query: String::from_utf8_lossy(head).into_owned(),
        body: Bytes::copy_from_slice(body),
    }
}

fn target(entry: &'static Entry) -> Result<Target, ChannelError> {
    let channel = made(entry)?;
    let more = SEEDS.iter().find(|(name, _)| *name == entry.name).map_or(&[][..], |(_, seeds)| seeds);
    let seeds: Vec<_> = entry.payloads().chain(more.iter().copied()).collect();
    Ok(Target::new(&format!("adapter-{}", entry.name), move |data| channel.fuzz(data), &seeds))
}

/// A channel whose fields are the examples of the adapter's exam.
fn made(entry: &Entry) -> Result<Arc<dyn Channel>, ChannelError> {
    // The HTTP client wants one; another target may have been first.
    drop(rustls::crypto::ring::default_provider().install_default());
    let clock = Arc::new(ManualClock::new(DateTime::UNIX_EPOCH));
    let random = Arc::new(SeededRandom::new(1));
    let deps = Deps {
        channel_id: ChannelId(Uuid::from_u128(7)),
        owner: None,
        public_url: None,
        // Some examples are only for servers at home; nothing is called.
        http: Http::new(true).map_err(|error| ChannelError::Config(error.to_string()))?,
        ids: Ids::new(clock.clone(), random.clone()),
        clock,
        random,
        live: Arc::new(Nobody),
        memory: Arc::new(NoMemory),
    };
    let example = entry.example("https://example.org");
    let example = example.map_err(|error| ChannelError::Config(error.to_string()))?;
    entry.make(&example.config, &example.secrets, deps)
}

//! A gateway that a test plays: it sees each connection, and says what it likes.

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::{any, get};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::timeout;

use super::*;

/// Nothing here takes longer.
const SOON: Duration = Duration::from_secs(20);

/// Discord, of which the test plays the gateway.
pub(super) struct Gateway {
    pub(super) url: String,
    /// What its REST side was asked beside the gateway's address, and answers.
    pub(super) rest: Server,
    /// How often the gateway's address was asked for.
    pub(super) entries: Arc<Mutex<usize>>,
    connections: UnboundedReceiver<WebSocket>,
}

/// One connection, as the gateway sees it.
pub(super) struct Connection(WebSocket);

#[derive(Clone)]
struct Door {
    remaining: u64,
    /// How many are recommended, all of which may begin at once.
    shards: u64,
    url: Arc<Mutex<String>>,
    entries: Arc<Mutex<usize>>,
    connected: UnboundedSender<WebSocket>,
}

impl Gateway {
    pub(super) async fn start() -> Self {
        Self::with_sessions(1000).await
    }

    /// One that allows so many new sessions.
    pub(super) async fn with_sessions(remaining: u64) -> Self {
        Self::with(remaining, 1).await
    }

    /// One that wants so many shards.
    pub(super) async fn with_shards(shards: u64) -> Self {
        Self::with(1000, shards).await
    }

    async fn with(remaining: u64, shards: u64) -> Self {
        let (connected, connections) = unbounded_channel();
        let (rest, entries, url) = (Server::default(), Arc::default(), Arc::default());
        let door =
            Door { remaining, shards, url: Arc::clone(&url), entries: Arc::clone(&entries), connected };
        let gateway = Router::new()
            .route("/api/v10/gateway/bot", get(entrance))
            .route("/socket/{which}", any(connect))
            .with_state(door);
        let address = serve(gateway.merge(rest.router())).await;
        url.lock().unwrap().clone_from(&address);
        Self { url: address, rest, entries, connections }
    }

    /// The next connection, which is greeted.
    pub(super) async fn greet(&mut self) -> Connection {
        let mut connection = self.accept().await;
        connection.say(&json!({"op": 10, "d": {"heartbeat_interval": 41_250}})).await;
        connection
    }

    pub(super) async fn accept(&mut self) -> Connection {
        let connected = timeout(SOON, self.connections.recv()).await;
        Connection(connected.expect("nobody connects").unwrap())
    }

    /// Whether somebody waits to be greeted.
    pub(super) fn is_called(&mut self) -> bool {
        self.connections.try_recv().is_ok()
    }

    /// The address at which this gateway wants sessions to be resumed.
    pub(super) fn resume_url(&self) -> String {
        format!("{}/socket/resume", self.url.replacen("http", "ws", 1))
    }

    /// The cursor of a session that was left behind.
    pub(super) fn cursor(&self, seq: u64) -> String {
        self.cursor_at(&self.resume_url(), seq)
    }

    /// The same, with another address.
    pub(super) fn cursor_at(&self, url: &str, seq: u64) -> String {
        let key = self.bot(json!({})).key;
        json!({"id": "s-1", "url": url, "seq": seq, "bot": "1", "key": key}).to_string()
    }

    /// The cursor of so many sessions that were left behind, one for each shard, each after this event.
    pub(super) fn cursor_of_shards(&self, seqs: &[u64]) -> String {
        let one = |(shard, seq): (usize, &u64)| {
            let session: Value = serde_json::from_str(&self.cursor(*seq)).unwrap();
            with(session, json!({"id": format!("shard-{shard}")}))
        };
        json!({"sessions": seqs.iter().enumerate().map(one).collect::<Vec<_>>()}).to_string()
    }

    /// A bot here.
    pub(super) fn bot(&self, extra: Value) -> Discord {
        bot(&self.url, extra, deps(Arc::new(Recorder::default())))
    }
}

async fn entrance(State(door): State<Door>) -> impl IntoResponse {
    *door.entries.lock().unwrap() += 1;
    let url = door.url.lock().unwrap().replacen("http", "ws", 1);
    axum::Json(json!({"url": format!("{url}/socket/first"), "shards": door.shards, "session_start_limit":
        {"total": 1000, "remaining": door.remaining, "reset_after": 14_400_000, "max_concurrency": door.shards}}))
}

async fn connect(State(door): State<Door>, upgrade: WebSocketUpgrade, request: Request<Body>) -> Response {
    assert_eq!(request.uri().query(), Some("v=10&encoding=json"));
    upgrade.on_upgrade(async move |socket| drop(door.connected.send(socket)))
}

impl Connection {
    pub(super) async fn say(&mut self, frame: &Value) {
        self.0.send(Message::Text(frame.to_string().into())).await.unwrap();
    }

    /// The next frame that the bot sends.
    pub(super) async fn hears(&mut self) -> Value {
        match timeout(SOON, self.0.recv()).await.expect("the bot says nothing") {
            Some(Ok(Message::Text(text))) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    /// The code with which the bot ends the connection.
    pub(super) async fn ends_with(&mut self) -> u16 {
        loop {
            match timeout(SOON, self.0.recv()).await.expect("the bot does not hang up") {
                Some(Ok(Message::Close(Some(frame)))) => return frame.code,
                Some(Ok(Message::Text(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Ends it with a code.
    pub(super) async fn end(mut self, code: u16, reason: &str) {
        let frame = axum::extract::ws::CloseFrame { code, reason: reason.to_owned().into() };
        self.0.send(Message::Close(Some(frame))).await.unwrap();
        // Until the bot has heard it.
        while let Ok(Some(Ok(_))) = timeout(SOON, self.0.recv()).await {}
    }

    /// Begins the session that the bot asks for; what it asked.
    pub(super) async fn begin(&mut self, resume_url: &str) -> Value {
        let identify = self.hears().await;
        assert_eq!(identify["op"], 2, "{identify}");
        let shard = &identify["d"]["shard"];
        let id = shard[0].as_u64().map_or_else(|| "s-1".to_owned(), |shard| format!("shard-{shard}"));
        self.say(&json!({"op": 0, "t": "READY", "s": 1, "d": {"v": 10, "session_id": id, "shard": shard,
            "resume_gateway_url": resume_url, "user": {"id": "1", "username": "helper", "bot": true},
            "guilds": [], "application": {"id": "1", "flags": 0}}}))
            .await;
        identify
    }

    /// Goes on with the session that the bot resumes, whichever it is; its id, and what the bot has of it.
    pub(super) async fn resumes(&mut self) -> (String, u64) {
        let resume = self.hears().await;
        assert_eq!((&resume["op"], &resume["d"]["token"]), (&json!(6), &json!(TOKEN)));
        let seq = resume["d"]["seq"].as_u64().unwrap();
        self.say(&json!({"op": 0, "t": "RESUMED", "s": seq, "d": {}})).await;
        (resume["d"]["session_id"].as_str().unwrap().to_owned(), seq)
    }

    /// Goes on with the session that the bot resumes, from which it has this.
    pub(super) async fn resume(&mut self, seq: u64) {
        let resume = self.hears().await;
        let known = json!({"op": 6, "d": {"token": TOKEN, "session_id": "s-1", "seq": seq}});
        assert_eq!(resume, known);
        self.say(&json!({"op": 0, "t": "RESUMED", "s": seq, "d": {}})).await;
    }

    /// Somebody writes to the bot directly.
    pub(super) async fn tell(&mut self, seq: u64, text: &str) {
        self.say(&written(seq, text)).await;
    }

    /// Returns once the bot has everything until here, which it shows by a heartbeat.
    pub(super) async fn has_taken(&mut self, seq: u64) {
        self.say(&json!({"op": 1, "d": null})).await;
        assert_eq!(self.hears().await, json!({"op": 1, "d": seq}));
    }
}

/// A direct message, in its frame.
pub(super) fn written(seq: u64, text: &str) -> Value {
    json!({"op": 0, "t": "MESSAGE_CREATE", "s": seq, "d": {"id": format!("m-{seq}"), "channel_id": "7", "type": 0,
        "author": {"id": "42", "username": "ada"}, "content": text, "timestamp": "2026-11-27T12:00:00+00:00"}})
}

/// Keeps what it is given, as the database would; once ids are known, they count no more.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) messages: Mutex<Vec<Inbound>>,
    pub(super) cursor: Mutex<Option<String>>,
    /// So many times, nothing can be committed.
    pub(super) away: Mutex<usize>,
    pub(super) troubles: Mutex<Vec<Option<String>>>,
    pub(super) told: tokio::sync::Notify,
}

impl Kept {
    pub(super) fn at(cursor: String) -> Self {
        Self { cursor: Mutex::new(Some(cursor)), ..Self::default() }
    }

    pub(super) fn texts(&self) -> Vec<String> {
        self.messages.lock().unwrap().iter().filter_map(|message| message.text.clone()).collect()
    }

    pub(super) fn seq(&self) -> Option<u64> {
        let cursor = self.cursor.lock().unwrap().clone()?;
        serde_json::from_str::<Value>(&cursor).unwrap()["seq"].as_u64()
    }
}

#[async_trait]
impl Sink for Kept {
    async fn accept(&self, messages: Vec<Inbound>) -> Result<(), SinkError> {
        let mut away = self.away.lock().unwrap();
        if *away > 0 {
            *away -= 1;
            return Err(SinkError::NotCommitted("away".to_owned()));
        }
        let mut kept = self.messages.lock().unwrap();
        for message in messages {
            assert!(message.dedup_key.is_some());
            if kept.iter().all(|known| known.dedup_key != message.dedup_key) {
                kept.push(message);
            }
        }
        Ok(())
    }

    async fn cursor(&self) -> Result<Option<String>, SinkError> {
        Ok(self.cursor.lock().unwrap().clone())
    }

    async fn save_cursor(&self, cursor: String) -> Result<(), SinkError> {
        *self.cursor.lock().unwrap() = Some(cursor);
        Ok(())
    }

    async fn trouble(&self, error: Option<&str>) {
        self.troubles.lock().unwrap().push(error.map(str::to_owned));
        self.told.notify_one();
    }
}

/// Lets a bot listen for as long as the gateway is played.
pub(super) async fn while_listening(
    bot: &Discord,
    sink: &Kept,
    play: impl Future<Output = ()>,
) -> Result<(), ChannelError> {
    let stop = CancellationToken::new();
    let played = async {
        play.await;
        stop.cancel();
    };
    let (ended, ()) = futures::join!(bot.listen(sink, stop.clone()), played);
    ended
}

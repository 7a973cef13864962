use serde_json::value::to_raw_value;
use tokio::time::sleep;

use super::super::event::Reader;
use super::*;

/// A platform that takes so long for each call.
struct Chat {
    began: Instant,
    call: Duration,
    /// After how long a turn comes.
    turn: Duration,
    /// What is shown, and since when.
    shown: Vec<(Duration, String)>,
}

impl Chat {
    fn new(call_ms: u64, turn_ms: u64) -> Self {
        let (call, turn) = (Duration::from_millis(call_ms), Duration::from_millis(turn_ms));
        Self { began: Instant::now(), call, turn, shown: Vec::new() }
    }

    async fn show(&mut self, text: &str) {
        sleep(self.call).await;
        self.shown.push((self.began.elapsed(), text.to_owned()));
    }

    fn seen(&self) -> Vec<(u128, &str)> {
        self.shown.iter().map(|(at, text)| (at.as_millis(), text.as_str())).collect()
    }
}

impl Screen for Chat {
    type Turn = ();
    type Change = String;

    async fn at_once(&mut self, reply: &RawValue) {
        self.show(reply.get()).await;
    }

    async fn begin(&mut self, text: &str) -> bool {
        self.show(text).await;
        true
    }

    async fn seen(&mut self) {
        sleep(self.call).await;
    }

    /// The first forty characters fit.
    fn change(&self, text: &str) -> Option<String> {
        let fits: String = text.chars().take(40).collect();
        (self.shown.last().map(|(_, shown)| shown) != Some(&fits)).then_some(fits)
    }

    async fn turn(&self) -> Option<()> {
        sleep(self.turn).await;
        Some(())
    }

    async fn make(&mut self, (): (), change: String) {
        self.show(&change).await;
    }
}

/// Writes each piece at its time, in milliseconds, ends at `end`, and shows it on `chat`.
async fn written(chat: &mut Chat, pieces: &[(u64, String)], end: u64) -> Duration {
    let (folded, ended) = (watch::Sender::new(Folded::default()), CancellationToken::new());
    let began = Instant::now();
    let writing = async {
        let mut reader = Reader::new();
        for (at, piece) in pieces {
            sleep_until(began + Duration::from_millis(*at)).await;
            folded.send_modify(|folded| reader.read(piece.clone().into(), folded));
        }
        sleep_until(began + Duration::from_millis(end)).await;
        ended.cancel();
    };
    tokio::join!(writing, pace(folded.subscribe(), &ended, chat));
    began.elapsed()
}

fn piece(at: u64, text: &str) -> (u64, String) {
    (at, format!("data: {text}\n\n"))
}

#[tokio::test(start_paused = true)]
async fn the_first_words_come_soon_and_the_others_once_a_second() {
    let mut chat = Chat::new(100, 0);
    let pieces: Vec<_> = (0..40).map(|n| piece(n * 100, "x")).collect();
    written(&mut chat, &pieces, 4_000).await;
    let lengths: Vec<_> = chat.seen().iter().map(|(at, text)| (*at, text.len())).collect();
    assert_eq!(lengths[0].0, 1_100, "a second after the first one");
    let pauses: Vec<_> = lengths.windows(2).map(|two| two[1].0 - two[0].0).collect();
    assert!(!pauses.is_empty() && pauses.iter().all(|pause| (1_000..=1_300).contains(pause)), "{lengths:?}");
    assert!(lengths.windows(2).all(|two| two[0].1 < two[1].1), "{lengths:?}");
    let mut fast = Chat::new(100, 0);
    written(&mut fast, &[piece(200, &"x".repeat(ENOUGH))], 1_000).await;
    assert_eq!(fast.seen(), [(300, "x".repeat(ENOUGH).as_str())]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_at_once_has_no_preview() {
    let mut chat = Chat::new(100, 0);
    written(&mut chat, &[piece(0, "a short one")], 900).await;
    assert!(chat.shown.is_empty(), "{:?}", chat.shown);
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_is_as_new_as_the_turn_and_nothing_is_shown_twice() {
    let mut chat = Chat::new(0, 5_000);
    let pieces: Vec<_> = (0..70).map(|n| piece(n * 100, &format!("{},", n % 10))).collect();
    written(&mut chat, &pieces, 30_000).await;
    let seen = chat.seen();
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(seen[1].1.len(), 40, "behind the first message's end nothing changes: {seen:?}");
    assert!((6_000..7_200).contains(&seen[1].0), "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_under_way_is_waited_for_and_a_turn_is_not() {
    let long = "x".repeat(35);
    let pieces = [piece(0, &long), piece(100, "y")];
    let mut slow = Chat::new(2_000, 0);
    // It is shown at 2 s, known at 4 s, and changed from 5 s on.
    let took = written(&mut slow, &pieces, 5_500).await;
    assert_eq!((slow.shown.len(), took), (2, Duration::from_secs(7)));
    let mut busy = Chat::new(0, 60_000);
    let took = written(&mut busy, &pieces, 5_500).await;
    assert_eq!((busy.shown.len(), took), (1, Duration::from_millis(5_500)));
}

#[tokio::test(start_paused = true)]
async fn what_is_to_be_shown_at_once_is_even_if_the_answer_is_there() {
    let at_once = to_raw_value("wait").unwrap();
    let pieces = [(0, format!("data: {{\"immediate_reply\": {at_once}}}\n\ndata: {{\"reply\": \"b\"}}\n\n"))];
    let mut chat = Chat::new(10, 0);
    written(&mut chat, &pieces, 0).await;
    assert_eq!(chat.seen(), [(10, "\"wait\"")]);
}

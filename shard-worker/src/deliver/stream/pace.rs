//! When what is written is shown: the first words soon, and then at most one change a second.
//!
//! Must hold: at most one call is under way; a call that is under way is waited for, so that what it shows never lands upon the
//! answer; between two calls nothing is waited for once the answer is there.

use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::event::Folded;

/// So many characters are worth showing at once.
const ENOUGH: usize = 30;
/// Fewer are, after this long.
const SOON: Duration = Duration::from_secs(1);
/// Platforms count edits as messages: more than one a second is too much for a chat.
const PAUSE: Duration = Duration::from_secs(1);

/// Where it is shown.
pub(super) trait Screen {
    /// The right to make a change now.
    type Turn;
    /// A change.
    type Change;

    /// Shows what the backend wants shown until there is something of the answer.
    async fn at_once(&mut self, reply: &RawValue);

    /// Shows the first words. Whether they can be changed.
    async fn begin(&mut self, text: &str) -> bool;

    /// Waits until they are seen; never, if they are not. Dropped, it gives up.
    async fn seen(&mut self);

    /// What is to be changed when this is the text; `None` when that makes no difference.
    fn change(&self, text: &str) -> Option<Self::Change>;

    /// Waits for the right to make a change. Dropped, it gives up.
    async fn turn(&self) -> Option<Self::Turn>;

    /// Makes it.
    async fn make(&mut self, turn: Self::Turn, change: Self::Change);
}

/// Shows on `screen` what is read, until `ended`.
pub(super) async fn pace(
    mut folded: watch::Receiver<Folded>,
    ended: &CancellationToken,
    screen: &mut impl Screen,
) {
    if !first_words(&mut folded, ended, screen).await {
        return;
    }
    let text = folded.borrow_and_update().text().to_owned();
    if screen.begin(&text).await && ended.run_until_cancelled(screen.seen()).await.is_some() {
        while grow(&mut folded, ended, screen).await.is_some() {}
    }
}

/// Waits until there is something worth showing; `false` if that never happens.
async fn first_words(
    folded: &mut watch::Receiver<Folded>,
    ended: &CancellationToken,
    screen: &mut impl Screen,
) -> bool {
    let (mut shown_at_once, mut since) = (false, None);
    loop {
        let (at_once, length) = {
            let folded = folded.borrow_and_update();
            (folded.immediate().filter(|_| !shown_at_once).map(ToOwned::to_owned), folded.length())
        };
        if let Some(reply) = at_once {
            screen.at_once(&reply).await;
            shown_at_once = true;
        }
        if ended.is_cancelled() {
            return false;
        }
        if length >= ENOUGH {
            return true;
        }
        if length > 0 {
            since.get_or_insert_with(Instant::now);
        }
        tokio::select! {
            biased;
            // Once more for what came last.
            () = ended.cancelled() => {}
            Ok(()) = folded.changed() => {}
            () = sleep_until(since.unwrap_or_else(Instant::now) + SOON), if since.is_some() => return true,
            else => return false,
        }
    }
}

/// Shows what came since the last change, a moment later; `None` at the end.
async fn grow(
    folded: &mut watch::Receiver<Folded>,
    ended: &CancellationToken,
    screen: &mut impl Screen,
) -> Option<()> {
    let turn = ended.run_until_cancelled(turn(folded, screen)).await?;
    // As much as came until now.
    let change = turn.zip(screen.change(folded.borrow_and_update().text()));
    if let Some((turn, change)) = change {
        screen.make(turn, change).await;
    }
    Some(())
}

/// Waits until there is something else to show, for a pause, and for the right to.
async fn turn<S: Screen>(folded: &mut watch::Receiver<Folded>, screen: &S) -> Option<S::Turn> {
    let mut next = Instant::now() + PAUSE;
    loop {
        sleep_until(next).await;
        if screen.change(folded.borrow_and_update().text()).is_some() {
            return screen.turn().await;
        }
        // Most of a long text is behind what one message can show: that is looked at once a second, too.
        next = Instant::now() + PAUSE;
        if folded.changed().await.is_err() {
            return None;
        }
    }
}

#[cfg(test)]
mod tests;

//! Whether platforms take the channels' credentials, by the adapters' own probes: what `configure` and `channels test` ask, without
//! anything that people could see.
//!
//! The worker that owns a channel asks, as it has what the channel remembers and goes the way that its messages go. Must hold: however many
//! channels there are, at most `--probe` of them are asked, [`AT_ONCE`] side by side and each for [`PATIENCE`] at most, so a platform
//! neither limits us nor keeps an operator waiting.

use std::str::FromStr;
use std::time::Duration;

use anyhow::bail;
use claw_rpc::Peers;
use claw_store::ToAsk;
use claw_types::{InstanceId, UserId};
use futures::stream::{self, StreamExt as _};

use super::channels::{first_of, named};
use super::{Checked, DoctorSettings, Found, LIMIT, peers, store};

/// Channels that are asked side by side.
const AT_ONCE: usize = 8;
/// How long a platform may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// A channel, as an operator names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    user: UserId,
    instance: InstanceId,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (user, instance) =
            text.split_once('/').ok_or("name it by its user, a slash and its own name: ada/my_bot")?;
        let user = user.parse().map_err(|error: claw_types::IdError| error.to_string())?;
        let instance = instance.parse().map_err(|error: claw_types::IdError| error.to_string())?;
        Ok(Self { user, instance })
    }
}

/// What became of asking one.
struct Answer {
    channel: String,
    /// Why the platform does not take it, or could not be asked.
    error: Option<String>,
}

pub(super) async fn check(settings: &DoctorSettings) -> Checked {
    if settings.probe == 0 && settings.named.is_empty() {
        return Ok(Found::Well("none was asked, as --probe is 0".to_owned()));
    }
    let Ok(begun) = tokio::time::timeout(LIMIT, begin(settings)).await else {
        bail!("no answer of the database within {LIMIT:?}");
    };
    let (asked, peers) = begun?;
    let answers = stream::iter(asked).map(|one| ask(&peers, one)).buffered(AT_ONCE).collect::<Vec<_>>().await;
    Ok(judged(&answers))
}

/// Whom to ask, and the way to the workers.
async fn begin(settings: &DoctorSettings) -> anyhow::Result<(Vec<ToAsk>, Peers)> {
    let wanted: Vec<_> =
        settings.named.iter().map(|named| (named.user.clone(), named.instance.clone())).collect();
    let most = if wanted.is_empty() { i64::from(settings.probe) } else { i64::MAX };
    let found = store(settings).await?.channels_to_ask(&wanted, most).await?;
    let is_there = |named: &&Named| {
        found.iter().any(|one| {
            one.channel.user_id == named.user.as_str() && one.channel.instance == named.instance.as_str()
        })
    };
    if let Some(missing) = settings.named.iter().find(|named| !is_there(named)) {
        bail!(
            "{user} has no channel {:?}: `ii-claw channels list {user}` shows those there are",
            missing.instance.as_str(),
            user = missing.user,
        );
    }
    Ok((found, peers(settings).await?))
}

async fn ask(peers: &Peers, one: ToAsk) -> Answer {
    let channel = named(&one.channel);
    let error = if !one.enabled {
        Some("it is switched off, so no worker runs it".to_owned())
    } else if let Some(owner) = &one.owner {
        match tokio::time::timeout(PATIENCE, peers.probe(owner, one.id, one.shard)).await {
            Ok(Ok(probed)) => probed.error,
            Ok(Err(error)) => Some(format!("its worker can't ask: {error}")),
            Err(_) => Some(format!("no answer within {PATIENCE:?}")),
        }
    } else {
        Some("no worker owns its shard".to_owned())
    };
    Answer { channel, error }
}

/// A credential that is refused is a matter of the channel's user most often, so nothing that fails.
fn judged(answers: &[Answer]) -> Found {
    let bad: Vec<_> =
        answers.iter().filter_map(|one| Some(format!("{}: {}", one.channel, one.error.as_ref()?))).collect();
    if answers.is_empty() {
        return Found::Well("no channel is switched on, so none was asked".to_owned());
    }
    if bad.is_empty() {
        return Found::Well(format!("of {} channels that were asked, all work", answers.len()));
    }
    Found::Warn(format!(
        "{} of {} channels that were asked do not work: {}. `ii-claw channels configure` gives one another credential",
        bad.len(),
        answers.len(),
        first_of(&bad, "; ", "; and ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(errors: &[Option<&str>]) -> Vec<Answer> {
        let one = |error: Option<&str>| Answer {
            channel: "ada/bot (kite)".to_owned(),
            error: error.map(str::to_owned),
        };
        errors.iter().copied().map(one).collect()
    }

    #[test]
    fn those_that_do_not_work_are_named_and_not_too_many() {
        assert!(matches!(judged(&[]), Found::Well(said) if said.starts_with("no channel")));
        assert!(matches!(judged(&answers(&[None, None])), Found::Well(said) if said.contains("2 channels")));
        let Found::Warn(said) = judged(&answers(&[None, Some("401")])) else { panic!("401 is well") };
        assert!(
            said.starts_with("1 of 2 channels that were asked do not work: ada/bot (kite): 401."),
            "{said}"
        );
        let Found::Warn(said) = judged(&answers(&[Some("401"); 7])) else { panic!("401 is well") };
        assert!(said.contains("401; and 2 more. `ii-claw"), "{said}");
    }

    #[test]
    fn a_channel_is_named_by_its_user_and_its_own_name() {
        let named: Named = "ada@example.org/my_bot".parse().unwrap();
        assert_eq!((named.user.as_str(), named.instance.as_str()), ("ada@example.org", "my_bot"));
        for (wrong, says) in [("ada", "a slash"), ("/bot", "is empty"), ("ada/a/b", "may not contain")] {
            let said = wrong.parse::<Named>().unwrap_err();
            assert!(said.contains(says), "{wrong}: {said}");
        }
    }
}

//! What a platform tells of messages that are there already, and what it offers people: what its adapter declares is read of some payload, or
//! set up, and what it does not declare is read of none and has a reason.

use claw_types::{Deed, Inbound};
use tokio_util::sync::CancellationToken;

use super::features::reason;
use super::room::{Room, Taken};
use super::{Found, Outcome, Requirement, Road};

/// The field with the commands of a channel.
const COMMANDS: &str = "commands";

pub(super) async fn told(room: &Room<'_>, requirement: Requirement) -> Found {
    let is_declared = requirement.feature().is_some_and(|feature| room.entry.caps.has(feature));
    let name = requirement.name();
    let mut found = None;
    for payload in room.examinee.payloads() {
        let messages =
            room.read(payload).await.map_err(|why| format!("payload {:?}: {why}", payload.name))?;
        if messages.iter().any(|message| tells(message, requirement)) {
            found = Some(payload.name);
            break;
        }
    }
    match (is_declared, found) {
        (true, Some(_)) => Ok(Outcome::Met),
        (true, None) => Err(format!("{name} is declared, and no payload is read as such")),
        (false, Some(payload)) => {
            Err(format!("{name} is not declared, and payload {payload:?} is read as such"))
        }
        (false, None) => reason(room, requirement),
    }
}

fn tells(message: &Inbound, requirement: Requirement) -> bool {
    match requirement {
        Requirement::Edits => matches!(message.deed, Deed::Edited(_)),
        Requirement::Deletions => matches!(message.deed, Deed::Deleted(_)),
        Requirement::PeoplesReactions => matches!(message.deed, Deed::Reacted(_)),
        Requirement::Replies => message.answers.is_some(),
        Requirement::Receipts => matches!(message.deed, Deed::Received(_)),
        _ => false,
    }
}

/// Whether people are offered the commands of the example: by whoever listens or, where they come to the gateway, there.
pub(super) async fn commands(room: &Room<'_>) -> Found {
    let has_field = room.entry.own_fields.iter().any(|field| field.key == COMMANDS);
    if has_field != room.entry.caps.commands {
        return Err(format!("the field {COMMANDS:?} and `commands` of the adapter's Caps go together"));
    }
    if !has_field {
        return reason(room, Requirement::Commands);
    }
    let fields = room.fields(&room.server.url());
    let given = fields[COMMANDS].as_str().and_then(|command| command.split(':').next());
    let given =
        given.ok_or_else(|| format!("the example has no text like \"ask: What it does\" in {COMMANDS:?}"))?;
    let offered = if let Road::Gateway { welcome, .. } = room.road {
        let set = room.given(&room.server.url())?;
        room.examinee.offered(welcome(&set.config).as_bytes())
    } else {
        offered_by_listener(room).await?
    };
    if offered == [given] {
        Ok(Outcome::Met)
    } else {
        Err(format!("people are offered {offered:?} and not {given:?}"))
    }
}

async fn offered_by_listener(room: &Room<'_>) -> Result<Vec<String>, String> {
    let channel = room.channel()?;
    let sink = Taken::default();
    tokio::select! {
        ended = channel.listen(&sink, CancellationToken::new()) => {
            Err(format!("before people were offered anything, receiving ended with {ended:?}"))
        }
        offered = offered(room) => Ok(offered),
    }
}

/// The commands of the first call that has some.
async fn offered(room: &Room<'_>) -> Vec<String> {
    loop {
        let count = room.server.count();
        let asked = room.server.asked();
        let offered =
            asked.iter().map(|asked| room.examinee.offered(&asked.body)).find(|offered| !offered.is_empty());
        if let Some(offered) = offered {
            return offered;
        }
        room.server.asked_more_than(count).await;
    }
}

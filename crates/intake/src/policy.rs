//! Who may talk, as a function of a channel's fields and the facts of a message. Nothing here does I/O.
//!
//! Must hold: who may not write to the bot directly can't have it work for them by a group of their own. So where nobody chose the
//! groups, a list of people holds in every group, too, even an empty one.

use claw_types::{Deed, Inbound};
use serde_json::{Map, Value};

/// Why a message is ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The channel's own account wrote it.
    Own,
    /// A program wrote it.
    Bot,
    /// Too much was written in this conversation within a minute, by programs or by who may be one.
    BotPace,
    /// The channel takes no direct messages.
    DirectOff,
    /// Who wrote it is not among those who may.
    Sender,
    /// Who wrote it was not let in, or not yet.
    NotPaired,
    /// The channel takes nothing from groups.
    GroupsOff,
    /// The group is not among those that it listens to.
    Group,
    /// It does not address the bot.
    NotAddressed,
}

impl Reason {
    /// Its name where it is counted.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Bot => "bot",
            Self::BotPace => "bot_pace",
            Self::DirectOff => "direct_off",
            Self::Sender => "sender",
            Self::NotPaired => "not_paired",
            Self::GroupsOff => "groups_off",
            Self::Group => "group",
            Self::NotAddressed => "not_addressed",
        }
    }
}

/// How far a door is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    Open,
    Listed,
    Shut,
}

impl Door {
    /// Without a word, a list says that only those on it may.
    fn of(field: Option<&Value>, list: &[String]) -> Self {
        match field.map(Value::as_str) {
            None if list.is_empty() => Self::Open,
            // Those who were let in are asked for where the message is looked at.
            None | Some(Some("allowlist" | "pairing")) => Self::Listed,
            Some(Some("open")) => Self::Open,
            // What a newer version stored and this one does not know must not let everybody in.
            Some(_) => Self::Shut,
        }
    }
}

/// Who may talk in a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    direct: Door,
    /// Strangers may ask to be let in.
    pairing: bool,
    owners: Vec<String>,
    groups: Door,
    /// Who is heard in those.
    people_of_groups: Door,
    allowed_users: Vec<String>,
    allowed_groups: Vec<String>,
    require_mention: bool,
    ignore_bots: bool,
}

impl Policy {
    /// As a channel's checked fields say; the fields are those of `claw_channels::common`.
    pub fn of(config: &Map<String, Value>) -> Self {
        let list = |key: &str| -> Vec<String> {
            let items = config.get(key).and_then(Value::as_array).into_iter().flatten();
            items.filter_map(Value::as_str).map(|item| item.trim_start_matches('@').to_owned()).collect()
        };
        let ids = |key: &str| -> Vec<String> {
            let items = config.get(key).and_then(Value::as_array).into_iter().flatten();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let flag = |key: &str| config.get(key).and_then(Value::as_bool).unwrap_or(true);
        let (allowed_users, allowed_groups) = (list("allowed_users"), list("allowed_groups"));
        let (direct, groups) = (config.get("dm_policy"), config.get("group_policy"));
        // As what is unknown lets nobody in, it is no word for everybody here.
        let is_listed = !matches!(direct.map(Value::as_str), None | Some(Some("open" | "disabled")));
        let are_chosen = groups.is_some() || !allowed_groups.is_empty();
        Self {
            direct: Door::of(direct, &allowed_users),
            pairing: direct.and_then(Value::as_str) == Some("pairing"),
            owners: ids("owners"),
            groups: Door::of(groups, &allowed_groups),
            people_of_groups: if is_listed && !are_chosen {
                Door::Listed
            } else {
                Door::of(None, &allowed_users)
            },
            allowed_users,
            allowed_groups,
            require_mention: flag("require_mention"),
            ignore_bots: flag("ignore_bots"),
        }
    }

    /// Whether a message in a group must address the bot.
    pub fn requires_mention(&self) -> bool {
        self.require_mention
    }

    /// Whether a message is one that an owner gives orders in: a direct message of theirs, where people are let in.
    pub fn heeds(&self, message: &Inbound) -> bool {
        self.pairing && !message.is_group && self.owns(message)
    }

    /// Whether a message may pass.
    ///
    /// # Errors
    /// Why it may not; [`Reason::NotPaired`] when that depends on whether its sender was let in.
    pub fn admit(&self, message: &Inbound) -> Result<(), Reason> {
        if message.is_own {
            return Err(Reason::Own);
        }
        if message.sender_is_bot && self.ignore_bots {
            return Err(Reason::Bot);
        }
        if message.is_group { self.admit_in_group(message) } else { self.admit_direct(message) }
    }

    fn admit_direct(&self, message: &Inbound) -> Result<(), Reason> {
        match self.direct {
            Door::Open => Ok(()),
            Door::Listed => self.admit_listed(message),
            Door::Shut => Err(Reason::DirectOff),
        }
    }

    fn admit_listed(&self, message: &Inbound) -> Result<(), Reason> {
        if untold_deletion(message).is_some() || self.lists(message) || (self.pairing && self.owns(message)) {
            Ok(())
        } else if self.pairing && !message.sender_is_bot {
            Err(Reason::NotPaired)
        } else {
            // Programs are not asked to show a code: two of them would go on about it.
            Err(Reason::Sender)
        }
    }

    fn admit_in_group(&self, message: &Inbound) -> Result<(), Reason> {
        match self.groups {
            Door::Shut => return Err(Reason::GroupsOff),
            Door::Listed if !self.allowed_groups.contains(&message.recipient) => return Err(Reason::Group),
            Door::Listed | Door::Open => {}
        }
        if self.people_of_groups == Door::Listed {
            self.admit_listed(message)?;
        }
        self.admit_addressed(message)
    }

    /// Whether a message of a group may pass whose sender may write: what is left to ask when it turns out that somebody was let in.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) fn admit_addressed(&self, message: &Inbound) -> Result<(), Reason> {
        if self.require_mention && message.mentioned == Some(false) {
            return Err(Reason::NotAddressed);
        }
        Ok(())
    }

    /// Whether the sender is an owner, by id only: a name can change hands.
    fn owns(&self, message: &Inbound) -> bool {
        message.sender.as_ref().is_some_and(|sender| self.owners.contains(&sender.platform_id))
    }

    /// Whether the sender is an allowed user, by id or by the name that the adapter found.
    fn lists(&self, message: &Inbound) -> bool {
        let id = message.sender.as_ref().map(|sender| sender.platform_id.as_str());
        let name = message.metadata.get("username").and_then(Value::as_str);
        self.allowed_users.iter().any(|allowed| {
            Some(allowed.as_str()) == id || name.is_some_and(|name| name.eq_ignore_ascii_case(allowed))
        })
    }
}

/// What was deleted by somebody whom the platform does not name. No list of people can be asked about that; the platform let it happen, and
/// it does something to what we hold of this message only.
pub(crate) fn untold_deletion(message: &Inbound) -> Option<&str> {
    match &message.deed {
        Deed::Deleted(key) if message.sender.is_none() => Some(key.as_str()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use claw_types::Sender;
    use serde_json::json;

    use super::*;

    fn policy(config: &Value) -> Policy {
        Policy::of(config.as_object().unwrap())
    }

    fn direct(id: &str) -> Inbound {
        let sender =
            Sender { platform_id: id.to_owned(), display_name: "Ada".to_owned(), internal_user: None };
        Inbound {
            sender: Some(sender),
            recipient: id.to_owned(),
            metadata: Map::from_iter([("username".to_owned(), json!("ada"))]),
            ..Inbound::default()
        }
    }

    fn group(id: &str, mentioned: Option<bool>) -> Inbound {
        Inbound { is_group: true, mentioned, recipient: "room".to_owned(), ..direct(id) }
    }

    #[test]
    fn without_fields_every_direct_message_passes() {
        let nobody = Inbound { recipient: "chat".to_owned(), ..Inbound::default() };
        assert_eq!(policy(&json!({})).admit(&direct("42")), Ok(()));
        assert_eq!(policy(&json!({})).admit(&nobody), Ok(()));
    }

    #[test]
    fn allowed_users_are_ids_and_names() {
        let admit = |list: &[&str]| policy(&json!({"allowed_users": list})).admit(&direct("42"));
        for list in [&[][..], &["42"], &["@Ada"], &["7", "ada"]] {
            assert_eq!(admit(list), Ok(()), "{list:?}");
        }
        for list in [&["7"][..], &["bob"], &["4"]] {
            assert_eq!(admit(list), Err(Reason::Sender), "{list:?}");
        }
    }

    #[test]
    fn direct_messages_follow_their_policy() {
        let admit = |config: Value| policy(&config).admit(&direct("42"));
        assert_eq!(admit(json!({"dm_policy": "allowlist"})), Err(Reason::Sender));
        assert_eq!(admit(json!({"dm_policy": "open", "allowed_users": ["7"]})), Ok(()));
        assert_eq!(admit(json!({"dm_policy": "disabled", "allowed_users": ["42"]})), Err(Reason::DirectOff));
        assert_eq!(admit(json!({"dm_policy": "of a newer version"})), Err(Reason::DirectOff));
        assert_eq!(admit(json!({"group_policy": "disabled"})), Ok(()));
    }

    #[test]
    fn strangers_ask_where_people_are_let_in_and_owners_give_orders_there_alone() {
        let pairing =
            policy(&json!({"dm_policy": "pairing", "owners": ["42", "ada"], "allowed_users": ["7"]}));
        assert_eq!(pairing.admit(&direct("8")), Err(Reason::NotPaired), "an owner's name makes no owner");
        assert_eq!(pairing.admit(&direct("7")), Ok(()));
        assert_eq!(pairing.admit(&direct("42")), Ok(()));
        let bot = Inbound { sender_is_bot: true, ..direct("8") };
        assert_eq!(Policy { ignore_bots: false, ..pairing.clone() }.admit(&bot), Err(Reason::Sender));
        let heeded = ["42", "7", "8"].map(|id| pairing.heeds(&direct(id)));
        assert_eq!(heeded, [true, false, false]);
        assert!(!pairing.heeds(&group("42", Some(true))), "everybody in a group would see the code");
        let listed = policy(&json!({"dm_policy": "allowlist", "owners": ["42"]}));
        assert!(!listed.heeds(&direct("42")));
        assert_eq!(listed.admit(&direct("42")), Err(Reason::Sender));
    }

    #[test]
    fn no_list_of_people_is_asked_about_a_deletion_by_nobody_knows_whom() {
        let gone = |is_group| Inbound {
            deed: Deed::Deleted("m".to_owned()),
            is_group,
            mentioned: Some(true),
            recipient: "room".to_owned(),
            ..Inbound::default()
        };
        for config in [
            json!({"dm_policy": "pairing"}),
            json!({"dm_policy": "allowlist"}),
            json!({"allowed_users": ["7"]}),
        ] {
            let policy = policy(&config);
            assert_eq!(
                [false, true].map(|is_group| policy.admit(&gone(is_group))),
                [Ok(()), Ok(())],
                "{config}"
            );
            let theirs = Inbound { sender: direct("42").sender, ..gone(false) };
            assert!(policy.admit(&theirs).is_err(), "{config}");
            let edit = Inbound { deed: Deed::Edited("m".to_owned()), ..gone(false) };
            assert!(policy.admit(&edit).is_err(), "{config}");
        }
        let off = |config: Value, is_group| policy(&config).admit(&gone(is_group));
        assert_eq!(off(json!({"dm_policy": "disabled"}), false), Err(Reason::DirectOff));
        assert_eq!(off(json!({"group_policy": "disabled"}), true), Err(Reason::GroupsOff));
        assert_eq!(off(json!({"allowed_groups": ["hall"]}), true), Err(Reason::Group));
    }

    #[test]
    fn groups_are_chosen_by_the_chat_and_people_by_themselves() {
        let admit = |config: Value| policy(&config).admit(&group("42", Some(true)));
        assert_eq!(admit(json!({})), Ok(()));
        assert_eq!(admit(json!({"dm_policy": "disabled"})), Ok(()));
        assert_eq!(admit(json!({"group_policy": "disabled"})), Err(Reason::GroupsOff));
        assert_eq!(admit(json!({"group_policy": "allowlist"})), Err(Reason::Group));
        assert_eq!(admit(json!({"allowed_groups": ["room"]})), Ok(()));
        assert_eq!(admit(json!({"allowed_groups": ["42"]})), Err(Reason::Group), "the sender is no chat");
        assert_eq!(admit(json!({"allowed_users": ["room"]})), Err(Reason::Sender), "the chat is no sender");
        assert_eq!(admit(json!({"allowed_users": ["42"]})), Ok(()));
    }

    #[test]
    fn nobody_walks_around_a_list_of_people_through_a_group_of_their_own() {
        let admit = |config: Value, id: &str| policy(&config).admit(&group(id, Some(true)));
        let listed = json!({"dm_policy": "allowlist", "allowed_users": ["7"]});
        assert_eq!(admit(listed.clone(), "7"), Ok(()));
        assert_eq!(admit(listed, "42"), Err(Reason::Sender));
        assert_eq!(admit(json!({"dm_policy": "allowlist"}), "42"), Err(Reason::Sender));
        assert_eq!(admit(json!({"dm_policy": "of a newer version"}), "42"), Err(Reason::Sender));

        let pairing = json!({"dm_policy": "pairing", "owners": ["1"], "allowed_users": ["7"]});
        assert_eq!(["1", "7"].map(|id| admit(pairing.clone(), id)), [Ok(()), Ok(())]);
        assert_eq!(admit(pairing.clone(), "42"), Err(Reason::NotPaired), "that depends on who was let in");
        assert_eq!(admit(json!({"dm_policy": "pairing"}), "42"), Err(Reason::NotPaired));
        let bot = Inbound { sender_is_bot: true, ..group("42", Some(true)) };
        let listening = Policy { ignore_bots: false, ..policy(&pairing) };
        assert_eq!(listening.admit(&bot), Err(Reason::Sender));
        let unasked = policy(&pairing).admit(&group("1", Some(false)));
        assert_eq!(unasked, Err(Reason::NotAddressed), "an owner addresses the bot like everybody");
    }

    #[test]
    fn who_chose_the_groups_chose_who_is_heard_there() {
        let admit = |config: Value| policy(&config).admit(&group("42", Some(true)));
        for direct in ["pairing", "allowlist"] {
            assert_eq!(admit(json!({"dm_policy": direct, "group_policy": "open"})), Ok(()));
            assert_eq!(admit(json!({"dm_policy": direct, "allowed_groups": ["room"]})), Ok(()));
            assert_eq!(
                admit(json!({"dm_policy": direct, "allowed_groups": ["another"]})),
                Err(Reason::Group)
            );
        }
        // A list of people holds there, too; who was let in is on it.
        let both =
            |direct: &str| json!({"dm_policy": direct, "group_policy": "open", "allowed_users": ["7"]});
        assert_eq!(admit(both("pairing")), Err(Reason::NotPaired));
        assert_eq!(admit(both("allowlist")), Err(Reason::Sender));
        assert_eq!(admit(both("open")), Err(Reason::Sender));
    }

    #[test]
    fn a_platform_that_can_not_tell_who_is_addressed_loses_nothing() {
        let admit = |config: Value, mentioned| policy(&config).admit(&group("42", mentioned));
        assert_eq!(admit(json!({}), None), Ok(()));
        assert_eq!(admit(json!({}), Some(true)), Ok(()));
        assert_eq!(admit(json!({}), Some(false)), Err(Reason::NotAddressed));
        assert_eq!(admit(json!({"require_mention": false}), Some(false)), Ok(()));
    }

    /// What the API lets people choose is what is understood here.
    #[test]
    fn every_choice_is_known() {
        use claw_channels::common::{COMMON, DM_POLICIES, GROUP_POLICIES};
        let door = |field: &str| Door::of(Some(&json!(field)), &[]);
        for choice in DM_POLICIES.iter().chain(GROUP_POLICIES) {
            assert_eq!(door(choice) == Door::Shut, *choice == "disabled", "{choice}");
        }
        for key in [
            "dm_policy",
            "owners",
            "group_policy",
            "allowed_users",
            "allowed_groups",
            "require_mention",
            "ignore_bots",
        ] {
            assert!(COMMON.iter().any(|field| field.key == key), "{key}");
        }
    }
}

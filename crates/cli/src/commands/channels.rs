//! `ii-claw channels`: a user's channels, who may write there, and the exam of the adapters.

mod fields;
mod pairing;

use anyhow::bail;
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use self::fields::Fields;
use super::exam;
use crate::api::{Api, ApiSettings, cell, printable, table};

/// Channels of a user
#[derive(Args)]
pub(crate) struct Channels {
    #[command(flatten)]
    api: ApiSettings,
    #[command(subcommand)]
    what: OfChannels,
}

#[derive(Subcommand)]
enum OfChannels {
    /// List a user's channels, oldest first
    List {
        /// Whose channels
        user: String,
        /// Only channels of this type
        #[arg(long = "type", value_name = "TYPE")]
        channel_type: Option<String>,
    },
    /// List the types of channels that there are, or the fields of one
    Types {
        /// The type whose fields to list
        channel_type: Option<String>,
    },
    /// Make a channel, or replace the open fields of one; its platform is asked first whether it knows the credential
    Configure {
        #[command(flatten)]
        channel: Channel,
        /// The platform's type, as `channels types` lists them
        #[arg(long = "type", value_name = "TYPE")]
        channel_type: String,
        #[command(flatten)]
        labels: Labels,
        #[command(flatten)]
        fields: Fields,
    },
    /// Change what is named of a channel, and nothing else
    Update {
        #[command(flatten)]
        channel: Channel,
        #[command(flatten)]
        labels: Labels,
        #[command(flatten)]
        fields: Fields,
    },
    /// Switch a channel on
    Enable {
        #[command(flatten)]
        channel: Channel,
    },
    /// Switch a channel off: it receives nothing, and sends to it are refused
    Disable {
        #[command(flatten)]
        channel: Channel,
    },
    /// Delete a channel
    Delete {
        #[command(flatten)]
        channel: Channel,
    },
    /// Ask the platform whether the channel's credential works; fails when it does not
    Test {
        #[command(flatten)]
        channel: Channel,
    },
    /// Have a user's channels looked at again
    Reload {
        /// Whose channels
        user: String,
    },
    /// Try what every adapter must do, against servers on this machine; fails when one does not
    Exam {
        /// Only channels of this type
        #[arg(long = "type", value_name = "TYPE")]
        only: Option<String>,
    },
    /// Say who may write where strangers show a code
    Pairing {
        #[command(subcommand)]
        what: pairing::What,
    },
}

#[derive(Args)]
struct Channel {
    /// Whose channel
    user: String,
    /// Its name, as the list of channels shows it: `instance_name_id`
    channel: String,
}

#[derive(Args)]
struct Labels {
    /// The name to show
    #[arg(long)]
    name: Option<String>,
    /// The agent that it is bound to
    #[arg(long)]
    agent: Option<String>,
}

impl Channel {
    fn path<'a>(&'a self, rest: &[&'a str]) -> Vec<&'a str> {
        let mut path = vec!["users", &self.user, "channels", &self.channel];
        path.extend(rest);
        path
    }
}

pub(crate) async fn run(command: Channels) -> anyhow::Result<()> {
    if let OfChannels::Exam { only } = &command.what {
        return exam::run(only.as_deref(), command.api.json()).await;
    }
    let api = Api::new(&command.api)?;
    match command.what {
        OfChannels::Exam { .. } => Ok(()),
        OfChannels::Pairing { what } => pairing::run(&api, what).await,
        OfChannels::List { user, channel_type } => {
            let query: Vec<_> = channel_type.into_iter().map(|only| ("channel_type", only)).collect();
            api.show(&api.get(&["users", &user, "channels"], &query).await?, listed)
        }
        OfChannels::Types { channel_type } => {
            let answer = api.get(&["channels"], &[]).await?;
            match channel_type {
                None => api.show(&answer, types),
                Some(name) => api.show(&one_type(&answer, &name)?, fields_of),
            }
        }
        OfChannels::Configure { channel, channel_type, labels, fields } => {
            let body = json!({"channel_type": channel_type, "instance_name": labels.name,
                "agent_id": labels.agent, "fields": fields.read()?, "probe": fields.probe()});
            api.show(&api.post(&channel.path(&["configure"]), &body).await?, line)
        }
        OfChannels::Update { channel, labels, fields } => {
            let given = fields.read()?;
            let mut body = json!({"instance_name": labels.name, "probe": fields.probe()});
            // A null unbinds the agent, and no fields are not the same as absent ones.
            labels.agent.into_iter().for_each(|agent| body["agent_id"] = json!(agent));
            if !given.is_empty() {
                body["fields"] = given.into();
            }
            api.show(&api.put(&channel.path(&[]), &body).await?, line)
        }
        OfChannels::Enable { channel } => switch(&api, &channel, true).await,
        OfChannels::Disable { channel } => switch(&api, &channel, false).await,
        OfChannels::Delete { channel } => {
            api.show(&api.delete(&channel.path(&[]), &[]).await?, |_| "deleted".to_owned())
        }
        OfChannels::Test { channel } => test(&api, &channel).await,
        OfChannels::Reload { user } => {
            let answer = api.post(&["users", &user, "channels", "reload"], &Value::Null).await?;
            api.show(&answer, |answer| format!("{} channels are looked at again", cell(&answer["channels"])))
        }
    }
}

async fn switch(api: &Api, channel: &Channel, on: bool) -> anyhow::Result<()> {
    api.show(&api.put(&channel.path(&[]), &json!({"enabled": on})).await?, line)
}

async fn test(api: &Api, channel: &Channel) -> anyhow::Result<()> {
    let answer = api.post(&channel.path(&["test"]), &Value::Null).await?;
    api.show(&answer, |answer| match answer["status"].as_str() {
        Some("ok") => format!("works, as {}, in {} ms", cell(&answer["account"]), answer["duration_ms"]),
        _ => format!("does not work: {}", cell(&answer["error"])),
    })?;
    match answer["status"].as_str() {
        Some("ok") => Ok(()),
        _ => bail!("the platform does not take the channel's credential"),
    }
}

const COLUMNS: [&str; 6] =
    ["instance_name_id", "channel_type", "state", "owner", "last_inbound_at", "last_error"];

fn row(channel: &Value) -> [String; 6] {
    COLUMNS.map(|key| cell(&channel[key]))
}

fn line(channel: &Value) -> String {
    row(channel).join("  ")
}

fn listed(answer: &Value) -> String {
    let channels = answer["channels"].as_array().map(Vec::as_slice).unwrap_or_default();
    if channels.is_empty() {
        return "no channels".to_owned();
    }
    let rows: Vec<_> = channels.iter().map(row).collect();
    table(["channel", "type", "state", "owner", "last inbound", "last error"], &rows)
}

fn types(answer: &Value) -> String {
    let types = answer["channels"].as_array().into_iter().flatten();
    let rows: Vec<_> =
        types.map(|one| ["name", "display_name", "description"].map(|key| cell(&one[key]))).collect();
    table(["type", "platform", "what it is"], &rows)
}

fn one_type(answer: &Value, name: &str) -> anyhow::Result<Value> {
    let mut types = answer["channels"].as_array().into_iter().flatten();
    match types.find(|one| one["name"] == name) {
        Some(one) => Ok(one.clone()),
        None => bail!("there is no type {name:?}; `ii-claw channels types` lists them"),
    }
}

fn fields_of(one: &Value) -> String {
    let fields = one["fields"].as_array().into_iter().flatten();
    let rows: Vec<_> = fields
        .map(|field| {
            let need = match (field["required"] == true, field["required_unless"].as_str()) {
                (true, None) => "required".to_owned(),
                (true, Some(other)) => format!("required, or {}", printable(other)),
                (false, _) => String::new(),
            };
            let kind = if field["secret"] == true { "secret".to_owned() } else { cell(&field["type"]) };
            [cell(&field["key"]), need, kind, cell(&field["help"])]
        })
        .collect();
    table(["field", "", "type", "what it is"], &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_shows_what_each_channel_does() {
        let one = json!({"instance_name_id": "bot", "channel_type": "kite", "state": "failed", "owner": null,
            "last_inbound_at": null, "last_error": "401\u{1b}[2J"});
        let text = listed(&json!({"channels": [one]}));
        assert!(text.contains("bot      kite  failed  -      -             401\u{fffd}[2J"), "{text}");
        assert_eq!(listed(&json!({"channels": []})), "no channels");
    }

    #[test]
    fn the_fields_of_a_type_say_what_is_needed() {
        let field = |key, required: bool, unless: Value, secret: bool, help| {
            json!({"key": key, "required": required, "required_unless": unless, "secret": secret, "type": "text",
                "help": help})
        };
        let answer = json!({"channels": [{"name": "kite", "fields": [
            field("token_env", true, json!("other_env"), true, "the token."),
            field("limit", false, Value::Null, false, "how many.")]}]});
        let text = fields_of(&one_type(&answer, "kite").unwrap());
        assert!(text.contains("token_env  required, or other_env  secret  the token."), "{text}");
        assert!(text.contains("limit                              text    how many."), "{text}");
        assert!(one_type(&answer, "nobody").unwrap_err().to_string().contains("channels types"));
    }
}

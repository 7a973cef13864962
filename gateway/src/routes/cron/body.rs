//! A job as its caller sends it, checked.
//!
//! What is checked here is form. Whether a schedule has a time to come and a channel is there is asked where the job is
//! stored.

use claw_schedule::{Limits, Schedule};
use claw_store::SaveJob;
use claw_types::job::{Action, ActionType, AssistantTask, ChannelMessage, Delivery, Options};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{OneOfBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::body::lenient::Flag;
use crate::body::{self, sentence};
use crate::error::Problem;

/// Longest name and label, in characters.
const NAME_LIMIT: usize = 200;
/// Longest message and context, in characters: a list shows all of a user's jobs at once.
const TEXT_LIMIT: usize = 20_000;
/// Longest id of a chat, in characters.
const ID_LIMIT: usize = 512;
/// Longest name of a channel.
const CHANNEL_LIMIT: usize = 64;
/// Largest schedule and `channel_type`, in bytes of JSON.
const SMALL: usize = 4_096;
/// Largest `metadata`, in bytes of JSON.
const METADATA: usize = 16_384;

/// A job. All of it counts: what is absent is none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobBody {
    /// The name to show.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// What it is grouped by; the list can be filtered by it.
    #[schema(max_length = 200)]
    label: Option<String>,
    /// When it runs.
    #[schema(value_type = ScheduleBody)]
    schedule: Map<String, Value>,
    /// What it does.
    #[schema(value_type = ActionBody)]
    action: Map<String, Value>,
    /// Whether it is over after one run; one `at` a time always is. Not, if not given.
    one_shot: Option<Flag>,
    /// Whether it is to run. If not given, a new job is, and another stays as it is.
    enabled: Option<Flag>,
    /// Your own note of the platform, such as `{"platform": "slack"}`; shown again and not used.
    #[schema(value_type = Option<Object>)]
    channel_type: Option<Map<String, Value>>,
    /// Your own; shown again and not used.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
}

/// When a job runs.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Schedule)]
#[expect(dead_code, reason = "only its description is used")]
pub enum ScheduleBody {
    /// Again and again.
    Every(EverySchedule),
    /// By the calendar.
    Cron(CronSchedule),
    /// Once.
    At(AtSchedule),
}

/// Again and again, counted from when the schedule was set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its description is used")]
pub struct EverySchedule {
    r#type: EveryTag,
    /// The interval.
    every_secs: Seconds,
}

/// By the calendar.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its description is used")]
pub struct CronSchedule {
    r#type: CronTag,
    /// Minute, hour, day of month, month, day of week (0 and 7 are Sunday).
    #[schema(example = "0 9 * * 1-5", max_length = 512)]
    expr: String,
    /// The time zone that `expr` is in; UTC if not given.
    #[schema(example = "Europe/Berlin")]
    tz: Option<String>,
}

/// Once.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its description is used")]
pub struct AtSchedule {
    r#type: AtTag,
    /// When; in the future.
    #[schema(format = DateTime)]
    at: String,
}

/// Always `every`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum EveryTag {
    Every,
}

/// Always `cron`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum CronTag {
    Cron,
}

/// Always `at`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum AtTag {
    At,
}

/// A whole number of seconds, or its digits.
#[derive(Deserialize)]
struct Seconds;

impl PartialSchema for Seconds {
    fn schema() -> RefOr<Schema> {
        let (least, most) = (Some(1), Some(Schedule::MAX_EVERY_SECS));
        let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(least).maximum(most).build();
        let digits = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9]+$")).build();
        Schema::OneOf(OneOfBuilder::new().item(number).item(digits).build()).into()
    }
}

impl ToSchema for Seconds {}

/// What a job does.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Action)]
#[expect(dead_code, reason = "only its description is used")]
pub enum ActionBody {
    /// Sends a message to a person.
    Message(ChannelMessage),
    /// Gives an agent something to do.
    Task(AssistantTask),
}

impl JobBody {
    /// Checks it.
    ///
    /// # Errors
    /// 400 naming the key that is wrong or missing.
    pub fn checked(self) -> Result<SaveJob, Problem> {
        let name = self.name.trim().to_owned();
        body::printable("name", &name, NAME_LIMIT)?;
        if name.is_empty() {
            return Err(Problem::bad_request("\"name\" is empty: say what the job is for"));
        }
        let label = self.label.filter(|label| !label.trim().is_empty());
        if let Some(label) = &label {
            body::printable("label", label, NAME_LIMIT)?;
        }
        let plan = schedule(&self.schedule)?;
        let does = read_action(&self.action)?;
        bounded("channel_type", self.channel_type.as_ref(), SMALL)?;
        bounded("metadata", self.metadata.as_ref(), METADATA)?;
        Ok(SaveJob {
            name,
            label,
            enabled: self.enabled.map(|Flag(on)| on),
            plan,
            schedule: self.schedule,
            limits: Limits::default(),
            options: Options::default(),
            does,
            action: self.action,
            one_shot: self.one_shot.is_some_and(|Flag(once)| once),
            channel_type: self.channel_type,
            metadata: self.metadata,
        })
    }
}

/// Reads a schedule.
///
/// # Errors
/// 400 saying what is wrong with it.
pub fn schedule(given: &Map<String, Value>) -> Result<Schedule, Problem> {
    // White space around a time does not count, so there could be a lot of it.
    bounded("schedule", Some(given), SMALL)?;
    Schedule::parse(given, Limits::default()).map_err(|error| Problem::bad_request(error.to_string()))
}

fn read_action(given: &Map<String, Value>) -> Result<Action, Problem> {
    let value = Value::Object(given.clone());
    match ActionType::of(given) {
        Some(ActionType::ChannelMessage) => {
            let message: ChannelMessage = sentence::read_in("action", value)?;
            channel("action.channel", &message.channel)?;
            recipient("action.recipient", &message.recipient)?;
            text("action.message", &message.message)?;
            Ok(Action::Message(message))
        }
        Some(ActionType::AssistantTask) => {
            let task: AssistantTask = sentence::read_in("action", value)?;
            body::printable("action.agent_id", task.agent_id.as_deref().unwrap_or_default(), NAME_LIMIT)?;
            text("action.context", &task.context)?;
            if let Some(Delivery { channel: name, recipient: to, .. }) = &task.delivery {
                channel("action.delivery.channel", name)?;
                recipient("action.delivery.recipient", to)?;
            }
            Ok(Action::Task(task))
        }
        None => {
            let known = ActionType::ALL.map(ActionType::as_str).join(", ");
            Err(Problem::bad_request(format!("\"action.type\" must be one of: {known}")))
        }
    }
}

fn channel(key: &str, name: &str) -> Result<(), Problem> {
    body::printable(key, name, CHANNEL_LIMIT)?;
    if name.is_empty() {
        return Err(Problem::bad_request(format!(
            "{key:?} is empty: name a channel by its instance_name_id"
        )));
    }
    Ok(())
}

fn recipient(key: &str, id: &str) -> Result<(), Problem> {
    body::printable(key, id, ID_LIMIT)?;
    if id.trim().is_empty() {
        return Err(Problem::bad_request(format!("{key:?} is empty: give the platform's id of the chat")));
    }
    Ok(())
}

fn text(key: &str, text: &str) -> Result<(), Problem> {
    let length = text.chars().count();
    if text.trim().is_empty() {
        return Err(Problem::bad_request(format!("{key:?} is empty: give it a text")));
    }
    if length > TEXT_LIMIT {
        return Err(Problem::bad_request(format!(
            "{key:?} has {length} characters; at most {TEXT_LIMIT} are allowed"
        )));
    }
    Ok(())
}

fn bounded(key: &str, given: Option<&Map<String, Value>>, limit: usize) -> Result<(), Problem> {
    let Some(map) = given else { return Ok(()) };
    let bytes = serde_json::to_string(map)?.len();
    if bytes > limit {
        return Err(Problem::bad_request(format!(
            "{key:?} has {bytes} bytes of JSON; at most {limit} are allowed"
        )));
    }
    Ok(())
}

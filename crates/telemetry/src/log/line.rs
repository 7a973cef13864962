//! A line, with who writes it.
//!
//! The formatter adds that, and no span around all that runs: a span would have to be entered at each turn of each task, also where nothing
//! is written.

use std::fmt;

use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Full, Json, Writer};
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::speaker;

/// For people: the time, who, and what.
pub(super) struct Text(Format<Full, ()>);

/// One JSON object, its last members who.
pub(super) struct Object(Format<Json>);

impl Text {
    pub(super) fn new() -> Self {
        Self(tracing_subscriber::fmt::format().without_time())
    }
}

impl Object {
    pub(super) fn new() -> Self {
        Self(tracing_subscriber::fmt::format().json().flatten_event(true).with_span_list(false))
    }
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        SystemTime.format_time(&mut writer)?;
        speaker::of(event.metadata().target(), |voice| match voice {
            Some(voice) => write!(writer, " {} ", voice.text),
            None => writer.write_char(' '),
        })?;
        self.0.format_event(context, writer, event)
    }
}

impl<S, N> FormatEvent<S, N> for Object
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.0.format_event(context, Writer::new(&mut line), event)?;
        speaker::of(event.metadata().target(), |voice| match (voice, line.strip_suffix("}\n")) {
            (Some(voice), Some(open)) => writeln!(writer, "{open},{}}}", voice.json),
            _ => writer.write_str(&line),
        })
    }
}

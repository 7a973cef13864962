//! A span while it lasts, and what is left of it.

use std::borrow::Cow;

use super::{Context, Mark, TRACER, current, mark};

/// What a span is to those beside it (<https://opentelemetry.io/docs/specs/otel/trace/api/#spankind>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Within one process.
    Internal,
    /// It answers somebody.
    Server,
    /// It asks somebody.
    Client,
    /// It leaves something for somebody to work on.
    Producer,
    /// It works on what somebody left.
    Consumer,
}

/// What an attribute says.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text.
    Text(Cow<'static, str>),
    /// A number.
    Number(i64),
}

impl From<&'static str> for Value {
    fn from(text: &'static str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Cow::Owned(text))
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

/// A span that is over.
#[derive(Debug, Clone)]
pub struct Finished {
    pub(super) context: Context,
    /// `None` of a trace's first span.
    pub(super) parent: Option<u64>,
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Both in nanoseconds since 1970.
    pub(super) began: u64,
    pub(super) ended: u64,
    pub(super) attributes: Vec<(&'static str, Value)>,
    pub(super) links: Vec<Context>,
    /// In a word, what went wrong.
    pub(super) error: Option<&'static str>,
}

/// Something that is being done. It is over when this is dropped, however that comes about. One that is not recorded is nothing.
#[must_use = "a span ends when it is dropped"]
#[derive(Debug)]
pub struct Span(Option<Box<Live>>);

#[derive(Debug)]
struct Live {
    mark: Mark,
    span: Finished,
}

impl Span {
    /// Nothing.
    pub const fn none() -> Self {
        Self(None)
    }

    /// The first span of a message's trace, which began at `mark`.
    pub fn first(id: u128, name: &'static str, kind: Kind, mark: Option<Mark>) -> Self {
        let first = Context::of_message(id).and_then(Context::sampled);
        first.zip(mark).map_or(Self::none(), |(context, mark)| Self::begun(context, None, name, kind, mark))
    }

    /// A child of `parent`, which begins now; nothing when there is none or its trace is not recorded.
    pub fn child_of(parent: Option<Context>, name: &'static str, kind: Kind) -> Self {
        let (Some(parent), Some(tracer)) = (parent.and_then(Context::sampled), TRACER.get()) else {
            return Self::none();
        };
        let Some(mark) = mark() else { return Self::none() };
        let context = Context { span: (tracer.random)().max(1), ..parent };
        Self::begun(context, Some(parent.span), name, kind, mark)
    }

    /// A child of the span that this runs in.
    pub fn child(name: &'static str, kind: Kind) -> Self {
        Self::child_of(current(), name, kind)
    }

    fn begun(context: Context, parent: Option<u64>, name: &'static str, kind: Kind, mark: Mark) -> Self {
        let (attributes, links) = (Vec::new(), Vec::new());
        let (began, ended) = (mark.at, mark.at);
        let span = Finished { context, parent, name, kind, began, ended, attributes, links, error: None };
        Self(Some(Box::new(Live { mark, span })))
    }

    /// Where its children belong; `None` when it is not recorded.
    pub fn context(&self) -> Option<Context> {
        self.0.as_ref().map(|live| live.span.context)
    }

    /// Whether it is: then it is worth making what it is to say.
    pub fn is_recorded(&self) -> bool {
        self.0.is_some()
    }

    /// Says something more.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(live) = &mut self.0 {
            live.span.attributes.push((key, value.into()));
        }
    }

    /// Names a span of another trace that it has to do with, if that is recorded.
    pub fn link(&mut self, other: Option<Context>) {
        if let (Some(live), Some(other)) = (&mut self.0, other.and_then(Context::sampled)) {
            live.span.links.push(other);
        }
    }

    /// It did not come to what it was to: in a word, one of a few, never what somebody wrote.
    pub fn failed(&mut self, why: &'static str) {
        if let Some(live) = &mut self.0 {
            live.span.error = Some(why);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let (Some(live), Some(tracer)) = (self.0.take(), TRACER.get()) else { return };
        let Live { mark, mut span } = *live;
        let took = u64::try_from(mark.since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        span.ended = span.began.saturating_add(took);
        tracer.finished(span);
    }
}

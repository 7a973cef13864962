//! What can be wrong with a template or its result.

use minijinja::ErrorKind;

/// Why a template was refused or gave nothing; the sentence says what to change.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum TemplateError {
    /// Not a template, or it does what templates may not.
    #[error("line {line} of the template: {reason}")]
    Line {
        /// Counted from 1.
        line: usize,
        /// What is wrong there.
        reason: String,
    },
    /// Too much source.
    #[error("the template has more than {0} characters; make it shorter")]
    Source(usize),
    /// Out of fuel.
    #[error("the template does too much with this body; use fewer or smaller loops")]
    Work,
    /// Too much output.
    #[error("the text has more than {0} characters; print only a part of the body, or use truncate")]
    Output(usize),
    /// A body of more levels than JSON parsers take.
    #[error("the body is nested in more than {0} levels; send a flatter one")]
    Deep(usize),
    /// Too many fields.
    #[error("there are {given} fields; give at most {max}")]
    FieldCount {
        /// How many may be.
        max: usize,
        /// How many there are.
        given: usize,
    },
    /// Not a name.
    #[error("the field name {0:?} must be 1 to 64 of a-z, 0-9 and _")]
    FieldName(String),
    /// One of the fields.
    #[error("the field {name:?}: {reason}")]
    Field {
        /// Its name.
        name: String,
        /// What is wrong with its template.
        reason: Box<TemplateError>,
    },
}

impl TemplateError {
    pub(crate) fn line(line: usize, reason: &str) -> Self {
        // minijinja quotes what it found, which may be long.
        Self::Line { line, reason: reason.chars().take(200).collect() }
    }

    /// What the engine said, of a template that may print `chars`.
    pub(crate) fn from_engine(error: &minijinja::Error, chars: usize) -> Self {
        match error.kind() {
            ErrorKind::OutOfFuel => Self::Work,
            ErrorKind::WriteFailure => Self::Output(chars),
            kind => {
                let reason = error.detail().map_or_else(|| kind.to_string(), str::to_owned);
                Self::line(error.line().unwrap_or(1), &reason)
            }
        }
    }
}

//! The templates of one webhook: its text, and fields for the metadata.

use std::collections::BTreeMap;

use crate::context::Context;
use crate::error::TemplateError;
use crate::template::{FIELD, Template, WHOLE};

/// In the language of templates, so that it has their limits and errors.
const DEFAULT_TEXT: &str = "{% if body.text is string and body.text|trim %}{{ body.text }}\
    {% elif body.message is string and body.message|trim %}{{ body.message }}\
    {% elif body.content is string and body.content|trim %}{{ body.content }}\
    {% else %}{{ body }}{% endif %}";

/// What one webhook makes of what it gets.
#[derive(Debug, Clone)]
pub struct FieldMap {
    text: Template,
    fields: BTreeMap<String, Template>,
}

/// What came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// The text.
    pub text: String,
    /// The fields that are not empty.
    pub fields: BTreeMap<String, String>,
}

impl FieldMap {
    /// How many fields there may be.
    pub const MAX_FIELDS: usize = 32;

    /// The longest value of a field, in characters.
    pub const MAX_FIELD_CHARS: usize = FIELD.chars;

    /// Reads the templates.
    ///
    /// Without one for the text, it is the body's `text`, `message` or `content`, whichever first is a text and not
    /// blank, or else all of the body as `{{ body }}` prints it.
    ///
    /// # Errors
    /// With one sentence on the first thing that is wrong.
    pub fn compile(text: Option<&str>, fields: &BTreeMap<String, String>) -> Result<Self, TemplateError> {
        if fields.len() > Self::MAX_FIELDS {
            return Err(TemplateError::FieldCount { max: Self::MAX_FIELDS, given: fields.len() });
        }
        let compiled = fields.iter().map(|(name, source)| {
            let template = check_name(name)
                .and_then(|()| Template::with_budget(source, FIELD).map_err(|reason| field(name, reason)))?;
            Ok((name.clone(), template))
        });
        let fields = compiled.collect::<Result<_, TemplateError>>()?;
        let text = text.map_or_else(|| Template::with_budget(DEFAULT_TEXT, WHOLE), Template::compile)?;
        Ok(Self { text, fields })
    }

    /// Fills all of them in.
    ///
    /// # Errors
    /// As [`Template::render`]; a field's error names the field.
    pub fn render(&self, context: &Context) -> Result<Mapped, TemplateError> {
        let text = self.text.render(context)?;
        let rendered = self.fields.iter().map(|(name, template)| {
            let value = template.render(context).map_err(|reason| field(name, reason))?;
            Ok((name.clone(), value.trim().to_owned()))
        });
        let mut fields = rendered.collect::<Result<BTreeMap<_, _>, TemplateError>>()?;
        fields.retain(|_, value| !value.is_empty());
        Ok(Mapped { text, fields })
    }
}

fn field(name: &str, reason: TemplateError) -> TemplateError {
    TemplateError::Field { name: name.to_owned(), reason: Box::new(reason) }
}

fn check_name(name: &str) -> Result<(), TemplateError> {
    let allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_');
    if (1..=64).contains(&name.len()) && name.bytes().all(allowed) {
        return Ok(());
    }
    Err(TemplateError::FieldName(name.chars().take(64).collect()))
}

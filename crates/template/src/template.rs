//! One template.

use std::io;
use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, UndefinedBehavior};

use crate::context::Context;
use crate::error::TemplateError;
use crate::{filters, vet};

const NAME: &str = "template";

/// What one run may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// Instructions, and blocks of 64 bytes that are made or read.
    pub fuel: u64,
    /// Characters that are printed.
    pub chars: usize,
}

/// Enough for a few thousand items of a list, or to print 80,000 bytes of JSON.
pub(crate) const TEXT: Budget = Budget { fuel: 20_000, chars: 100_000 };

/// For our own template, which has no loop: enough to print a body of that many characters of any language.
pub(crate) const WHOLE: Budget = Budget { fuel: 120_000, chars: 100_000 };

/// A field is a name or a number; there may be many of them.
pub(crate) const FIELD: Budget = Budget { fuel: 3_000, chars: 4_000 };

/// A template that has been read and found harmless.
#[derive(Debug, Clone)]
pub struct Template {
    env: Environment<'static>,
    budget: Budget,
}

impl Template {
    /// The longest source, in characters.
    pub const MAX_SOURCE: usize = 10_000;

    /// Reads a template of a text.
    ///
    /// # Errors
    /// With one sentence on what is wrong, and its line.
    pub fn compile(source: &str) -> Result<Self, TemplateError> {
        Self::with_budget(source, TEXT)
    }

    pub(crate) fn with_budget(source: &str, budget: Budget) -> Result<Self, TemplateError> {
        if source.chars().count() > Self::MAX_SOURCE {
            return Err(TemplateError::Source(Self::MAX_SOURCE));
        }
        vet::check(source)?;
        let mut env = SANDBOX.clone();
        env.set_fuel(Some(budget.fuel));
        let added = env.add_template_owned(NAME, source.to_owned());
        added.map_err(|error| TemplateError::from_engine(&error, budget.chars))?;
        Ok(Self { env, budget })
    }

    /// Fills it in.
    ///
    /// # Errors
    /// When it takes too much work or prints too much, or a filter can't do with what the body has there.
    pub fn render(&self, context: &Context) -> Result<String, TemplateError> {
        let chars = self.budget.chars;
        let engine = |error| TemplateError::from_engine(&error, chars);
        let mut printed = Printed { bytes: Vec::new(), left: chars };
        let template = self.env.get_template(NAME).map_err(engine)?;
        template.render_captured_to(context.value(), &mut printed).map_err(engine)?;
        String::from_utf8(printed.bytes).map_err(|error| TemplateError::line(1, &error.to_string()))
    }
}

static SANDBOX: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut env = Environment::empty();
    env.set_undefined_behavior(UndefinedBehavior::Chainable);
    env.set_auto_escape_callback(|_| AutoEscape::None);
    env.set_recursion_limit(100);
    // As JSON has it, but for texts: Jinja writes True and None.
    env.set_formatter(|out, _state, value| {
        match value.as_str() {
            Some(text) => out.write_str(text)?,
            None if filters::absent(value) => {}
            None => out.write_str(&filters::json(value)?)?,
        }
        Ok(())
    });
    filters::add(&mut env);
    env
});

/// What has been printed; fails at the character that is too many.
struct Printed {
    bytes: Vec<u8>,
    left: usize,
}

impl io::Write for Printed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Every byte of UTF-8 but 10xxxxxx begins a character.
        let chars = bytes.iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        self.left = self.left.checked_sub(chars).ok_or(io::ErrorKind::FileTooLarge)?;
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

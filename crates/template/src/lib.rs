//! The templates of inbound webhooks: the JSON that a stranger's service posts becomes a text and fields.
//!
//! A template is Jinja as far as [minijinja](https://docs.rs/minijinja) has it: `{{ body.user.name }}`, `{% if %}`,
//! `{% for %}`, `{% set %}`, comparisons, `~`, the filters of [`FILTERS`] and the tests of [`TESTS`]. It sees `body`, `headers`, `query` and,
//! when the body is an object, its keys; nothing else exists. What is not there prints nothing.
//!
//! Templates are written by users of a service that others use too, and they run on what strangers send. So neither
//! may cost much. minijinja's fuel counts instructions and the bytes of strings, and that is not enough: with
//! `{% set x = [x, x] %}` forty times, one `x == y` takes days and one unit of fuel, and a list that is nested in a loop
//! overflows the stack when it is dropped, which ends the process. Hence the language is cut down to where fuel holds:
//!
//! - No template makes a list or an object, so no value is deeper or larger than the body (`vet` looks at
//!   what was parsed, before anything of it is run or folded).
//! - There are no functions, methods, macros or includes, and none of minijinja's own filters.
//! - The body's lists and objects compare and print (outside `{{ }}`) in no time, whatever their size (`json`).
//! - Source, one tag, result and fuel have limits.

mod context;
mod error;
mod fields;
mod filters;
mod json;
mod template;
mod vet;

pub use context::Context;
pub use error::TemplateError;
pub use fields::{FieldMap, Mapped};
pub use filters::{FILTERS, TESTS};
pub use template::Template;

#[cfg(test)]
mod tests;

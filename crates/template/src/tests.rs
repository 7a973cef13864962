//! What templates do, and what hostile ones can't.

mod hostile;
mod render;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{Context, Template, TemplateError};

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn context(body: &Value) -> Context {
    let headers = map(&[("X-GitHub-Event", "push")]);
    Context::new(body, &headers, &map(&[("team", "ops")])).expect("a flat body")
}

fn render(source: &str, body: &Value) -> Result<String, TemplateError> {
    Template::compile(source)?.render(&context(body))
}

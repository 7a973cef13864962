//! What a template sees.

use std::collections::BTreeMap;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{Enumerator, Object};
use serde_json::Value as Json;

use crate::{TemplateError, json};

/// One request, for all templates of its webhook.
#[derive(Debug, Clone)]
pub struct Context {
    root: Arc<Root>,
}

#[derive(Debug)]
struct Root {
    body: Value,
    headers: Value,
    query: Value,
}

impl Context {
    /// A request's body, those of its headers that templates may see, and its query.
    ///
    /// The names of headers become lower-case. The caller leaves out what is secret: signatures, authorization.
    ///
    /// # Errors
    /// When the body is nested too deeply, which no body that `serde_json` parsed is.
    pub fn new(
        body: &Json,
        headers: &BTreeMap<String, String>,
        query: &BTreeMap<String, String>,
    ) -> Result<Self, TemplateError> {
        let headers: BTreeMap<_, _> =
            headers.iter().map(|(name, text)| (name.to_lowercase(), text)).collect();
        let root = Root {
            body: json::value(body)?,
            headers: json::texts(headers.iter().map(|(name, text)| (name.as_str(), text.as_str()))),
            query: json::texts(query.iter().map(|(name, text)| (name.as_str(), text.as_str()))),
        };
        Ok(Self { root: Arc::new(root) })
    }

    pub(crate) fn value(&self) -> Value {
        Value::from_dyn_object(Arc::clone(&self.root))
    }
}

impl Object for Root {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match key.as_str()? {
            "body" => Some(self.body.clone()),
            "headers" => Some(self.headers.clone()),
            "query" => Some(self.query.clone()),
            key => self.body.get_attr(key).ok().filter(|value| !value.is_undefined()),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Str(&["body", "headers", "query"])
    }
}

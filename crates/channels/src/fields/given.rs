//! The fields of one channel, by where they are kept, and how what is given is laid over them.

use std::fmt;

use serde_json::{Map, Value};
use url::{Host, Origin, Url};

use super::value::coerce;
use super::{Field, FieldError, FieldKind};

/// Fields split by where they are kept.
#[derive(Clone, Default, PartialEq)]
pub struct Fields {
    /// In the open.
    pub config: Map<String, Value>,
    /// Sealed.
    pub secrets: Map<String, Value>,
}

/// The keys alone: what is printed for somebody who looks for a fault ends in a log.
impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = |fields: &Map<String, Value>| fields.keys().cloned().collect::<Vec<_>>();
        let (config, secrets) = (keys(&self.config), keys(&self.secrets));
        f.debug_struct("Fields").field("config", &config).field("secrets", &secrets).finish()
    }
}

impl Fields {
    /// Lays `given` over `self`: an empty or null value takes an open field away and leaves a secret as it is,
    /// because the client's form sends back empty what it was never shown.
    ///
    /// # Errors
    /// When a key is unknown, a value has the wrong type, or a secret of `self` would go to another server.
    pub fn merge(
        self,
        channel_type: &'static str,
        fields: &[Field],
        given: Map<String, Value>,
    ) -> Result<Self, FieldError> {
        let config = self.config.clone();
        self.laid(config, channel_type, fields, given)
    }

    /// Puts `given` in the place of the open fields and lays it over the secrets, as [`Self::merge`] does.
    ///
    /// # Errors
    /// As [`Self::merge`].
    pub fn replace(
        self,
        channel_type: &'static str,
        fields: &[Field],
        given: Map<String, Value>,
    ) -> Result<Self, FieldError> {
        self.laid(Map::new(), channel_type, fields, given)
    }

    fn laid(
        self,
        mut config: Map<String, Value>,
        channel_type: &'static str,
        fields: &[Field],
        given: Map<String, Value>,
    ) -> Result<Self, FieldError> {
        let mut fresh = Map::new();
        for (key, value) in given {
            let Some(field) = fields.iter().find(|f| f.key == key) else {
                let known = fields.iter().map(|f| f.key).collect::<Vec<_>>().join(", ");
                return Err(FieldError::Unknown { key, channel_type, known });
            };
            match (coerce(field, value)?, field.kind) {
                (Some(value), FieldKind::Secret) => drop(fresh.insert(key, value)),
                (None, FieldKind::Secret) => {}
                (Some(value), _) => drop(config.insert(key, value)),
                (None, _) => drop(config.remove(&key)),
            }
        }
        for field in fields.iter().filter(|field| server(&self.config, field) != server(&config, field)) {
            let kept = |secret: &&&str| self.secrets.contains_key(**secret) && !fresh.contains_key(**secret);
            if let Some(secret) = field.receives.iter().find(kept) {
                return Err(FieldError::Elsewhere { key: field.key, secret });
            }
        }
        let mut secrets = self.secrets;
        secrets.extend(fresh);
        Ok(Self { config, secrets })
    }

    /// Checks that everything required is there.
    ///
    /// # Errors
    /// Naming the first field that is not.
    pub fn complete(self, channel_type: &'static str, fields: &[Field]) -> Result<Self, FieldError> {
        let has = |key: &str| self.config.contains_key(key) || self.secrets.contains_key(key);
        let lacks = |f: &&Field| f.required && !has(f.key) && !f.unless.is_some_and(has);
        match fields.iter().find(lacks) {
            Some(f) => Err(FieldError::Missing { key: f.key, channel_type, help: f.help }),
            None => Ok(self),
        }
    }
}

/// The server that a field leads to. None given is the adapter's own, which is not the same as any that is given. What is no address,
/// such as a host or a port of a server that speaks something else than HTTP, counts as it is.
fn server(config: &Map<String, Value>, field: &Field) -> Option<Origin> {
    let value = config.get(field.key)?;
    if field.kind != FieldKind::Url {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_ascii_lowercase);
        return Some(Origin::Tuple(field.key.to_owned(), Host::Domain(text), 0));
    }
    let url = value.as_str()?;
    // What is no URL is refused elsewhere; until then it is nobody else's.
    Some(Url::parse(url).map_or_else(|_| Origin::new_opaque(), |url| url.origin()))
}

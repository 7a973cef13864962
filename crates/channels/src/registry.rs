//! What the rest of the system knows of adapters: it finds them here and nowhere else. Their list is in `adapters/mod.rs`.

use std::sync::Arc;

use serde_json::{Map, Value};

pub use crate::adapters::ALL;
use crate::adapters::webchat;
use crate::common::COMMON;
use crate::exam::Examinee;
use crate::fields::Fields;
use crate::{About, Adapter, Caps, Channel, ChannelError, Deps, Field, FieldError, FieldKind, Hub, TypeInfo};

/// The type whose channels a gateway can show on its front page.
pub const FRONT_PAGE: &str = webchat::Webchat::NAME;

type Make = fn(Map<String, Value>, Deps) -> Result<Arc<dyn Channel>, ChannelError>;

/// An adapter with its types erased.
pub struct Entry {
    /// The type in the API.
    pub name: &'static str,
    /// What it is.
    pub about: About,
    /// What its platform can carry.
    pub caps: &'static Caps,
    /// The same for one chat, by its id.
    pub caps_in: fn(&str) -> &'static Caps,
    /// What it brings to its exam.
    pub(crate) examinee: fn() -> &'static dyn Examinee,
    /// The fields that only this type has.
    pub(crate) own_fields: &'static [Field],
    /// The keys of its configuration's type.
    #[cfg(test)]
    pub(crate) config_keys: fn() -> &'static [&'static str],
    make: Make,
    credentials: fn(Map<String, Value>) -> Result<Vec<String>, ChannelError>,
    /// What gateways serve for it.
    pub routes: fn(Arc<dyn Hub>) -> Option<axum::Router>,
}

/// The entry of one adapter.
pub(crate) const fn entry<A: Adapter>() -> Entry {
    Entry {
        name: A::NAME,
        about: A::ABOUT,
        caps: A::CAPS,
        caps_in: <A as Adapter>::caps_in,
        examinee: A::examinee,
        own_fields: A::FIELDS,
        #[cfg(test)]
        config_keys: crate::catalogue::config_keys::<A::Config>,
        make: |fields, deps| Ok(Arc::new(A::new(typed::<A>(fields)?, deps)?)),
        credentials: |fields| Ok(A::credentials(&typed::<A>(fields)?)),
        routes: A::routes,
    }
}

fn typed<A: Adapter>(fields: Map<String, Value>) -> Result<A::Config, ChannelError> {
    serde_json::from_value(Value::Object(fields)).map_err(|e| ChannelError::Config(e.to_string()))
}

/// The adapter of a type.
pub fn find(channel_type: &str) -> Option<&'static Entry> {
    ALL.iter().find(|entry| entry.name == channel_type)
}

/// Whether a type's platform tells which messages programs wrote ([`Caps::tells_programs`]). A type that is unknown here has no adapter, and
/// brings none.
pub fn tells_programs(channel_type: &str) -> bool {
    find(channel_type).is_none_or(|entry| entry.caps.tells_programs)
}

/// All types, with all that a form and a careful caller need to know of them.
pub fn catalogue() -> Vec<TypeInfo> {
    ALL.iter().map(TypeInfo::of).collect()
}

/// The types, comma-separated, for messages.
pub fn names() -> String {
    ALL.iter().map(|entry| entry.name).collect::<Vec<_>>().join(", ")
}

impl Entry {
    /// The same with other capabilities.
    #[cfg(test)]
    pub(crate) fn with_caps(&self, caps: &'static Caps) -> Self {
        Self { caps, ..*self }
    }

    /// Its fields: those that only this type has, then those of all types.
    pub fn fields(&self) -> Vec<Field> {
        self.own_fields.iter().chain(COMMON).copied().collect()
    }

    /// Makes a channel of stored fields. No I/O.
    ///
    /// # Errors
    /// [`ChannelError::Config`] when they do not make sense.
    pub fn make(
        &self,
        config: &Map<String, Value>,
        secrets: &Map<String, Value>,
        deps: Deps,
    ) -> Result<Arc<dyn Channel>, ChannelError> {
        (self.make)(crate::channel::merged(config, secrets), deps)
    }

    /// The credentials of which no other channel may have any ([`Adapter::credentials`]).
    ///
    /// # Errors
    /// [`ChannelError::Config`] when the fields do not make sense.
    pub fn credentials(&self, fields: &Fields) -> Result<Vec<String>, ChannelError> {
        (self.credentials)(crate::channel::merged(&fields.config, &fields.secrets))
    }

    /// What its platform sends, as examples: those of its exam.
    pub fn payloads(&self) -> impl Iterator<Item = &'static str> {
        (self.examinee)().payloads().iter().map(|payload| payload.sent)
    }

    /// Example fields of a channel, whose platform is at `server`: those of its exam.
    ///
    /// # Errors
    /// When a field of them is not as its adapter takes it.
    pub fn example(&self, server: &str) -> Result<Fields, FieldError> {
        let Value::Object(example) = (self.examinee)().fields(server) else { return Ok(Fields::default()) };
        Fields::default().merge(self.name, &self.fields(), example)
    }

    /// The addresses among the fields, which the gateway will call.
    pub fn urls<'a>(&self, fields: &'a Fields) -> Vec<(&'static str, &'a str)> {
        let urls = self.own_fields.iter().filter(|f| f.kind == FieldKind::Url);
        urls.filter_map(|f| Some((f.key, fields.config.get(f.key)?.as_str()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names that are ordinary words, too: these count in quotes only, as code would compare them.
    const WORDS: [&str; 3] = ["email", "line", "teams"];

    /// What nobody fills in can't be counted.
    #[test]
    fn adapters_that_never_say_that_a_program_wrote_do_not_claim_to() {
        for silent in ["instagram", "line", "messenger", "sms", "whatsapp"] {
            assert!(!tells_programs(silent), "{silent}");
        }
        assert!(["discord", "slack", "telegram"].into_iter().all(tells_programs));
    }

    /// The rest of the system must not know one platform from another. "webhook" is on every page, quoted or not.
    #[test]
    fn no_platform_is_named_outside_this_crate() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let folders = ["gateway/src", "shard-worker/src", "scheduler-leader/src", "proto", "crates"];
        let mut unread: Vec<_> = folders.iter().map(|folder| root.join(folder)).collect();
        let mut read = 0;
        while let Some(path) = unread.pop() {
            if path.is_dir() {
                let ours = path.ends_with("crates/channels") || path.ends_with("crates/testkit");
                let entries = std::fs::read_dir(&path).unwrap().filter(|_| !ours);
                unread.extend(entries.map(|entry| entry.unwrap().path()));
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            read += 1;
            let text = std::fs::read_to_string(&path).unwrap();
            // The vectors of a hash are data.
            for line in text.lines().filter(|line| !line.contains("0x")) {
                let is_in = |entry: &&Entry| match entry.name {
                    "webhook" => false,
                    word if WORDS.contains(&word) => line.contains(&format!("\"{word}\"")),
                    name => line.contains(name),
                };
                let named = ALL.iter().find(is_in);
                assert!(named.is_none(), "{}: {line}", path.display());
            }
        }
        assert!(read > 50, "only {read} files were read");
    }

    #[test]
    fn every_adapter_file_is_registered() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/adapters");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .filter(|name| name != "mod")
            .collect();
        files.sort();
        let mut registered: Vec<_> = ALL.iter().map(|e| e.name.to_owned()).collect();
        registered.sort();
        assert_eq!(files, registered);
    }
}

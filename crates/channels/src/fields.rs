//! The fields of a channel's configuration: what the API takes, what is secret, what is coerced.
//!
//! The client turns every value into a string (a list is `"a, b"`, a boolean `"true"`, a number its digits), others
//! send native JSON; both end up the same here, before an adapter sees them.

use std::fmt;

use serde_json::{Map, Number, Value};
use url::{Host, Origin, Url};

/// Items of a [`FieldKind::Words`] at most: each message is searched for all of them.
pub const MOST_WORDS: usize = 20;
/// Characters of each at most.
pub const WORD_LIMIT: usize = 64;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// Text.
    Text,
    /// Text that is sealed and never shown.
    Secret,
    /// An http or https address that the gateway will call; private ones only where the operator allows them.
    Url,
    /// A whole number from 0.
    Number,
    /// Yes or no.
    Bool,
    /// Texts, comma-separated in a string.
    List,
    /// The platform's ids of people, as a list; no @names, which people can give up and others take.
    Ids,
    /// Words or phrases that are looked for in what people write, as a list of at most [`MOST_WORDS`].
    Words,
    /// One of these texts.
    Choice(&'static [&'static str]),
    /// Some of these texts, comma-separated in a string.
    Items(&'static [&'static str]),
}

/// One field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// Its key.
    pub key: &'static str,
    /// Its name in a form.
    pub label: &'static str,
    /// What it holds.
    pub kind: FieldKind,
    /// Whether a channel needs it.
    pub required: bool,
    /// Of what is required: the field that does as well.
    pub unless: Option<&'static str>,
    /// Whether most people can leave it alone.
    pub advanced: bool,
    /// An example of what to put in.
    pub placeholder: Option<&'static str>,
    /// Of a number: the largest that it can be.
    pub most: Option<u64>,
    /// Of what leads to a server, as an address or a host does: the secret fields that are sent to it. When it leads elsewhere they must be given again, or whoever may
    /// change the address could have a stored secret sent to a server of their own.
    pub receives: &'static [&'static str],
    /// One sentence on what it is.
    pub help: &'static str,
}

impl Field {
    /// An optional field, with the sentence that tells what it is; what is not so is said behind it.
    pub const fn new(key: &'static str, label: &'static str, kind: FieldKind, help: &'static str) -> Self {
        Self {
            key,
            label,
            kind,
            required: false,
            unless: None,
            advanced: false,
            placeholder: None,
            most: None,
            receives: &[],
            help,
        }
    }

    /// A channel needs it.
    #[must_use]
    pub const fn required(self) -> Self {
        Self { required: true, ..self }
    }

    /// A channel needs it or this other one.
    #[must_use]
    pub const fn required_unless(self, other: &'static str) -> Self {
        Self { required: true, unless: Some(other), ..self }
    }

    /// Most people can leave it alone.
    #[must_use]
    pub const fn advanced(self) -> Self {
        Self { advanced: true, ..self }
    }

    /// The address is sent these secrets.
    #[must_use]
    pub const fn receives(self, secrets: &'static [&'static str]) -> Self {
        Self { receives: secrets, ..self }
    }

    /// The number can't be larger than this.
    #[must_use]
    pub const fn up_to(self, most: u64) -> Self {
        Self { most: Some(most), ..self }
    }

    /// What to put in looks like this.
    #[must_use]
    pub const fn like(self, example: &'static str) -> Self {
        Self { placeholder: Some(example), ..self }
    }
}

/// Why fields were refused; the sentence says what to change.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum FieldError {
    /// A key that the type does not have.
    #[error("the field {key:?} does not exist for {channel_type:?}; its fields are: {known}")]
    Unknown {
        /// The key.
        key: String,
        /// The type.
        channel_type: &'static str,
        /// Its keys.
        known: String,
    },
    /// A key that is needed.
    #[error("the field {key:?} is required for {channel_type:?}: {help}")]
    Missing {
        /// The key.
        key: &'static str,
        /// The type.
        channel_type: &'static str,
        /// What it is.
        help: &'static str,
    },
    /// A value of the wrong type.
    #[error("the field {key:?} must be {expected}, not {given}")]
    Type {
        /// The key.
        key: String,
        /// What it should be.
        expected: &'static str,
        /// What it was.
        given: &'static str,
    },
    /// A value that is none of those that there are.
    #[error("the field {key:?} must be one of: {choices}")]
    Choice {
        /// The key.
        key: String,
        /// What it can be, comma-separated.
        choices: String,
    },
    /// A number that is too large.
    #[error("the field {key:?} can be at most {most}")]
    TooLarge {
        /// The key.
        key: String,
        /// The largest that it can be.
        most: u64,
    },
    /// A list with something that can't be in it.
    #[error("the field {key:?} may list only: {choices}")]
    Items {
        /// The key.
        key: String,
        /// What can be in it, comma-separated.
        choices: String,
    },
    /// A name where only an id tells for certain who somebody is.
    #[error(
        "the field {key:?} takes the platform's ids, not the name {name:?}: another person may have it tomorrow"
    )]
    Name {
        /// The key.
        key: &'static str,
        /// The name.
        name: String,
    },
    /// What would be found in any message, or in none.
    #[error(
        "the field {key:?} takes words or phrases of at most {most} characters with a letter or a digit in each; \
         {word:?} is none"
    )]
    Word {
        /// The key.
        key: &'static str,
        /// How many characters each can have.
        most: usize,
        /// Its beginning.
        word: String,
    },
    /// A list with too many items.
    #[error("the field {key:?} can list at most {most}")]
    TooMany {
        /// The key.
        key: &'static str,
        /// How many it can list.
        most: usize,
    },
    /// A stored secret would go to another server.
    #[error(
        "the field {key:?} leads to another server, which would be sent the stored {secret:?}: send {secret:?} again with it"
    )]
    Elsewhere {
        /// The key of the address.
        key: &'static str,
        /// The key of the secret.
        secret: &'static str,
    },
}

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

fn coerce(field: &Field, value: Value) -> Result<Option<Value>, FieldError> {
    if value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()) {
        return Ok(None);
    }
    let wrong = |expected| FieldError::Type { key: field.key.to_owned(), expected, given: type_of(&value) };
    let coerced = match (field.kind, &value) {
        // A secret that is a file, such as the key of a service account: as that file is written, or as what is in it.
        (FieldKind::Secret, Value::Object(_)) => Value::String(value.to_string()),
        (FieldKind::Secret, Value::String(text)) if text.trim_start().starts_with('{') => {
            document(text).ok_or_else(|| wrong("a whole JSON document"))?
        }
        (FieldKind::Text | FieldKind::Secret | FieldKind::Url, Value::String(text)) => {
            if text.contains(char::is_control) {
                return Err(wrong("text without control characters"));
            }
            Value::String(text.trim().to_owned())
        }
        (FieldKind::Text | FieldKind::Secret, Value::Number(number)) => Value::String(number.to_string()),
        (FieldKind::Number, Value::Number(number)) if number.is_u64() => value,
        (FieldKind::Number, Value::String(text)) => {
            let number: u64 = text.trim().parse().map_err(|_| wrong("a whole number"))?;
            Value::Number(Number::from(number))
        }
        (FieldKind::Bool, Value::Bool(_)) => value,
        (FieldKind::Bool, Value::String(text)) => match text.trim() {
            "true" | "True" => Value::Bool(true),
            "false" | "False" => Value::Bool(false),
            _ => return Err(wrong("\"true\" or \"false\"")),
        },
        (FieldKind::Choice(choices), Value::String(text)) if choices.contains(&text.trim()) => {
            Value::String(text.trim().to_owned())
        }
        (FieldKind::Choice(choices), _) => {
            return Err(FieldError::Choice { key: field.key.to_owned(), choices: choices.join(", ") });
        }
        (FieldKind::List | FieldKind::Ids | FieldKind::Words | FieldKind::Items(_), Value::String(text)) => {
            list(text.split(','))
        }
        (FieldKind::List | FieldKind::Ids | FieldKind::Words | FieldKind::Items(_), Value::Array(items)) => {
            let texts: Option<Vec<String>> = items.iter().map(scalar).collect();
            list(texts.ok_or_else(|| wrong("a list of texts"))?.iter().map(String::as_str))
        }
        (FieldKind::List | FieldKind::Ids | FieldKind::Words, Value::Number(number)) => {
            list([number.to_string().as_str()].into_iter())
        }
        (kind, _) => return Err(wrong(expected(kind))),
    };
    if let Some(most) = field.most
        && coerced.as_u64().is_some_and(|number| number > most)
    {
        return Err(FieldError::TooLarge { key: field.key.to_owned(), most });
    }
    if let FieldKind::Items(choices) = field.kind
        && !only(&coerced, choices)
    {
        return Err(FieldError::Items { key: field.key.to_owned(), choices: choices.join(", ") });
    }
    if field.kind == FieldKind::Ids
        && let Some(name) = coerced.as_array().into_iter().flatten().filter_map(Value::as_str).find(is_name)
    {
        return Err(FieldError::Name { key: field.key, name: name.to_owned() });
    }
    if field.kind == FieldKind::Words {
        check_words(field.key, &coerced)?;
    }
    Ok(Some(coerced))
}

fn check_words(key: &'static str, list: &Value) -> Result<(), FieldError> {
    let words = || list.as_array().into_iter().flatten().filter_map(Value::as_str);
    if words().count() > MOST_WORDS {
        return Err(FieldError::TooMany { key, most: MOST_WORDS });
    }
    let is_word = |text: &&str| text.chars().count() <= WORD_LIMIT && text.contains(char::is_alphanumeric);
    match words().find(|word| !is_word(word)) {
        Some(word) => {
            let word = word.chars().take(WORD_LIMIT).collect();
            Err(FieldError::Word { key, most: WORD_LIMIT, word })
        }
        None => Ok(()),
    }
}

/// A JSON document in one line.
fn document(text: &str) -> Option<Value> {
    let document: Map<String, Value> = serde_json::from_str(text).ok()?;
    Some(Value::String(Value::Object(document).to_string()))
}

/// Whether every item of a list is one of these.
fn only(list: &Value, choices: &[&str]) -> bool {
    let mut items = list.as_array().into_iter().flatten();
    items.all(|item| item.as_str().is_some_and(|item| choices.contains(&item)))
}

/// Whether it is an @name. Ids such as `@ada:example.org` say which server they are of.
fn is_name(text: &&str) -> bool {
    text.starts_with('@') && !text.contains(':')
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> Value {
    items.map(str::trim).filter(|item| !item.is_empty()).collect()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.contains(char::is_control) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn expected(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text | FieldKind::Secret | FieldKind::Choice(_) => "text",
        FieldKind::Url => "an http or https URL",
        FieldKind::Number => "a whole number",
        FieldKind::Bool => "true or false",
        FieldKind::List | FieldKind::Ids | FieldKind::Words | FieldKind::Items(_) => {
            "a list, or a text with commas"
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number of another kind",
        Value::String(_) => "this text",
        Value::Array(_) => "a list of something else",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FIELDS: &[Field] = &[
        Field::new("token", "Token", FieldKind::Secret, "the token.").required(),
        Field::new("users", "Users", FieldKind::List, ""),
        Field::new("secs", "Seconds", FieldKind::Number, "").up_to(60),
        Field::new("loud", "Loud", FieldKind::Bool, ""),
        Field::new("server", "Server", FieldKind::Url, "").receives(&["token"]),
        Field::new("mood", "Mood", FieldKind::Choice(&["calm", "wild"]), ""),
        Field::new("days", "Days", FieldKind::Items(&["mon", "tue"]), ""),
        Field::new("owners", "Owners", FieldKind::Ids, ""),
        Field::new("names", "Names", FieldKind::Words, ""),
    ];

    fn merge(on: Fields, given: Value) -> Result<Fields, FieldError> {
        let Value::Object(given) = given else { panic!("an object") };
        on.merge("test", FIELDS, given)
    }

    #[test]
    fn fields_print_their_keys_alone() {
        let fields = merge(Fields::default(), json!({"token": "hunter2", "users": "hunter3"})).unwrap();
        assert_eq!(format!("{fields:?}"), r#"Fields { config: ["users"], secrets: ["token"] }"#);
    }

    #[test]
    fn a_secret_may_be_a_file_of_json_in_any_of_its_forms() {
        let file = "{\n  \"id\": \"7\",\n  \"key\": \"a\\nb\"\n}\n";
        let token = |value: Value| merge(Fields::default(), json!({"token": value}));
        let fields = token(json!(file)).unwrap();
        assert_eq!(fields.secrets["token"], r#"{"id":"7","key":"a\nb"}"#);
        assert_eq!(token(json!({"id": "7", "key": "a\nb"})).unwrap(), fields);
        assert_eq!(token(fields.secrets["token"].clone()).unwrap(), fields);
        assert!(matches!(token(json!("{\n cut")), Err(FieldError::Type { .. })));
        assert!(matches!(token(json!("two\nlines")), Err(FieldError::Type { .. })));
    }

    #[test]
    fn strings_and_native_values_are_the_same() {
        let strings =
            merge(Fields::default(), json!({"token": "t", "users": "1, 2,, 3", "secs": "5", "loud": "true"}));
        let native =
            merge(Fields::default(), json!({"token": "t", "users": [1, "2", 3], "secs": 5, "loud": true}));
        assert_eq!(strings, native);
        let fields = strings.unwrap();
        assert_eq!(Value::Object(fields.config), json!({"users": ["1", "2", "3"], "secs": 5, "loud": true}));
        assert_eq!(Value::Object(fields.secrets), json!({"token": "t"}));
    }

    #[test]
    fn words_are_few_and_can_be_found() {
        let names = |value: Value| merge(Fields::default(), json!({ "names": value }));
        let given = names(json!("claw, hey bot")).unwrap();
        assert_eq!(given.config["names"], json!(["claw", "hey bot"]));
        assert_eq!(names(json!(["claw", "hey bot"])).unwrap(), given);
        assert!(names(json!(vec!["x".repeat(WORD_LIMIT); MOST_WORDS])).is_ok());
        let many = names(json!(vec!["x"; MOST_WORDS + 1]));
        assert_eq!(many, Err(FieldError::TooMany { key: "names", most: MOST_WORDS }));
        for wrong in ["!?".to_owned(), "x".repeat(WORD_LIMIT + 1)] {
            let refused = names(json!(["claw", wrong])).unwrap_err().to_string();
            assert!(refused.contains("a letter or a digit"), "{refused}");
        }
        assert!(matches!(names(json!(["a\u{0}b"])), Err(FieldError::Type { .. })));
    }

    #[test]
    fn an_update_merges_and_an_absent_or_empty_secret_stays() {
        let stored = merge(Fields::default(), json!({"token": "t", "users": "1", "secs": "5"})).unwrap();
        let merged = merge(stored, json!({"token": "", "users": "", "loud": "false"})).unwrap();
        assert_eq!(Value::Object(merged.config), json!({"secs": 5, "loud": false}));
        assert_eq!(Value::Object(merged.secrets), json!({"token": "t"}));
    }

    #[test]
    fn a_stored_secret_stays_with_its_server() {
        let at = |server: Value| merge(Fields::default(), json!({"token": "t", "server": server})).unwrap();
        let elsewhere = Err(FieldError::Elsewhere { key: "server", secret: "token" });
        for (before, after) in [
            (json!("https://a.org/x"), json!("https://b.org/x")),
            (json!("https://a.org"), json!("http://a.org")),
            (json!("https://a.org"), json!("https://a.org:444")),
            (json!("https://a.org"), json!("")),
            (Value::Null, json!("https://a.org")),
            (json!("https://a.org"), json!("nonsense")),
        ] {
            assert_eq!(merge(at(before.clone()), json!({"server": after})), elsewhere, "{before} {after}");
            let empty = json!({"server": after, "token": ""});
            assert_eq!(merge(at(before.clone()), empty), elsewhere, "{before} {after}");
            let again = merge(at(before.clone()), json!({"server": after, "token": "t2"})).unwrap();
            assert_eq!(again.secrets["token"], "t2", "{before} {after}");
        }
        let same =
            merge(at(json!("https://a.org/x")), json!({"server": "https://A.org:443/y", "loud": true}));
        assert_eq!(same.unwrap().config["server"], "https://A.org:443/y");
        let replaced = |given: Value| {
            let Value::Object(given) = given else { panic!("an object") };
            at(json!("https://a.org")).replace("test", FIELDS, given)
        };
        assert_eq!(replaced(json!({"loud": true})), elsewhere, "what is left out is taken away");
        assert!(replaced(json!({"server": "https://a.org/y"})).is_ok());
    }

    #[test]
    fn a_stored_secret_stays_with_its_host_and_port() {
        const HOSTED: &[Field] = &[
            Field::new("token", "Token", FieldKind::Secret, "the token."),
            Field::new("host", "Host", FieldKind::Text, "").receives(&["token"]),
            Field::new("port", "Port", FieldKind::Number, "").receives(&["token"]),
        ];
        let laid = |before: Fields, given: Value| {
            let Value::Object(given) = given else { panic!("an object") };
            before.merge("test", HOSTED, given)
        };
        let before = laid(Fields::default(), json!({"token": "t", "host": "a.org", "port": "993"})).unwrap();
        for (given, key) in [
            (json!({"host": "b.org"}), "host"),
            (json!({"port": 994}), "port"),
            (json!({"port": null}), "port"),
        ] {
            let elsewhere = Err(FieldError::Elsewhere { key, secret: "token" });
            assert_eq!(laid(before.clone(), given), elsewhere);
        }
        assert!(laid(before.clone(), json!({"host": "A.org", "port": 993})).is_ok());
        assert!(laid(before, json!({"host": "b.org", "port": 994, "token": "u"})).is_ok());
    }

    #[test]
    fn errors_say_what_to_change() {
        let error = |given| merge(Fields::default(), given).unwrap_err().to_string();
        assert_eq!(
            error(json!({"tokn": "t"})),
            "the field \"tokn\" does not exist for \"test\"; its fields are: token, users, secs, loud, server, mood, days, owners, names"
        );
        assert_eq!(error(json!({"secs": "abc"})), "the field \"secs\" must be a whole number, not this text");
        for secs in [json!(61), json!("61")] {
            assert_eq!(error(json!({ "secs": secs })), "the field \"secs\" can be at most 60");
        }
        assert_eq!(error(json!({"loud": {}})), "the field \"loud\" must be true or false, not an object");
        for mood in [json!("sad"), json!(1), json!(["calm"])] {
            assert_eq!(error(json!({"mood": mood})), "the field \"mood\" must be one of: calm, wild");
        }
        assert_eq!(
            error(json!({"owners": "42, @ada"})),
            "the field \"owners\" takes the platform's ids, not the name \"@ada\": another person may have it tomorrow"
        );
        let ids = merge(Fields::default(), json!({"owners": [42, "@ada:example.org"]})).unwrap();
        assert_eq!(ids.config["owners"], json!(["42", "@ada:example.org"]));
        let calm = merge(Fields::default(), json!({"mood": " calm "})).unwrap();
        assert_eq!(calm.config["mood"], "calm");
        for days in [json!("mon, wed"), json!(["tue", "MON"]), json!([1])] {
            assert_eq!(error(json!({"days": days})), "the field \"days\" may list only: mon, tue");
        }
        assert_eq!(
            error(json!({"days": 1})),
            "the field \"days\" must be a list, or a text with commas, not a number of another kind"
        );
        let both = merge(Fields::default(), json!({"days": " tue,mon, "})).unwrap();
        assert_eq!(both.config["days"], json!(["tue", "mon"]));
        let missing = Fields::default().complete("test", FIELDS).unwrap_err().to_string();
        assert_eq!(missing, "the field \"token\" is required for \"test\": the token.");
    }
}

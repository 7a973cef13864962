//! Ids that clients send as text or as numbers.

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::openapi::{OneOfBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A text or a whole number: platforms' ids are numbers in some clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Ident(pub String);

impl<'de> Deserialize<'de> for Ident {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Form;

        impl Visitor<'_> for Form {
            type Value = Ident;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or a whole number")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Ident, E> {
                Ok(Ident(text.to_owned()))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Ident, E> {
                Ok(Ident(number.to_string()))
            }

            fn visit_i64<E: Error>(self, number: i64) -> Result<Ident, E> {
                Ok(Ident(number.to_string()))
            }
        }

        deserializer.deserialize_any(Form)
    }
}

impl PartialSchema for Ident {
    fn schema() -> RefOr<Schema> {
        Schema::OneOf(OneOfBuilder::new().item(String::schema()).item(i64::schema()).build()).into()
    }
}

impl ToSchema for Ident {}

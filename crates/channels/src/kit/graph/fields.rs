//! The fields that channels of all three platforms have.

use super::CLOUD;
use crate::{Field, FieldKind};

/// What Meta proves itself with when it asks whether the address is ours.
pub const VERIFY_TOKEN: Field = Field::new(
    "verify_token",
    "Verify token",
    FieldKind::Secret,
    "a text that you choose and give to the App Dashboard, too; Meta shows by it that it asks for your app.",
)
.required();

/// What Meta signs with.
pub const APP_SECRET: Field = Field::new(
    "app_secret",
    "App secret",
    FieldKind::Secret,
    "the app's secret, with which Meta signs what it posts.",
)
.required();

/// The token of a Page or of an account. Its key is the same for both platforms that have conversations of one person with an account.
pub const PAGE_TOKEN: &str = "page_token_env";

/// The server that is called with the token in this field.
pub const fn api_url(token: &'static [&'static str]) -> Field {
    Field::new(
        "api_url",
        "Graph API",
        FieldKind::Url,
        "another server, or another version, in place of https://graph.facebook.com/v25.0.",
    )
    .advanced()
    .receives(token)
    .like(CLOUD)
}

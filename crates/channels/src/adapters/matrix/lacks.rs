//! What the channel does not carry, and why.

use crate::{Feature, Lack};

/// What a message may be.
const MESSAGES: &str = "https://spec.matrix.org/latest/client-server-api/#mroommessage-msgtypes";

/// Why each of it is missing.
pub(super) const LACKS: &[Lack] = &[
    Lack::cant(&[Feature::Albums], "the specification has no messages with several attachments", MESSAGES),
    Lack::cant(&[Feature::DataButtons, Feature::UrlButtons], "the specification has no buttons", MESSAGES),
    Lack::cant(
        &[Feature::Commands],
        "the specification has no commands of bots; there is a proposal",
        "https://github.com/matrix-org/matrix-spec-proposals/pull/4332",
    ),
];

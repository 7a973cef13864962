//! What the channel does not carry, and why.

use crate::{Feature, Lack};

/// Why each of it is missing.
pub(super) const LACKS: &[Lack] = &[
    Lack::cant(
        &[Feature::DataButtons, Feature::UrlButtons, Feature::Polls, Feature::Location],
        "mails have no such things that every program shows; addresses are links in the text",
        "https://www.rfc-editor.org/rfc/rfc5322",
    ),
    Lack::cant(
        &[Feature::Edit, Feature::Delete],
        "what was sent lies in other people's mailboxes",
        "https://www.rfc-editor.org/rfc/rfc5322",
    ),
    Lack::cant(&[Feature::Typing], "mail has no such sign", "https://www.rfc-editor.org/rfc/rfc5322"),
    Lack::cant(
        &[Feature::Edits, Feature::Deletions],
        "a mail that arrived stays as it is",
        "https://www.rfc-editor.org/rfc/rfc5322",
    ),
    Lack::cant(&[Feature::Commands], "mail has no such thing", "https://www.rfc-editor.org/rfc/rfc5322"),
];

//! Cells of the table that said something else than what is so.

use serde_json::json;

use crate::exam::secrets::Notes;
use crate::exam::{Requirement, sit};

#[tokio::test]
async fn cells_say_what_is_so() {
    use Requirement as R;
    let cells = [
        // Who comes to the gateway is told there.
        ("webchat", R::Commands, "met"),
        ("line", R::Edits, "met"),
        // Both roads are tried: what one does not have, the other has.
        ("telegram", R::Replayed, "met"),
        ("telegram", R::Commands, "met"),
        ("whatsapp", R::Commands, "met"),
        ("messenger", R::Commands, "met"),
        ("instagram", R::Commands, "met"),
        ("slack", R::Forged, "met"),
        ("slack", R::RevokedToken, "met"),
        ("slack", R::Commands, "platform_cant"),
        ("google_chat", R::Mention, "met"),
        ("google_chat", R::Edits, "met"),
        // One of the two logins has the token in an address.
        ("instagram", R::SecretFreeAddresses, "platform_cant"),
        ("instagram", R::Edits, "platform_cant"),
        ("messenger", R::SecretFreeAddresses, "met"),
        // A mail that came back is told.
        ("email", R::Receipts, "met"),
        ("teams", R::Receipts, "met"),
    ];
    for (name, requirement, expected) in cells {
        let entry = crate::registry::find(name).unwrap();
        let found = sit(entry, requirement, &Notes::default()).await;
        assert_eq!(json!(found)["outcome"], expected, "{name} {}: {found:?}", requirement.name());
    }
}

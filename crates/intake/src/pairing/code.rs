//! Codes: made, and read as people type them.

use claw_runtime::Ids;

/// Letters and digits without those that are mistaken for one another (0 and O, 1 and I).
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";
/// Characters of a request's code: 40 bits. Only an owner or the API can try one.
const REQUEST: usize = 8;
/// Characters of an invitation's code: 80 bits, because any stranger may try one.
const INVITATION: usize = 16;

/// A new code for a request.
pub(super) fn of_request(ids: &Ids) -> String {
    ids.code(ALPHABET, REQUEST)
}

/// A new code for an invitation.
pub(super) fn of_invitation(ids: &Ids) -> String {
    ids.code(ALPHABET, INVITATION)
}

/// A code as it is kept, of what somebody typed: in any case, with or without spaces and hyphens. `None` when it can't be one.
pub(super) fn read(typed: &str) -> Option<String> {
    let marks = typed.chars().filter(|c| !matches!(c, ' ' | '-')).map(|c| c.to_ascii_uppercase());
    let code: String = marks.take(INVITATION + 1).collect();
    let known = code.bytes().all(|byte| ALPHABET.contains(&byte));
    (known && matches!(code.len(), REQUEST | INVITATION)).then_some(code)
}

/// The invitation that a text is: its code alone, or behind `/start` as a link to a bot sends it.
pub(super) fn invitation(text: &str) -> Option<String> {
    let text = text.trim();
    let typed = text.strip_prefix("/start ").unwrap_or(text);
    read(typed).filter(|code| code.len() == INVITATION)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use claw_runtime::{SeededRandom, SystemClock};

    use super::*;

    #[test]
    fn codes_are_read_as_people_type_them() {
        assert_eq!(read("abcd-2345").as_deref(), Some("ABCD2345"));
        assert_eq!(read(" ABCD 2345 ").as_deref(), Some("ABCD2345"));
        for wrong in
            ["", "ABCD234", "ABCD23456", "ABCD2340", "ABCDÄ234", "ABCD\u{0}345", &"A".repeat(100_000)]
        {
            assert_eq!(read(wrong), None, "{}", wrong.len());
        }
    }

    #[test]
    fn only_an_invitation_is_one() {
        assert_eq!(invitation("/start ABCDEFGH23456789").as_deref(), Some("ABCDEFGH23456789"));
        assert_eq!(invitation("abcd-efgh-2345-6789\n").as_deref(), Some("ABCDEFGH23456789"));
        for other in ["ABCD2345", "/start ABCD2345", "/start", "/start now please", "hello"] {
            assert_eq!(invitation(other), None, "{other}");
        }
    }

    #[test]
    fn new_codes_are_read_back_and_differ() {
        let ids = Ids::new(Arc::new(SystemClock), Arc::new(SeededRandom::new(1)));
        let codes: Vec<String> = (0..100).map(|_| of_request(&ids)).collect();
        assert!(codes.iter().all(|code| read(code).as_ref() == Some(code)));
        assert_eq!(codes.iter().collect::<std::collections::HashSet<_>>().len(), 100);
        let invited = of_invitation(&ids);
        assert_eq!(invitation(&invited), Some(invited));
    }
}

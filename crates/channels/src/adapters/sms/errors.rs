//! Why a message did not arrive, by Twilio's number of the reason, in words for who sent it.

/// What a number says (each has its page, such as <https://www.twilio.com/docs/api/errors/30003>); `None` for one that is rare.
pub(super) fn meaning(code: &str) -> Option<&'static str> {
    Some(match code {
        "30001" => "more is queued for the number than Twilio sends in time",
        "30002" => "Twilio suspended the account before the message was sent",
        "30003" => {
            "the phone is switched off, without reception, or takes no text messages; it may work later"
        }
        "30004" => "the number is blocked from getting it",
        "30005" => "nobody has this number (any more)",
        "30006" => "the number is a landline, or its carrier can't be reached from this number",
        "30007" => "Twilio or the carrier took it for spam, or for something that its rules forbid",
        "30008" => "the carrier does not say why; it may work later",
        "30010" => "it costs more than the account allows for a message",
        "30036" => "it waited for longer than the account allows",
        _ => return None,
    })
}

/// The sentence.
pub(super) fn undelivered(code: Option<&str>) -> String {
    let Some(code) = code else { return "it did not arrive; Twilio does not say why".to_owned() };
    let words = meaning(code).map(|words| format!(": {words}")).unwrap_or_default();
    format!("it did not arrive{words} (Twilio's error {code}, https://www.twilio.com/docs/api/errors/{code})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_told_in_words_and_with_its_page() {
        let known = "it did not arrive: nobody has this number (any more) (Twilio's error 30005, \
                     https://www.twilio.com/docs/api/errors/30005)";
        assert_eq!(undelivered(Some("30005")), known);
        let rare = "it did not arrive (Twilio's error 30450, https://www.twilio.com/docs/api/errors/30450)";
        assert_eq!(undelivered(Some("30450")), rare);
        assert_eq!(undelivered(None), "it did not arrive; Twilio does not say why");
    }
}

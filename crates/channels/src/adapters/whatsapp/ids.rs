//! Ids of buttons and rows. What a button sends back is its id, as long as it can be one.
//!
//! WhatsApp wants an id that no other button of the message has, and that neither begins nor ends with a space
//! (<https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/interactive-reply-buttons-messages>, `ActionObject`
//! of Meta's description). Two buttons may send back the same all the same: then the data stands in the id in signs, with a number, and
//! so does data that looks as if it did already. With 64 bytes it stays below the 200 characters of a row's id.

/// An id for each button's data, in order.
pub(super) fn distinct(all: &[&str]) -> Vec<String> {
    let id = |(place, data): (usize, &&str)| {
        let is_new = !all[..place].contains(data);
        let is_plain = data.trim() == *data && !data.is_empty() && self::data(data) == *data;
        if is_new && is_plain { (*data).to_owned() } else { format!("~{place}:{data}~") }
    };
    all.iter().enumerate().map(id).collect()
}

/// The data in an id.
pub(super) fn data(id: &str) -> &str {
    let signed = || {
        let (number, data) = id.strip_prefix('~')?.strip_suffix('~')?.split_once(':')?;
        let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
        is_number.then_some(data)
    };
    signed().unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_ids_are_alike_and_each_has_its_data() {
        let all = ["y", "n", "y", " y", "y ", "~2:y~", "~", "a:b", "", "y", "~x:y~"];
        let ids = distinct(&all);
        assert_eq!(
            ids,
            ["y", "n", "~2:y~", "~3: y~", "~4:y ~", "~5:~2:y~~", "~", "a:b", "~8:~", "~9:y~", "~x:y~"]
        );
        assert_eq!(ids.iter().map(|id| data(id)).collect::<Vec<_>>(), all);
        assert!(ids.iter().all(|id| id.trim() == id));
    }
}

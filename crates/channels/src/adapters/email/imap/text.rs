//! What stands in commands and answers of IMAP, line by line. Pure.

use crate::ChannelError;

/// Reads what a server may say, for fuzzing.
pub(in super::super) fn fuzz(data: &[u8]) {
    let line = String::from_utf8_lossy(data);
    drop((
        literal_length(&line),
        fetched(&line),
        number_behind(&line, "[UIDNEXT "),
        tells(&line),
        utf7(&line),
        marked_folder(&line, "\\SENT"),
    ));
}

pub(super) fn starts(text: &str, prefix: &str) -> bool {
    strip(text, prefix).is_some()
}

pub(super) fn strip<'t>(text: &'t str, prefix: &str) -> Option<&'t str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

pub(super) fn literal_length(line: &str) -> Option<usize> {
    let (_, length) = line.strip_suffix('}')?.rsplit_once('{')?;
    length.parse().ok()
}

/// The number right behind a word.
pub(super) fn number_behind(line: &str, word: &str) -> Option<u32> {
    let rest = &line[line.find(word)? + word.len()..];
    let digits = rest.find(|c: char| !c.is_ascii_digit()).map_or(rest, |end| &rest[..end]);
    digits.parse().ok()
}

/// Id and size in a line like `* 3 FETCH (UID 17 RFC822.SIZE 4711)`.
pub(super) fn fetched(line: &str) -> Option<(u32, u32)> {
    let line = line.to_ascii_uppercase();
    if !line.contains(" FETCH (") {
        return None;
    }
    Some((number_behind(&line, "UID ")?, number_behind(&line, "RFC822.SIZE ")?))
}

/// Whether it tells that there is another number of mails now, as `* 23 EXISTS` does.
pub(super) fn tells(line: &str) -> bool {
    let mut words = line.split(' ');
    let number = words.next() == Some("*") && words.next().is_some_and(|word| word.parse::<u32>().is_ok());
    number && words.next().is_some_and(|word| word.eq_ignore_ascii_case("EXISTS"))
}

/// A text as a quoted string (RFC 9051, section 4.3).
pub(super) fn quoted(text: &str) -> Result<String, ChannelError> {
    if text.contains(['\r', '\n', '\0']) {
        return Err(ChannelError::Config("user name, password and folders have no line breaks".to_owned()));
    }
    Ok(format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")))
}

/// The folder in a line like `* LIST (\HasNoChildren \Sent) "/" "Sent Items"`, as it goes over the wire, if it has this attribute (in
/// capitals). One whose name is not in its line, because it is a literal, is none.
pub(super) fn marked_folder(line: &str, attribute: &str) -> Option<String> {
    let rest = strip(line, "* LIST (").or_else(|| strip(line, "* XLIST ("))?;
    let (attributes, rest) = rest.split_once(") ")?;
    let is_marked = attributes.to_ascii_uppercase().split(' ').any(|known| known == attribute);
    // Between them stands what parts folders, in quotes or NIL; in quotes, it may be a quote or a backslash behind another one.
    let behind = rest.strip_prefix('"').map_or(rest, |rest| {
        let rest = rest.strip_prefix('\\').unwrap_or(rest);
        rest.get(1..).unwrap_or_default()
    });
    let (_, name) = behind.split_once(' ')?;
    let name = match name.strip_prefix('"').and_then(|name| name.strip_suffix('"')) {
        Some(quoted) => unescaped(quoted),
        None => name.to_owned(),
    };
    (is_marked && !name.is_empty() && !name.ends_with('}')).then_some(name)
}

/// A quoted string's text.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        out.extend(if c == '\\' { characters.next() } else { Some(c) });
    }
    out
}

/// A folder's name as servers take it (RFC 3501, section 5.1.3): other letters than those of ASCII as Base64 of UTF-16.
pub(in super::super) fn utf7(name: &str) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";
    let is_plain = |c: char| matches!(c, ' '..='~');
    let mut out = String::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c: char| is_plain(c) != is_plain(first)).unwrap_or(rest.len());
        let (run, behind) = rest.split_at(end);
        rest = behind;
        if is_plain(first) {
            out.push_str(&run.replace('&', "&-"));
            continue;
        }
        out.push('&');
        let bits: Vec<u8> = run.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for three in bits.chunks(3) {
            let value = three.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte))
                << (8 * (3 - three.len()));
            for digit in 0..=three.len() {
                let index = (value >> (18 - 6 * digit)) & 0x3f;
                out.push(char::from(DIGITS[index as usize]));
            }
        }
        out.push('-');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_folders_are_those_of_the_standard() {
        // The examples of RFC 3501, section 5.1.3.
        assert_eq!(utf7("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(utf7("a & b"), "a &- b");
        assert_eq!(utf7("Entwürfe"), "Entw&APw-rfe");
    }

    #[test]
    fn lines_are_read_as_they_are_meant() {
        assert_eq!(literal_length("* 1 FETCH (UID 7 BODY[]<0> {12}"), Some(12));
        assert_eq!(literal_length("* OK [UIDNEXT 4392] Predicted {next"), None);
        assert_eq!(fetched("* 3 fetch (uid 17 rfc822.size 4711)"), Some((17, 4711)));
        assert_eq!(fetched("* 3 FETCH (FLAGS (\\Seen))"), None);
        assert_eq!(
            number_behind("* OK [UIDVALIDITY 3857529045] UIDs valid", "[UIDVALIDITY "),
            Some(3_857_529_045)
        );
        assert_eq!(number_behind("* OK [UIDNEXT 99999999999999]", "[UIDNEXT "), None);
        assert!(
            tells("* 23 EXISTS") && !tells("* 5 EXPUNGE") && !tells("* OK Still here") && !tells("* EXISTS")
        );
    }

    #[test]
    fn a_marked_folder_is_found_whatever_parts_folders() {
        let sent = |line: &str| marked_folder(line, "\\SENT");
        assert_eq!(sent(r#"* LIST (\HasNoChildren \Sent) "/" "Sent Items""#).as_deref(), Some("Sent Items"));
        assert_eq!(sent(r"* list (\sent) NIL Sent").as_deref(), Some("Sent"));
        assert_eq!(sent(r#"* LIST (\Sent) "\\" "a\"b\\c""#).as_deref(), Some(r#"a"b\c"#));
        assert_eq!(sent(r#"* XLIST (\Sent) "." INBOX.Sent"#).as_deref(), Some("INBOX.Sent"));
        for none in [
            r#"* LIST (\HasNoChildren) "/" "Sent""#,
            r#"* LIST (\SentX) "/" x"#,
            r#"* LIST (\Sent) "/" {4}Sent{4}"#,
            r#"* LIST (\Sent) ""#,
            "* LIST (\\Sent)",
        ] {
            assert_eq!(sent(none), None, "{none}");
        }
    }

    #[test]
    fn what_stands_in_quotes_ends_no_command() {
        assert_eq!(quoted(r#"a"b\c"#).unwrap(), r#""a\"b\\c""#);
        assert!(matches!(quoted("a\r\nc2 DELETE INBOX"), Err(ChannelError::Config(_))));
    }
}

//! The name of a file that comes from elsewhere: from `Content-Disposition` (RFC 6266) or from a URL, cleaned.

use percent_encoding::percent_decode_str;
use url::Url;

/// Characters of a name at most; file systems and platforms take at least this.
const LONGEST: usize = 150;
/// A longer end after the last dot is no extension.
const LONGEST_EXTENSION: usize = 16;

/// The name in a `Content-Disposition`; `filename*` goes before `filename`, because only it can name every language.
pub fn of_disposition(header: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(header).map_or_else(|_| latin1(header), str::to_owned);
    let (mut plain, mut extended) = (None, None);
    let mut rest = text.split_once(';')?.1;
    while let Some((name, value, after)) = parameter(rest) {
        if name.eq_ignore_ascii_case("filename*") {
            extended = extended.or_else(|| decode_extended(&value));
        } else if name.eq_ignore_ascii_case("filename") {
            plain = plain.or(Some(value));
        }
        rest = after;
    }
    extended.as_deref().and_then(clean).or_else(|| clean(&plain?))
}

/// The last part of a URL's path.
pub fn of_url(url: &Url) -> Option<String> {
    let last = url.path_segments()?.next_back()?;
    clean(&percent_decode_str(last).decode_utf8_lossy())
}

/// A name without folders, without characters that file systems or readers trip over, and not too long.
pub fn clean(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let visible = last.chars().filter(|c| !c.is_control() && !is_directional(*c));
    let safe: String = visible.map(|c| if "<>:\"|?*".contains(c) { '_' } else { c }).collect();
    let bare = |c: char| c.is_whitespace() || c == '.';
    let short = shorten(safe.trim_matches(bare));
    let short = short.trim_matches(bare);
    (!short.is_empty()).then(|| short.to_owned())
}

/// Marks that can show `exe.pdf` for what is `fdp.exe`.
fn is_directional(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{61c}')
}

/// Cut before the extension, which tells programs what it is.
fn shorten(name: &str) -> String {
    let length = name.chars().count();
    if length <= LONGEST {
        return name.to_owned();
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if extension.chars().count() <= LONGEST_EXTENSION => (stem, extension),
        _ => return name.chars().take(LONGEST).collect(),
    };
    let room = LONGEST - 1 - extension.chars().count();
    let stem: String = stem.chars().take(room).collect();
    format!("{stem}.{extension}")
}

/// The first `name=value`, and what follows it.
fn parameter(text: &str) -> Option<(&str, String, &str)> {
    let text = text.trim_start_matches(|c: char| c == ';' || c.is_ascii_whitespace());
    let (name, rest) = text.split_once('=')?;
    let rest = rest.trim_start();
    let (value, after) = match rest.strip_prefix('"').map(quoted_string) {
        Some(found) => found,
        None => {
            rest.split_once(';').map_or_else(|| (token(rest), ""), |(value, after)| (token(value), after))
        }
    };
    Some((name.trim(), value, after))
}

fn token(text: &str) -> String {
    text.trim().to_owned()
}

/// Up to the closing quote, escapes undone.
fn quoted_string(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            _ => value.push(c),
        }
    }
    (value, "")
}

/// `UTF-8'en'na%C3%AFve.txt` (RFC 8187).
fn decode_extended(value: &str) -> Option<String> {
    let (charset, rest) = value.split_once('\'')?;
    let (_language, encoded) = rest.split_once('\'')?;
    let bytes: Vec<u8> = percent_decode_str(encoded).collect();
    match charset.to_ascii_lowercase().as_str() {
        "utf-8" => String::from_utf8(bytes).ok(),
        "iso-8859-1" => Some(latin1(&bytes)),
        _ => None,
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_of_the_header() {
        for (header, name) in [
            ("attachment; filename=report.pdf", Some("report.pdf")),
            ("attachment; filename=\"my report.pdf\"", Some("my report.pdf")),
            ("ATTACHMENT;FILENAME = \"a;b.pdf\" ; size=3", Some("a;b.pdf")),
            ("inline; filename=\"a \\\"b\\\".pdf\"", Some("a _b_.pdf")),
            ("attachment; filename=\"x.txt\"; filename*=UTF-8''na%C3%AFve.txt", Some("na\u{ef}ve.txt")),
            ("attachment; filename*=UTF-8'en'%e2%82%ac.txt; filename=x", Some("\u{20ac}.txt")),
            ("attachment; filename*=iso-8859-1''M%E4rz.txt", Some("M\u{e4}rz.txt")),
            ("attachment; filename*=UTF-8''%ff.txt; filename=plain.txt", Some("plain.txt")),
            ("attachment; filename*=KOI8-R''x.txt; filename=plain.txt", Some("plain.txt")),
            ("attachment; filename*=nonsense; filename=plain.txt", Some("plain.txt")),
            ("attachment; filename=\"unclosed.pdf", Some("unclosed.pdf")),
            ("attachment; filename=\"../../etc/passwd\"", Some("passwd")),
            ("attachment; filename*=UTF-8''..%2F..%5Cboot.ini", Some("boot.ini")),
            ("attachment; filename=\"M\u{e4}rz.pdf\"", Some("M\u{e4}rz.pdf")),
            ("attachment; filename=\"..\"", None),
            ("attachment; filename=", None),
            ("attachment; size=3", None),
            ("attachment", None),
            ("", None),
        ] {
            assert_eq!(of_disposition(header.as_bytes()).as_deref(), name, "{header}");
        }
        assert_eq!(of_disposition(b"attachment; filename=\"M\xe4rz.pdf\"").as_deref(), Some("M\u{e4}rz.pdf"));
    }

    #[test]
    fn names_of_urls() {
        for (url, name) in [
            ("https://x.example/a/b.png?c=/d.gif#e", Some("b.png")),
            ("https://x.example/na%C3%AFve%20plan.txt", Some("na\u{ef}ve plan.txt")),
            ("https://x.example/..%2f..%2fpasswd", Some("passwd")),
            ("https://x.example/folder/", None),
            ("https://x.example", None),
        ] {
            assert_eq!(of_url(&url.parse().unwrap()).as_deref(), name, "{url}");
        }
    }

    #[test]
    fn names_are_cleaned() {
        assert_eq!(clean(" .hidden. "), Some("hidden".to_owned()));
        assert_eq!(clean("invoice\u{202e}fdp.exe\0\r\n"), Some("invoicefdp.exe".to_owned()));
        assert_eq!(clean("a<b>:c?.txt"), Some("a_b__c_.txt".to_owned()));
        let long = clean(&format!("{}.jpeg", "x".repeat(500))).unwrap();
        assert!(long.len() == LONGEST && long.ends_with("x.jpeg"), "{long}");
        assert_eq!(clean(&"y".repeat(500)).unwrap().len(), LONGEST);
    }

    proptest! {
        #[test]
        fn any_header_gives_a_clean_name_or_none(header: Vec<u8>) {
            let name = of_disposition(&header);
            prop_assert!(name.is_none_or(|name| clean(&name).as_deref() == Some(&name)));
        }

        #[test]
        fn a_clean_name_stays_as_it_is(name in ".*") {
            if let Some(name) = clean(&name) {
                prop_assert!(name.chars().count() <= LONGEST && !name.contains(['/', '\\']));
                prop_assert_eq!(clean(&name), Some(name));
            }
        }

        #[test]
        fn a_quoted_name_survives(name in "[a-z][a-z0-9 ;=']{0,30}[a-z]") {
            let header = format!("attachment; filename=\"{name}\"; x=y");
            prop_assert_eq!(of_disposition(header.as_bytes()), Some(name));
        }
    }
}

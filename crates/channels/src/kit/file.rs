//! An attachment as it is uploaded: its name, and what it is.
//!
//! The caller's name for it goes before that of its server. Platforms and people's programs go by the end of a name, so one without
//! gets that of what it is, by its first bytes.

use bytes::Bytes;
use claw_types::Media;

use super::fetch::{Fetched, essence};
use super::filename;

/// What is uploaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, with an ending.
    pub name: String,
    /// What it is: by its first bytes or, where they don't tell, by its server.
    pub content_type: String,
    /// All of it.
    pub bytes: Bytes,
}

impl File {
    /// What was fetched of an attachment.
    pub fn new(media: &Media, fetched: &Fetched) -> Self {
        let found = infer::get(&fetched.bytes);
        let told = essence(&fetched.content_type).to_ascii_lowercase();
        let mut name = name(media, fetched);
        if let Some(found) = found
            && !name.contains('.')
        {
            name = format!("{name}.{}", found.extension());
        }
        let content_type = found.map_or(told, |found| found.mime_type().to_owned());
        Self { name, content_type, bytes: fetched.bytes.clone() }
    }
}

/// Its name as it is told: by the caller, else by its server, else its kind.
pub fn name(media: &Media, fetched: &Fetched) -> String {
    let given = media.filename.as_deref().and_then(filename::clean);
    given.or_else(|| fetched.filename.clone()).unwrap_or_else(|| media.kind.as_str().to_owned())
}

#[cfg(test)]
mod tests {
    use claw_types::MediaKind;

    use super::*;

    #[test]
    fn a_name_has_an_ending_and_the_first_bytes_say_what_it_is() {
        let of = |filename: Option<&str>, theirs: Option<&str>, bytes: &'static [u8]| {
            let media = Media {
                kind: MediaKind::File,
                url: "https://x.org/y".to_owned(),
                filename: filename.map(str::to_owned),
            };
            let fetched = Fetched {
                content_type: "Text/Plain; charset=utf-8".to_owned(),
                filename: theirs.map(str::to_owned),
                bytes: Bytes::from_static(bytes),
            };
            let file = File::new(&media, &fetched);
            (file.name, file.content_type)
        };
        let is = |name: &str, content_type: &str| (name.to_owned(), content_type.to_owned());
        assert_eq!(of(Some("a/b"), Some("there.x"), b"GIF89a"), is("b.gif", "image/gif"));
        assert_eq!(of(None, Some("there.x"), b"?"), is("there.x", "text/plain"));
        assert_eq!(of(None, None, b"?"), is("file", "text/plain"));
    }
}

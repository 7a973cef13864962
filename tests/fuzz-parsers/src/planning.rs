//! A text on its way to a platform: read as Markdown, put into the platform's dialect and cut.
//!
//! Its author is the backend, which quotes what strangers wrote.

use claw_channels::kit::plan::{Content, Text};
use claw_channels::{ALL, Caps, Dialect, TextUnit, plan};
use claw_types::Outbound;
use claw_types::outbound::Format;

use crate::Target;

const SEEDS: &[&str] = &[
    "**bold** _it_ ~~gone~~ `code` [site](https://x.org/?a=1&b=\"2\") <b>raw</b> &amp; \u{1f469}\u{200d}\u{1f4bb}",
    "# Title\n\n1. one\n2. two\n   - nested\n\n> quote\n> more\n\n```rust\nfn main() {}\n```\n\n| a | b |\n| - | - |\n| 1 | 2 |\n",
    "a\\*b *c* __d__ ***e*** ![img](x.png \"t\")\n\n---\n* * *\n- [ ] todo\n- [x] done\n\n[ref]: http://y.z 'q'\n[ref]",
    "~~~~\nfence\n```\ninner\n~~~~\n\ttab\n    indented\n&#x1F600; &nbsp; <https://auto.link> <a@b.c>",
];

/// So small that even a short input is cut.
const SHORT: usize = 40;

/// One for each dialect, and one for the platforms as they are.
pub(crate) fn targets() -> Vec<Target> {
    let dialects = [
        ("plain", Dialect::Plain, TextUnit::Chars),
        ("html", Dialect::Html, TextUnit::Utf16),
        ("markdown", Dialect::Markdown, TextUnit::Bytes),
        ("slack", Dialect::Slack, TextUnit::Chars),
        ("discord", Dialect::Discord, TextUnit::Utf16),
        ("whatsapp", Dialect::WhatsApp, TextUnit::Bytes),
        ("teams", Dialect::Teams, TextUnit::Utf16),
        ("google_chat", Dialect::GoogleChat, TextUnit::Chars),
    ];
    let cut = dialects.map(|(name, markdown, unit)| {
        let caps = Caps { markdown, unit, max_text: SHORT, max_caption: SHORT, ..ALL[0].caps.clone() };
        Target::new(&format!("markdown-{name}"), move |data| fits(data, &caps), SEEDS)
    });
    let platforms = |data: &[u8]| ALL.iter().for_each(|entry| fits(data, entry.caps));
    cut.into_iter().chain([Target::new("markdown-platforms", platforms, SEEDS)]).collect()
}

/// Plans the text both as Markdown and as it stands, and looks whether every part fits.
fn fits(data: &[u8], caps: &Caps) {
    let text = String::from_utf8_lossy(data);
    for format in [Format::Markdown, Format::Plain] {
        let message = Outbound {
            recipient: "1".to_owned(),
            text: Some(text.clone().into_owned()),
            format,
            ..Outbound::default()
        };
        let Ok(planned) = plan(&message, caps) else { continue };
        for piece in &planned.parts {
            if let Content::Text(text) = &piece.content {
                check(text, caps);
            }
        }
    }
}

fn check(text: &Text, caps: &Caps) {
    let counted = if caps.markdown.counts_markup() { &text.body } else { &text.plain };
    assert!(
        caps.unit.count(counted) <= caps.max_text,
        "a part is longer than {}: {counted:?}",
        caps.max_text
    );
    assert!(!text.plain.trim().is_empty(), "a part is empty");
    let fenced = !matches!(caps.markdown, Dialect::Plain | Dialect::Html | Dialect::Markdown);
    if fenced && text.formatted {
        assert!(
            text.body.matches("```").count().is_multiple_of(2),
            "a block of code is left open: {:?}",
            text.body
        );
    }
}

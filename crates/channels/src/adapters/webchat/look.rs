//! How the page looks: light or dark, and its colour.
//!
//! Must hold: a colour is six hexadecimal digits before it gets into a style sheet, whoever named it. The channel's fields say
//! how the page looks everywhere; the address may say otherwise (`?theme=dark&accent=ffd400`), for a site whose own look
//! differs, and what it says wrongly does not count.

use serde::Deserialize;

/// The texts of the field.
pub const THEMES: &[&str] = &["auto", "light", "dark"];

/// Whether the page is light or dark.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// As the visitor's system is.
    #[default]
    Auto,
    /// Always light.
    Light,
    /// Always dark.
    Dark,
}

impl Theme {
    fn named(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "light" => Some(Self::Light),
            "dark" => Some(Self::Dark),
            _ => None,
        }
    }

    /// The content of `<meta name="color-scheme">`: how the browser draws what is its own, such as scroll bars.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Auto => "light dark",
            Self::Light => "light",
            Self::Dark => "dark",
        }
    }

    /// When the style sheet of the dark look counts.
    pub fn dark_media(self) -> &'static str {
        match self {
            Self::Auto => "(prefers-color-scheme: dark)",
            Self::Light => "not all",
            Self::Dark => "all",
        }
    }
}

/// What the page's address says.
#[derive(Debug, Default, Deserialize)]
pub struct Asked {
    #[serde(default)]
    theme: String,
    #[serde(default)]
    accent: String,
}

impl Asked {
    /// The theme and the style sheet of the colour, where the channel's fields say these.
    pub fn over(&self, theme: Theme, accent: Option<&str>) -> (Theme, String) {
        let accent = Accent::parse(&self.accent).or_else(|| Accent::parse(accent?));
        (Theme::named(&self.theme).unwrap_or(theme), accent.map(Accent::css).unwrap_or_default())
    }
}

/// A colour: red, green, blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accent([u8; 3]);

impl Accent {
    /// `#rrggbb`; in an address, where `#` means something else, `rrggbb`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut rgb = [0; 3];
        hex::decode_to_slice(text.strip_prefix('#').unwrap_or(text), &mut rgb).ok()?;
        Some(Self(rgb))
    }

    /// The variables of the page that hang on it.
    fn css(self) -> String {
        let on = if self.wants_black() { 0 } else { 255 };
        // Away from the text on it, so that it can be read when the pointer is over it, too.
        let strong = Self(self.0.map(|part| toward(part, 255 - on)));
        let [accent, strong, on] = [self, strong, Self([on; 3])].map(|color| hex::encode(color.0));
        format!(":root {{ --accent: #{accent}; --accent-strong: #{strong}; --on-accent: #{on}; }}")
    }

    /// Whether black has more contrast to it than white: <https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio>.
    fn wants_black(self) -> bool {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        };
        let [red, green, blue] = self.0.map(linear);
        let luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
        (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05)
    }
}

/// A sixth of the way.
fn toward(from: u8, to: u8) -> u8 {
    let step = from.abs_diff(to) / 6;
    if from < to { from + step } else { from - step }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_colour_is_six_digits_and_nothing_else() {
        assert_eq!(Accent::parse("#4f46E5"), Some(Accent([0x4f, 0x46, 0xe5])));
        assert_eq!(Accent::parse("4f46e5"), Some(Accent([0x4f, 0x46, 0xe5])));
        for text in ["", "#", "red", "#fff", "#4f46e5;", "#4f46e5ff", "##4f46e5", "#4f46eg", "#äää"] {
            assert_eq!(Accent::parse(text), None, "{text}");
        }
    }

    #[test]
    fn the_text_on_it_can_be_read() {
        let css = |text: &str| Accent::parse(text).unwrap().css();
        assert_eq!(
            css("#4f46e5"),
            ":root { --accent: #4f46e5; --accent-strong: #423bbf; --on-accent: #ffffff; }"
        );
        assert_eq!(
            css("#ffd400"),
            ":root { --accent: #ffd400; --accent-strong: #ffdb2a; --on-accent: #000000; }"
        );
    }

    #[test]
    fn the_address_goes_before_the_fields_unless_it_is_nonsense() {
        let asked = |theme: &str, accent: &str| Asked { theme: theme.to_owned(), accent: accent.to_owned() };
        let fields = (Theme::Light, Some("#000000"));
        let (theme, css) = asked("dark", "ffffff").over(fields.0, fields.1);
        assert!(theme == Theme::Dark && css.contains("--accent: #ffffff"), "{theme:?} {css}");
        let (theme, css) = asked("pink", "}</style>").over(fields.0, fields.1);
        assert!(theme == Theme::Light && css.contains("--accent: #000000"), "{theme:?} {css}");
        assert_eq!(asked("", "").over(Theme::Auto, None), (Theme::Auto, String::new()));
    }

    #[test]
    fn every_theme_of_the_field_is_one() {
        for name in THEMES {
            let read: Theme = serde_json::from_value((*name).into()).unwrap();
            assert_eq!(Theme::named(name), Some(read));
        }
    }
}

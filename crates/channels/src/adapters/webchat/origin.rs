//! Which sites may embed the chat and open its socket.
//!
//! A browser lets any site open a WebSocket to anywhere; the `Origin` header is the server's to check (RFC 6455,
//! section 10.2). A client that sends none is no browser, and can do to nobody else what it does.

use url::Url;

/// An origin as browsers write it: lower case, without the scheme's own port. `None` for anything else, above all
/// for what could add to the policy header that origins are written into: a URL's host may hold `;` and `,`.
pub fn parse(text: &str) -> Option<String> {
    let url = Url::parse(text.trim()).ok()?;
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    let anonymous = url.username().is_empty() && url.password().is_none();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':');
    let safe = url.host_str().is_some_and(|host| !host.is_empty() && host.chars().all(plain));
    let fits = matches!(url.scheme(), "http" | "https") && bare && anonymous && safe;
    fits.then(|| url.origin().ascii_serialization())
}

/// Whether a page of `origin` may talk to the gateway that it reached as `host`.
pub fn admits(origin: Option<&str>, host: Option<&str>, allowed: &[String]) -> bool {
    let Some(origin) = origin else { return true };
    let Some(origin) = parse(origin) else { return false };
    // Read with the origin's scheme, as behind a proxy that ends TLS nothing here tells ours.
    let own = host
        .zip(origin.split_once("://"))
        .and_then(|(host, (scheme, _))| parse(&format!("{scheme}://{host}")));
    own.is_some_and(|own| own == origin) || allowed.contains(&origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_brought_to_one_form() {
        assert_eq!(parse("HTTPS://Example.ORG:443").as_deref(), Some("https://example.org"));
        assert_eq!(parse("https://example.org/").as_deref(), Some("https://example.org"));
        assert_eq!(parse("http://localhost:8080").as_deref(), Some("http://localhost:8080"));
        assert_eq!(parse("http://[::1]:8080").as_deref(), Some("http://[::1]:8080"));
        assert_eq!(parse("https://bücher.example").as_deref(), Some("https://xn--bcher-kva.example"));
        for text in [
            "",
            "null",
            "*",
            "example.org",
            "//example.org",
            "ftp://example.org",
            "https://*.example.org",
            "https://example.org/path",
            "https://example.org?",
            "https://example.org#",
            "https://me@example.org",
            "https://a.example;script-src",
            "https://a.example,b.example",
            "https://a.example 'unsafe-inline'",
            "https://a'b",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_the_own_page_and_the_allowed_ones_are_admitted() {
        let allowed = [parse("https://Shop.example").unwrap()];
        for (origin, host, expected) in [
            (None, Some("chat.example"), true),
            (Some("https://chat.example"), Some("chat.example"), true),
            (Some("https://chat.example"), Some("Chat.Example:443"), true),
            (Some("http://localhost:4200"), Some("localhost:4200"), true),
            (Some("http://localhost:4201"), Some("localhost:4200"), false),
            (Some("https://SHOP.example"), Some("chat.example"), true),
            (Some("http://shop.example"), Some("chat.example"), false),
            (Some("https://shop.example:8443"), Some("chat.example"), false),
            (Some("https://evil.example"), Some("chat.example"), false),
            (Some("https://chat.example.evil.example"), Some("chat.example"), false),
            (Some("null"), Some("null"), false),
            (Some("https://chat.example"), None, false),
            (Some("https://chat.example"), Some("chat.example/x"), false),
        ] {
            assert_eq!(admits(origin, host, &allowed), expected, "{origin:?} at {host:?}");
        }
    }
}

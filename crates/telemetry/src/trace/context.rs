//! Where in which trace something happens, and how that is written between processes: W3C's `traceparent`
//! (<https://www.w3.org/TR/trace-context/#traceparent-header>).

use super::TRACER;

/// The header, and the name under which it is carried elsewhere.
pub const HEADER: &str = "traceparent";

/// `00-<trace>-<span>-<flags>`.
const LENGTH: usize = 55;
/// The bit of the flags which says that the trace is recorded; no other is defined by level 1.
const SAMPLED: u8 = 1;

/// A place in a trace: what happens next is a child of this span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    pub(super) trace: u128,
    pub(super) span: u64,
    pub(super) sampled: bool,
}

impl Context {
    /// Where the trace of a message begins: the first span, whoever recorded or will record it. `None` when nothing is traced.
    pub fn of_message(id: u128) -> Option<Self> {
        let tracer = TRACER.get()?;
        Some(Self { trace: id, span: first_span(id), sampled: tracer.records(id) })
    }

    /// Reads the header. What is not one is none: the standard says to go on as if there were no header
    /// (<https://www.w3.org/TR/trace-context/#a-traceparent-is-received>). Of a later version, the part is read that this one knows.
    pub fn parse(text: &str) -> Option<Self> {
        let known = text.get(..LENGTH)?;
        let mut parts = known.split('-');
        let mut next = |digits: usize| parts.next().filter(|part| part.len() == digits && is_hex(part));
        let (version, trace, span, flags) = (next(2)?, next(32)?, next(16)?, next(2)?);
        let more = &text[LENGTH..];
        match version {
            "ff" => return None,
            "00" if !more.is_empty() => return None,
            _ if !more.is_empty() && !more.starts_with('-') => return None,
            _ => {}
        }
        let trace = u128::from_str_radix(trace, 16).ok().filter(|trace| *trace != 0)?;
        let span = u64::from_str_radix(span, 16).ok().filter(|span| *span != 0)?;
        let flags = u8::from_str_radix(flags, 16).ok()?;
        Some(Self { trace, span, sampled: flags & SAMPLED != 0 })
    }

    /// Writes the header.
    pub fn header(self) -> String {
        let flags = if self.sampled { SAMPLED } else { 0 };
        format!("00-{:032x}-{:016x}-{flags:02x}", self.trace, self.span)
    }

    /// Whether the trace is recorded.
    pub fn is_sampled(self) -> bool {
        self.sampled
    }

    /// Itself, if the trace is recorded.
    #[must_use]
    pub fn sampled(self) -> Option<Self> {
        self.sampled.then_some(self)
    }
}

/// The id of a trace's first span: never 0, and as random as the trace's id is.
fn first_span(trace: u128) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "both halves are used")]
    let folded = (trace >> 64) as u64 ^ trace as u64;
    folded.max(1)
}

/// Capital letters are not allowed.
fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    const SPAN: &str = "00f067aa0ba902b7";

    #[test]
    fn what_is_written_reads_back() {
        for sampled in [true, false] {
            let context = Context { trace: 0x0102 << 64, span: 7, sampled };
            assert_eq!(Context::parse(&context.header()), Some(context), "{}", context.header());
        }
    }

    #[test]
    fn the_header_is_read_as_the_standard_says() {
        let context = Context::parse(&format!("00-{TRACE}-{SPAN}-01")).unwrap();
        assert_eq!(format!("{:032x} {:016x}", context.trace, context.span), format!("{TRACE} {SPAN}"));
        assert!(context.is_sampled());
        assert!(!Context::parse(&format!("00-{TRACE}-{SPAN}-00")).unwrap().is_sampled());
        // Bits that nobody knows yet, and a version that nobody knows yet.
        assert!(!Context::parse(&format!("00-{TRACE}-{SPAN}-fe")).unwrap().is_sampled());
        assert!(Context::parse(&format!("cc-{TRACE}-{SPAN}-01-what-comes")).unwrap().is_sampled());
        assert!(Context::parse(&format!("cc-{TRACE}-{SPAN}-01")).is_some());
    }

    #[test]
    fn what_is_not_one_is_none() {
        let zeros = ["0".repeat(32), "0".repeat(16)];
        let table = [
            String::new(),
            "00".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-1"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-011"),
            format!("cc-{TRACE}-{SPAN}-01.more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{}-{SPAN}-01", zeros[0]),
            format!("00-{TRACE}-{}-01", zeros[1]),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-{SPAN}-0g"),
            format!("00_{TRACE}_{SPAN}_01"),
            format!("00-{TRACE}{SPAN}-0-01"),
            format!("00-+{}-{SPAN}-01", &TRACE[1..]),
            format!(" 00-{TRACE}-{SPAN}-01"),
            format!("00-{}ü-{SPAN}-01", &TRACE[2..]),
            "ü".repeat(40),
        ];
        for text in table {
            assert_eq!(Context::parse(&text), None, "{text:?}");
        }
    }

    #[test]
    fn a_first_span_has_an_id() {
        assert_eq!(first_span(0), 1);
        assert_ne!(first_span(u128::MAX), 0, "the halves are the same");
        assert_ne!(first_span(1 << 64), first_span(2));
    }
}

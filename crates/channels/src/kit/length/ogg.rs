//! OGG (RFC 3533): pages, each with the number of samples up to its end. The last one has them all, and in OPUS
//! (RFC 7845, section 4) some at the beginning that are not played.

use super::{Container, Measured, chunk, lasting};

/// How a page says that no packet ends on it.
const NONE: u64 = u64::MAX;
/// OPUS counts by this, whatever was recorded.
const OPUS_RATE: u32 = 48_000;

/// A page, and what is behind it.
struct Page<'b> {
    granule: u64,
    serial: u32,
    body: &'b [u8],
    behind: &'b [u8],
}

pub(super) fn read(bytes: &[u8]) -> Option<Measured> {
    let first = page(bytes)?;
    let (container, rate, skipped) = codec(first.body)?;
    let mut last = None;
    let mut next = Some(first);
    let mut serial = None;
    while let Some(Page { granule, serial: own, behind, .. }) = next {
        if *serial.get_or_insert(own) != own {
            // Several streams, beside or behind one another: which one it is about is not clear.
            return None;
        }
        if granule != NONE {
            last = Some(granule);
        }
        next = page(behind);
    }
    Some(Measured { container, length: lasting(last?.checked_sub(skipped)?, rate)? })
}

/// The first page, if it is whole.
fn page(bytes: &[u8]) -> Option<Page<'_>> {
    // With the version, of which there is one.
    if !bytes.starts_with(b"OggS\0") {
        return None;
    }
    let segments = usize::from(*bytes.get(26)?);
    let (sizes, rest) = bytes.get(27..)?.split_at_checked(segments)?;
    let size: usize = sizes.iter().map(|size| usize::from(*size)).sum();
    let (body, behind) = rest.split_at_checked(size)?;
    Some(Page {
        granule: u64::from_le_bytes(chunk(bytes, 6)?),
        serial: u32::from_le_bytes(chunk(bytes, 14)?),
        body,
        behind,
    })
}

/// What is in it, samples in a second, and how many of them are not played.
fn codec(head: &[u8]) -> Option<(Container, u32, u64)> {
    if head.starts_with(b"OpusHead") {
        return Some((Container::OggOpus, OPUS_RATE, u64::from(u16::from_le_bytes(chunk(head, 10)?))));
    }
    if head.starts_with(b"\x01vorbis") {
        return Some((Container::OggVorbis, u32::from_le_bytes(chunk(head, 12)?), 0));
    }
    None
}

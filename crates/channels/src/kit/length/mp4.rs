//! MP4 and what is built like it (ISO/IEC 14496-12): boxes with a size and a name. `mvhd`, in `moov`, says how long it all is; `moov` may
//! stand behind everything else.

use super::{Container, Measured, chunk, lasting};

pub(super) fn read(bytes: &[u8]) -> Option<Measured> {
    if chunk::<4>(bytes, 4)? != *b"ftyp" {
        return None;
    }
    let header = find(find(bytes, *b"moov")?, *b"mvhd")?;
    // Version and flags, when it was made and changed, units in a second, their number; all ones where that is not known.
    let (rate, units, unknown) = match header.first()? {
        0 => (12, u64::from(u32::from_be_bytes(chunk(header, 16)?)), u64::from(u32::MAX)),
        1 => (20, u64::from_be_bytes(chunk(header, 24)?), u64::MAX),
        _ => return None,
    };
    if units == unknown {
        return None;
    }
    let rate = u32::from_be_bytes(chunk(header, rate)?);
    Some(Measured { container: Container::Mp4, length: lasting(units, rate)? })
}

/// What is in the first box of this name, of boxes that stand one behind the other.
fn find(mut boxes: &[u8], name: [u8; 4]) -> Option<&[u8]> {
    loop {
        let (head, size) = match u32::from_be_bytes(chunk(boxes, 0)?) {
            // To the end of the file.
            0 => (8, boxes.len()),
            1 => (16, usize::try_from(u64::from_be_bytes(chunk(boxes, 8)?)).ok()?),
            size => (8, usize::try_from(size).ok()?),
        };
        if size < head {
            return None;
        }
        if chunk::<4>(boxes, 4)? == name {
            return boxes.get(head..size.min(boxes.len()));
        }
        boxes = boxes.get(size..)?;
    }
}

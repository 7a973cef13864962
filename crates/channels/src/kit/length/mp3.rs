//! MP3 (ISO/IEC 11172-3 and 13818-3, layer III, and what is called MPEG 2.5): frames, each of the same number of samples.
//!
//! The first may be none that is heard but say how many there are, as `Xing`, `Info` or `VBRI`. Without it they are counted, one by one.

use super::{Container, Measured, chunk, lasting};

/// Kilobits in a second, by their number in the header; the first stands for others, the sixteenth for none.
const BITRATES: [u32; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];
const LOW_BITRATES: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];
/// Samples in a second: of MPEG 1, half of it for 2, a quarter for 2.5.
const RATES: [u32; 3] = [44_100, 48_000, 32_000];
/// Where `VBRI` stands, and the number of frames in it.
const VBRI: usize = 36;
const VBRI_FRAMES: usize = VBRI + 14;
/// Fewer in a row may be an accident.
const LEAST: u64 = 2;

/// What the header of a frame says.
#[derive(Clone, Copy)]
struct Frame {
    /// Bytes with the header; at least as many as that has.
    size: usize,
    samples: u32,
    rate: u32,
    /// Where `Xing` or `Info` stands, if it does.
    xing: usize,
}

pub(super) fn read(bytes: &[u8]) -> Option<Measured> {
    let sound = behind_tags(bytes)?;
    let first = Frame::at(sound)?;
    let frames = told(sound, first).or_else(|| counted(sound, first))?;
    let length = lasting(frames.checked_mul(u64::from(first.samples))?, first.rate)?;
    Some(Measured { container: Container::Mp3, length })
}

/// Without tags at the beginning (<https://id3.org/id3v2.4.0-structure>) and what fills up behind them.
fn behind_tags(mut bytes: &[u8]) -> Option<&[u8]> {
    while bytes.starts_with(b"ID3") {
        let flags = *bytes.get(5)?;
        let size: [u8; 4] = chunk(bytes, 6)?;
        // Seven bits of each byte.
        let size = size.iter().fold(0_usize, |size, byte| (size << 7) | usize::from(byte & 0x7f));
        let foot = if flags & 0x10 == 0 { 0 } else { 10 };
        bytes = bytes.get(10 + size + foot..)?;
    }
    bytes.get(bytes.iter().position(|byte| *byte != 0)?..)
}

impl Frame {
    /// That which begins here; `None` where none does, or one whose size is not to be known.
    fn at(bytes: &[u8]) -> Option<Self> {
        let [sync, kind, speed, mode]: [u8; 4] = chunk(bytes, 0)?;
        // Eleven ones, and layer III.
        if sync != 0xff || kind & 0xe0 != 0xe0 || kind & 0x06 != 0x02 {
            return None;
        }
        let (is_first, part) = match kind & 0x18 {
            0x18 => (true, 1_u32),
            0x10 => (false, 2),
            0x00 => (false, 4),
            _ => return None,
        };
        let rate = RATES.get(usize::from((speed >> 2) & 3))? / part;
        let bitrates = if is_first { &BITRATES } else { &LOW_BITRATES };
        let bitrate = *bitrates.get(usize::from(speed >> 4)).filter(|bitrate| **bitrate > 0)?;
        let samples = if is_first { 1152 } else { 576 };
        let size = samples / 8 * bitrate * 1000 / rate + u32::from((speed >> 1) & 1);
        let is_mono = mode & 0xc0 == 0xc0;
        // The header, a checksum if there is one, and what is told of both channels.
        let checksum = if kind & 1 == 0 { 2 } else { 0 };
        let of_channels = match (is_first, is_mono) {
            (true, false) => 32,
            (true, true) | (false, false) => 17,
            (false, true) => 9,
        };
        Some(Self { size: usize::try_from(size).ok()?, samples, rate, xing: 4 + checksum + of_channels })
    }
}

/// The number of frames, where the first one says it.
fn told(sound: &[u8], first: Frame) -> Option<u64> {
    let is = |at: usize, names: &[[u8; 4]]| chunk::<4>(sound, at).is_some_and(|found| names.contains(&found));
    let number = |at: usize| Some(u32::from_be_bytes(chunk(sound, at)?));
    let frames = if is(first.xing, &[*b"Xing", *b"Info"]) {
        let has_frames = number(first.xing + 4)? & 1 == 1;
        has_frames.then(|| number(first.xing + 8))??
    } else if is(VBRI, &[*b"VBRI"]) {
        number(VBRI_FRAMES)?
    } else {
        return None;
    };
    (frames > 0).then(|| u64::from(frames))
}

/// The number of frames, one by one. What is behind them may be tags, but not more than what was counted: then it was an accident.
fn counted(sound: &[u8], first: Frame) -> Option<u64> {
    let mut rest = sound;
    let mut frames = 0;
    while let Some(frame) = Frame::at(rest)
        && (frame.samples, frame.rate) == (first.samples, first.rate)
        && let Some(behind) = rest.get(frame.size..)
    {
        rest = behind;
        frames += 1;
    }
    (frames >= LEAST && rest.len() <= sound.len() / 2).then_some(frames)
}

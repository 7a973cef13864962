//! How long a sound or a film is, read from its bytes, for platforms that want to be told and do not look for themselves.
//!
//! Our own, because a decoder is much code for one number: each container says it in a few places, and these are read here. Nothing is
//! decoded.
//!
//! Must hold: no bytes make it panic, or take more than one pass over them for each container; a length that is not told is none,
//! and nothing is guessed from the size alone.

mod mp3;
mod mp4;
mod ogg;
#[cfg(test)]
mod tests;
mod wav;

/// Small sounds that the exam and tests send.
pub(crate) mod samples;

use std::time::Duration;

/// What says that it is longer than a day is not believed.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// What the sound is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// MP4 or M4A.
    Mp4,
    /// MPEG audio, layer III.
    Mp3,
    /// OGG with OPUS.
    OggOpus,
    /// OGG with Vorbis.
    OggVorbis,
    /// WAV.
    Wav,
}

/// What was read of a sound or a film.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Measured {
    /// What it is in.
    pub container: Container,
    /// How long it is: more than nothing, a day at most.
    pub length: Duration,
}

/// Reads it from the whole file; `None` where it does not say.
pub fn of(bytes: &[u8]) -> Option<Measured> {
    // The one with the weakest mark at its beginning comes last.
    let found = mp4::read(bytes).or_else(|| ogg::read(bytes)).or_else(|| wav::read(bytes));
    let found = found.or_else(|| mp3::read(bytes))?;
    (!found.length.is_zero() && found.length <= LONGEST).then_some(found)
}

/// So many units, of which there are `rate` in a second.
fn lasting(units: u64, rate: u32) -> Option<Duration> {
    let rate = u64::from(rate);
    let nanos = units.checked_rem(rate)?.checked_mul(1_000_000_000)? / rate;
    Some(Duration::new(units / rate, u32::try_from(nanos).ok()?))
}

/// The bytes from there on, as many as are wanted.
fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

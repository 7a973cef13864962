//! Sounds of which everything is known: as small as they can be, and silent.

/// An MP3 of four frames, each of 1,152 samples at 44,100 Hz (MPEG 1, layer III, 128 kbit/s).
pub(crate) static SOUND: [u8; 4 * FRAME] = sound();
const FRAME: usize = 417;

/// A second of OPUS in OGG, as voice notes are: what it is, comments, one packet of silence.
pub(crate) static SPOKEN: &[u8] = b"OggS\0\x02\0\0\0\0\0\0\0\0\x07\0\0\0\0\0\0\0\0\0\0\0\x01\x13\
    OpusHead\x01\x01\x38\x01\x80\xbb\0\0\0\0\0\
    OggS\0\0\0\0\0\0\0\0\0\0\x07\0\0\0\x01\0\0\0\0\0\0\0\x01\x10OpusTags\0\0\0\0\0\0\0\0\
    OggS\0\x04\xb8\xbc\0\0\0\0\0\0\x07\0\0\0\x02\0\0\0\0\0\0\0\x01\x03\xf8\xff\xfe";

const fn sound() -> [u8; 4 * FRAME] {
    let mut bytes = [0; 4 * FRAME];
    let mut at = 0;
    while at < bytes.len() {
        bytes[at] = 0xff;
        bytes[at + 1] = 0xfb;
        bytes[at + 2] = 0x90;
        at += FRAME;
    }
    bytes
}

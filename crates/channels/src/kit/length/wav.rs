//! WAV: chunks with a name and a size. `fmt ` says how many bytes a second has, `data` has the sound.

use super::{Container, Measured, chunk, lasting};

pub(super) fn read(bytes: &[u8]) -> Option<Measured> {
    if chunk::<4>(bytes, 0)? != *b"RIFF" || chunk::<4>(bytes, 8)? != *b"WAVE" {
        return None;
    }
    let mut chunks = bytes.get(12..)?;
    let mut rate = None;
    loop {
        let name: [u8; 4] = chunk(chunks, 0)?;
        let size = usize::try_from(u32::from_le_bytes(chunk(chunks, 4)?)).ok()?;
        let content = chunks.get(8..)?;
        match &name {
            b"fmt " => rate = Some(u32::from_le_bytes(chunk(content, 8)?)),
            b"data" => {
                // Who records does not know the size beforehand, and may leave it at nothing or at the most.
                let sound = if size == 0 { content.len() } else { size.min(content.len()) };
                let length = lasting(u64::try_from(sound).ok()?, rate?)?;
                return Some(Measured { container: Container::Wav, length });
            }
            _ => {}
        }
        // Each begins at an even place.
        chunks = content.get(size.checked_add(size & 1)?..)?;
    }
}

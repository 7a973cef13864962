//! Doors for fuzzing: what reads a backend's bytes, without a backend. The targets of `make fuzz-parsers` are their only callers.

use bytes::Bytes;

use crate::deliver::answer;
use crate::deliver::stream::{Folded, Reader};

/// An answer that comes as a stream; the first byte says in pieces of how many bytes.
///
/// # Panics
/// When it makes a difference how it is cut.
pub fn stream(bytes: &[u8]) {
    let Some((size, bytes)) = bytes.split_first() else { return };
    let cut = folded(bytes.chunks(usize::from(*size).max(1)));
    assert_eq!(cut, folded(std::iter::once(bytes)), "it makes a difference how it is cut");
}

fn folded<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Option<(Vec<String>, Vec<String>)> {
    let (mut reader, mut folded) = (Reader::new(), Folded::default());
    for chunk in chunks {
        reader.read(Bytes::copy_from_slice(chunk), &mut folded);
    }
    reader.end(&mut folded);
    let (replies, trouble) = folded.finish().ok()?;
    Some((replies.iter().map(|reply| reply.get().to_owned()).collect(), trouble))
}

/// An answer in one piece, and each message in it.
pub fn answer(bytes: &[u8]) {
    answer::fuzz(bytes);
}

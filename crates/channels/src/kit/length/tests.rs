use proptest::prelude::*;

use super::samples::{SOUND, SPOKEN};
use super::*;

/// Container and milliseconds.
fn told(bytes: &[u8]) -> Option<(Container, u128)> {
    of(bytes).map(|found| (found.container, found.length.as_millis()))
}

/// A box of MP4.
fn boxed(name: [u8; 4], content: &[u8]) -> Vec<u8> {
    let size = u32::try_from(content.len() + 8).unwrap();
    [&size.to_be_bytes()[..], &name, content].concat()
}

/// An MP4 with this header, which stands behind the sound.
fn mp4(header: &[u8]) -> Vec<u8> {
    let moov = boxed(*b"moov", &[boxed(*b"free", b"x"), boxed(*b"mvhd", header)].concat());
    [boxed(*b"ftyp", b"M4A \0\0\0\0"), boxed(*b"mdat", &[7; 5000]), moov].concat()
}

/// `mvhd` of the versions 0 and 1.
fn short(rate: u32, units: u32) -> Vec<u8> {
    [&[0; 12][..], &rate.to_be_bytes(), &units.to_be_bytes(), &[0; 80]].concat()
}

fn long(rate: u32, units: u64) -> Vec<u8> {
    [&[1][..], &[0; 19], &rate.to_be_bytes(), &units.to_be_bytes(), &[0; 80]].concat()
}

/// A page of OGG.
fn page(serial: u8, granule: u64, body: &[u8]) -> Vec<u8> {
    let size = u8::try_from(body.len()).unwrap();
    [&b"OggS\0\0"[..], &granule.to_le_bytes(), &[serial, 0, 0, 0], &[0; 8], &[1, size], body].concat()
}

/// A WAV of 8,000 bytes a second, whose data says to be so large.
fn wav(size: u32, sound: &[u8]) -> Vec<u8> {
    let format =
        [&[1, 0, 1, 0][..], &8000_u32.to_le_bytes(), &8000_u32.to_le_bytes(), &[1, 0, 8, 0]].concat();
    let odd = [&b"LIST"[..], &3_u32.to_le_bytes(), b"abc\0"].concat();
    [&b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0"[..], &format, &odd, b"data", &size.to_le_bytes(), sound].concat()
}

/// The first frame of the sample with something in it.
fn headed(at: usize, what: &[u8]) -> Vec<u8> {
    let mut sound = SOUND.to_vec();
    sound[at..at + what.len()].copy_from_slice(what);
    sound
}

#[test]
fn mp4_says_it_in_its_header_wherever_that_stands() {
    let is = |length| Some((Container::Mp4, length));
    assert_eq!(told(&mp4(&short(1000, 2500))), is(2500));
    assert_eq!(told(&mp4(&short(44_100, 66_150))), is(1500));
    assert_eq!(told(&mp4(&long(90_000, 9_000_000))), is(100_000));
    // The size of `mdat` in eight bytes, and `moov` up to the end.
    let large = [&1_u32.to_be_bytes()[..], b"mdat", &20_u64.to_be_bytes(), b"1234"].concat();
    let mut moov = boxed(*b"moov", &boxed(*b"mvhd", &short(1000, 3000)));
    moov[..4].fill(0);
    assert_eq!(told(&[boxed(*b"ftyp", b"isom"), large, moov].concat()), is(3000));
}

#[test]
fn an_mp4_that_does_not_say_it_has_none() {
    for header in
        [short(0, 5), short(1000, 0), short(1000, u32::MAX), long(1, u64::MAX), long(1, 86_401), vec![2; 100]]
    {
        assert_eq!(told(&mp4(&header)), None, "{header:?}");
    }
    let whole = mp4(&short(1000, 2500));
    assert_eq!(told(&whole[..5020]), None, "its end is missing");
    // Boxes that say to be smaller than what says so, or larger than all there is.
    for size in [2_u32, 7, u32::MAX] {
        let odd = [&size.to_be_bytes()[..], b"mdat"].concat();
        assert_eq!(told(&[boxed(*b"ftyp", b"isom"), odd, whole.clone()].concat()), None, "{size}");
    }
    let nothing = [&1_u32.to_be_bytes()[..], b"mdat", &[0; 8]].concat();
    assert_eq!(told(&[boxed(*b"ftyp", b"isom"), nothing, whole].concat()), None);
}

#[test]
fn ogg_says_it_on_its_last_page() {
    assert_eq!(told(SPOKEN), Some((Container::OggOpus, 1000)));
    let opus = b"OpusHead\x01\x02\0\0\x80\xbb\0\0\0\0\0";
    let more =
        [page(3, 0, opus), page(3, 96_000, b"a"), page(3, u64::MAX, b"b"), b"behind".to_vec()].concat();
    assert_eq!(told(&more), Some((Container::OggOpus, 2000)), "no packet ends on the last page");
    let vorbis = b"\x01vorbis\0\0\0\0\x02\x44\xac\0\0\0\0\0\0";
    let music = [page(3, 0, vorbis), page(3, 66_150, b"a")].concat();
    assert_eq!(told(&music), Some((Container::OggVorbis, 1500)));
}

#[test]
fn an_ogg_that_does_not_say_it_has_none() {
    let opus = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";
    let first = page(3, 0, opus);
    for pages in [
        first.clone(),
        [first.clone(), page(3, 311, b"a")].concat(),
        [first.clone(), page(3, 312, b"a")].concat(),
        [first.clone(), page(3, u64::MAX - 1, b"a")].concat(),
        [first.clone(), page(4, 48_000, b"another")].concat(),
        [page(3, 0, b"Speex   "), page(3, 48_000, b"a")].concat(),
        first[..40].to_vec(),
    ] {
        assert_eq!(told(&pages), None, "{}", String::from_utf8_lossy(&pages));
    }
}

#[test]
fn wav_has_so_many_bytes_a_second() {
    let is = |length| Some((Container::Wav, length));
    let sound = [0; 4000];
    assert_eq!(told(&wav(4000, &sound)), is(500));
    for unknown in [0, u32::MAX] {
        assert_eq!(told(&wav(unknown, &sound)), is(500), "{unknown}");
    }
    assert_eq!(told(&wav(2000, &sound)), is(250));
    assert_eq!(told(&wav(4000, &[])), None);
    assert_eq!(told(b"RIFF\0\0\0\0WAVEdata\x01\0\0\0x"), None, "no format");
    assert_eq!(told(&wav(4000, &sound)[..30]), None);
}

#[test]
fn frames_of_mp3_are_counted_where_the_first_does_not_say_how_many_there_are() {
    let is = |length| Some((Container::Mp3, length));
    // 4 × 1,152 samples at 44,100 Hz.
    assert_eq!(told(&SOUND), is(104));
    let tagged = [&b"ID3\x04\0\x10\0\0\x01\0"[..], &[7; 138], &[0; 9], &SOUND, b"TAG", &[1; 125]].concat();
    assert_eq!(told(&tagged), is(104), "between tags");
    assert_eq!(told(&SOUND[..1300]), is(78), "the last one is cut off");
    // MPEG 2 at 22,050 Hz, of 64 kbit/s: 208 bytes with 576 samples.
    let mut low = [0; 208 * 10];
    for frame in low.chunks_mut(208) {
        frame[..3].copy_from_slice(b"\xff\xf3\x80");
    }
    assert_eq!(told(&low), is(261));
}

#[test]
fn the_first_frame_of_an_mp3_may_say_how_many_there_are() {
    let is = |length| Some((Container::Mp3, length));
    for name in [b"Xing", b"Info"] {
        let count = [&name[..], b"\0\0\0\x01", &1000_u32.to_be_bytes()].concat();
        assert_eq!(told(&headed(36, &count)), is(26_122));
        let silent = [&name[..], b"\0\0\0\x02", &1000_u32.to_be_bytes()].concat();
        assert_eq!(told(&headed(36, &silent)), is(104), "it tells something else");
    }
    let count = [&b"VBRI"[..], &[0; 10], &2000_u32.to_be_bytes()].concat();
    assert_eq!(told(&headed(36, &count)), is(52_244));
    let days = [&b"Xing"[..], b"\0\0\0\x01", &u32::MAX.to_be_bytes()].concat();
    assert_eq!(told(&headed(36, &days)), None, "longer than a day");
}

#[test]
fn what_is_no_sound_has_no_length() {
    let one = &SOUND[..417];
    let free = [&b"\xff\xfb\0\0"[..], &[0; 500]].concat();
    let accident = [&SOUND[..834], &[b'x'; 2000]].concat();
    for bytes in
        [&b""[..], b"ID3", b"ID3\x04\0\0\x7f\x7f\x7f\x7f", b"\0\0\0", b"%PDF-1.4", one, &free, &accident]
    {
        assert_eq!(told(bytes), None, "{:?}", &bytes[..bytes.len().min(20)]);
    }
}

/// What may be done to a file on its way.
fn spoiled(whole: &[u8], marks: &[(usize, u8)], cut: usize) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for (at, byte) in marks {
        let at = at % bytes.len();
        bytes[at] = *byte;
    }
    bytes.truncate(bytes.len() - cut % bytes.len());
    bytes
}

proptest! {
    #[test]
    fn no_bytes_do_harm(
        given in proptest::collection::vec(any::<u8>(), 0..600),
        marks in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..8),
        cut in any::<usize>(),
    ) {
        let whole = [SOUND.to_vec(), SPOKEN.to_vec(), mp4(&short(1000, 5)), mp4(&long(1, 5)), wav(9, &[1; 9])];
        for bytes in whole.iter().map(|whole| spoiled(whole, &marks, cut)).chain([given]) {
            if let Some(found) = of(&bytes) {
                prop_assert!(!found.length.is_zero() && found.length <= LONGEST);
            }
        }
    }

    #[test]
    fn every_length_of_an_mp4_is_read(rate in 1..=u32::MAX, units in 1..=u32::MAX) {
        let nanos = u128::from(units) * 1_000_000_000 / u128::from(rate);
        let is_told = units != u32::MAX && nanos > 0 && nanos <= LONGEST.as_nanos();
        let read = told(&mp4(&short(rate, units)));
        prop_assert_eq!(read, is_told.then_some((Container::Mp4, nanos / 1_000_000)));
    }
}

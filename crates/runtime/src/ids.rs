//! New ids: `UUIDv7` (RFC 9562, section 5.7) from the injected clock and randomness.

use std::sync::Arc;

use uuid::{Builder, Uuid};

use crate::{Clock, Random};

/// Makes ids.
#[derive(Clone)]
pub struct Ids {
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

impl Ids {
    /// From these sources.
    pub fn new(clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self { clock, random }
    }

    /// A new id: 48 bits of milliseconds, 74 bits of randomness.
    pub fn next(&self) -> Uuid {
        let mut bytes = [0; 10];
        self.random.fill(&mut bytes);
        // A clock before 1970 is clamped: the id stays unique, only its order suffers.
        let millis = u64::try_from(self.clock.now().timestamp_millis()).unwrap_or_default();
        Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid()
    }

    /// `n` random bytes in lower-case hex: secrets, nonces.
    pub fn token(&self, n: usize) -> String {
        use std::fmt::Write as _;

        let mut bytes = vec![0; n];
        self.random.fill(&mut bytes);
        bytes.iter().fold(String::with_capacity(2 * n), |mut text, byte| {
            // Writing to a String can't fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// `n` random characters of an alphabet: a code that people read and type.
    pub fn code(&self, alphabet: &[u8; 32], n: usize) -> String {
        let mut bytes = vec![0; n];
        self.random.fill(&mut bytes);
        // 32 divides 256: each is as likely as any other.
        bytes.iter().map(|byte| char::from(alphabet[usize::from(byte % 32)])).collect()
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::{ManualClock, SeededRandom};

    #[test]
    fn ids_carry_the_injected_time() {
        let at = DateTime::from_timestamp_millis(1_700_000_000_123).unwrap();
        let ids = Ids::new(Arc::new(ManualClock::new(at)), Arc::new(SeededRandom::new(1)));
        let (a, b) = (ids.next(), ids.next());
        assert_ne!(a, b);
        assert_eq!(a.get_version_num(), 7);
        assert_eq!(a.get_timestamp().unwrap().to_unix(), (1_700_000_000, 123_000_000));
    }
}

//! Where names come from: a seeded source of UUIDv7 and leg numbers, so that a replayed run mints the same names.
//! Each call owns one; `engine` seeds it from the machine's randomness, tests from a number they print.

use uuid::{Builder, Uuid};

use super::{CallId, LegId, PopId, RecordingId, Wall};

/// SplitMix64 (Steele, Lea, Flood 2014): one 64-bit state, full period, good enough for names that need only be unique.
/// It is no source of secrets.
#[derive(Clone, Debug)]
pub struct Ids {
    state: u64,
}

impl Ids {
    /// Two sources with different seeds mint different names for all practical purposes (64 random bits a seed).
    pub fn seeded(seed: u64) -> Self {
        Ids { state: seed }
    }

    /// The next 64 pseudo-random bits.
    pub fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A UUIDv7 whose time is `wall` (RFC 9562 §5.7); times before 1970 count as 1970.
    pub fn uuid(&mut self, wall: Wall) -> Uuid {
        let millis = u64::try_from(wall.as_micros() / 1000).unwrap_or(0);
        let mut random = [0; 10];
        let (head, tail) = random.split_at_mut(8);
        head.copy_from_slice(&self.bits().to_be_bytes());
        tail.copy_from_slice(&self.bits().to_be_bytes()[..2]);
        Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    pub fn call(&mut self, wall: Wall) -> CallId {
        CallId(self.uuid(wall))
    }

    pub fn pop(&mut self, wall: Wall) -> PopId {
        PopId(self.uuid(wall))
    }

    pub fn recording(&mut self, wall: Wall) -> RecordingId {
        RecordingId(self.uuid(wall))
    }

    /// A leg that we dial. The top bit is clear: the SIP endpoint names the legs that arrive with it set.
    pub fn leg(&mut self) -> LegId {
        LegId(self.bits() >> 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_mints_the_same_names_and_another_seed_others() {
        let wall = Wall::from_micros(1_700_000_000_000_000);
        let (mut a, mut b, mut c) = (Ids::seeded(7), Ids::seeded(7), Ids::seeded(8));
        let first = a.uuid(wall);
        assert_eq!(first, b.uuid(wall));
        assert_ne!(first, c.uuid(wall));
        assert_ne!(first, a.uuid(wall));
        assert_eq!(first.get_version_num(), 7);
    }

    #[test]
    fn a_leg_we_dial_never_has_the_top_bit() {
        let mut ids = Ids::seeded(1);
        assert!((0..10_000).all(|_| ids.leg().0 >> 63 == 0));
    }
}

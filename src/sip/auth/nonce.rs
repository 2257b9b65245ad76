//! Nonces that need no memory until they are used: number, time and their seal (HMAC-SHA-256 under our secret). Only for
//! nonces that proved a password is it noted which counts were used, so strangers cannot fill the notes.

use std::collections::BTreeMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::types::Time;

/// A nonce older than this is stale. Phones that refresh less often pay one more round trip.
const LIFETIME: Duration = Duration::from_secs(300);

/// Notes kept at once. When full the oldest nonce is forgotten, and it and all older ones count as stale.
const MAX_NOTES: usize = 20_000;

const SEAL_BYTES: usize = 16;
const NONCE_BYTES: usize = 8 + 8 + SEAL_BYTES;

/// A nonce of ours, as its text proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nonce {
    serial: u64,
    issued: Time,
}

/// Which counts of a nonce were used: the highest, and the 63 below it, so that datagrams may overtake each other.
#[derive(Clone, Copy, Debug)]
struct Note {
    issued: Time,
    highest: u32,
    /// Bit n: `highest - n` was used.
    used: u64,
}

#[derive(Debug)]
pub(super) struct Nonces {
    secret: [u8; 32],
    last_serial: u64,
    notes: BTreeMap<u64, Note>,
    /// Serials up to this one are stale.
    forgotten: u64,
}

impl Nonces {
    pub(super) fn new(secret: [u8; 32]) -> Nonces {
        Nonces { secret, last_serial: 0, notes: BTreeMap::new(), forgotten: 0 }
    }

    pub(super) fn issue(&mut self, now: Time) -> String {
        self.last_serial += 1;
        let mut bytes = [0; NONCE_BYTES];
        bytes[..8].copy_from_slice(&self.last_serial.to_be_bytes());
        bytes[8..16].copy_from_slice(&now.as_nanos().to_be_bytes());
        let seal = hmac_sha256(&self.secret, &bytes[..16]);
        bytes[16..].copy_from_slice(&seal[..SEAL_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The nonce that `text` is, if we made it and it is not too old.
    pub(super) fn open(&self, now: Time, text: &str) -> Option<Nonce> {
        let bytes: [u8; NONCE_BYTES] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
        let (claim, seal) = bytes.split_at(16);
        let expected = hmac_sha256(&self.secret, claim);
        if !bool::from(expected[..SEAL_BYTES].ct_eq(seal)) {
            return None;
        }
        let number = |part: &[u8]| u64::from_be_bytes(part.try_into().expect("eight of the sixteen bytes"));
        let nonce = Nonce { serial: number(&claim[..8]), issued: Time::from_nanos(number(&claim[8..])) };
        (now.since(nonce.issued) <= LIFETIME && nonce.serial > self.forgotten).then_some(nonce)
    }

    /// Uses up one count of a nonce; false when it was used before. Called only for a right password.
    pub(super) fn use_count(&mut self, now: Time, nonce: Nonce, count: u32) -> bool {
        self.forget_old(now);
        let note = self.notes.entry(nonce.serial).or_insert(Note { issued: nonce.issued, highest: 0, used: 0 });
        let is_fresh = note.mark(count);
        if self.notes.len() > MAX_NOTES
            && let Some((serial, _)) = self.notes.pop_first()
        {
            self.forgotten = self.forgotten.max(serial);
        }
        is_fresh
    }

    fn forget_old(&mut self, now: Time) {
        while let Some(oldest) = self.notes.first_entry()
            && now.since(oldest.get().issued) > LIFETIME
        {
            oldest.remove();
        }
    }
}

impl Note {
    fn mark(&mut self, count: u32) -> bool {
        if count > self.highest {
            let step = count - self.highest;
            self.used = if step < 64 { self.used << step } else { 0 } | 1;
            self.highest = count;
            return true;
        }
        let back = self.highest - count;
        let is_fresh = count > 0 && back < 64 && self.used & (1 << back) == 0;
        if is_fresh {
            self.used |= 1 << back;
        }
        is_fresh
    }
}

/// RFC 2104
fn hmac_sha256(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
    let padded = |pad: u8| {
        let mut block = [pad; 64];
        block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Sha256::new().chain_update(padded(0x36)).chain_update(message).finalize();
    Sha256::new().chain_update(padded(0x5c)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time::from_millis(seconds * 1000)
    }

    #[test]
    fn the_seal_is_hmac_sha_256() {
        // RFC 4231 §4.3, its key filled up with the zeros that HMAC adds anyway.
        let mut key = [0; 32];
        key[..4].copy_from_slice(b"Jefe");
        let seal = hmac_sha256(&key, b"what do ya want for nothing?");
        assert_eq!(hex::encode(seal), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }

    #[test]
    fn only_our_own_young_nonces_open() {
        let mut nonces = Nonces::new([1; 32]);
        let text = nonces.issue(at(1000));
        assert!(nonces.open(at(1300), &text).is_some());
        assert!(nonces.open(at(1301), &text).is_none(), "too old");
        assert!(Nonces::new([2; 32]).open(at(1000), &text).is_none(), "another server's");
        assert!(nonces.open(at(1000), &text.replacen('A', "B", 1)).is_none(), "altered");
        for text in ["", "x", &"A".repeat(43), &"A".repeat(5000), "Анна"] {
            assert!(nonces.open(at(1000), text).is_none());
        }
        assert_ne!(nonces.issue(at(1000)), nonces.issue(at(1000)), "two at one moment differ");
    }

    #[test]
    fn each_count_is_used_once_and_may_come_out_of_order() {
        let mut nonces = Nonces::new([1; 32]);
        let text = nonces.issue(at(0));
        let nonce = nonces.open(at(0), &text).unwrap();
        let mut fresh = |count| nonces.use_count(at(1), nonce, count);
        assert_eq!([1, 3, 2, 1, 3, 2].map(&mut fresh), [true, true, true, false, false, false]);
        assert_eq!(
            [0, 70, 10, 7, 69, 69, u32::MAX, u32::MAX].map(&mut fresh),
            [false, true, true, true, true, false, true, false]
        );
    }

    #[test]
    fn a_full_notebook_forgets_the_oldest_and_calls_it_stale() {
        let mut nonces = Nonces::new([1; 32]);
        let texts: Vec<String> = (0..MAX_NOTES + 10).map(|_| nonces.issue(at(1))).collect();
        for text in &texts {
            let nonce = nonces.open(at(1), text).unwrap();
            assert!(nonces.use_count(at(1), nonce, 1));
        }
        assert_eq!(nonces.notes.len(), MAX_NOTES);
        assert!(nonces.open(at(2), &texts[9]).is_none(), "forgotten, so not to be used again");
        let kept = nonces.open(at(2), &texts[10]).unwrap();
        assert!(!nonces.use_count(at(2), kept, 1));
        nonces.use_count(at(400), kept, 2);
        assert!(nonces.notes.len() <= 1, "old notes go by themselves");
    }
}

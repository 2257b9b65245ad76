//! One input made into another: bytes turned, put in, taken out, moved, taken from other inputs, and above all replaced
//! by what the target compared them with.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::corpus::Corpus;
use crate::coverage;

/// SplitMix64: quick, and good enough to choose bytes with.
pub struct Random(u64);

impl Random {
    pub fn new() -> Random {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64);
        Random(now ^ u64::from(std::process::id()) << 32)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// Below `limit`, which is not zero.
    pub fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// Values at which lengths and numbers turn over.
const EDGES: [u8; 10] = [0, 1, 0x0f, 0x10, 0x20, 0x7f, 0x80, 0xfe, 0xff, b'\n'];
const MOST_CHANGES: usize = 6;
const LONGEST_PIECE: usize = 64;

pub fn change(input: &mut Vec<u8>, corpus: &Corpus, random: &mut Random, most_bytes: usize) {
    for _ in 0..=random.below(MOST_CHANGES) {
        change_once(input, corpus, random);
    }
    input.truncate(most_bytes);
}

fn change_once(input: &mut Vec<u8>, corpus: &Corpus, random: &mut Random) {
    if input.is_empty() {
        return input.push(random.next() as u8);
    }
    let (at, kind) = (random.below(input.len()), random.below(12));
    let end = (at + 1 + random.below(LONGEST_PIECE)).min(input.len());
    match kind {
        0 => input[at] ^= 1 << random.below(8),
        1 => input[at] = random.next() as u8,
        2 => input[at] = EDGES[random.below(EDGES.len())],
        3 => input[at] = input[at].wrapping_add(random.below(9) as u8).wrapping_sub(4),
        4 => input.insert(at, random.next() as u8),
        5 => drop(input.drain(at..end)),
        6 => {
            let piece = input[at..end].to_vec();
            let to = random.below(input.len());
            drop(input.splice(to..to, piece));
        }
        7 | 8 => {
            let other = corpus.any(random);
            if other.is_empty() {
                return;
            }
            let from = random.below(other.len());
            let piece = &other[from..(from + 1 + random.below(LONGEST_PIECE)).min(other.len())];
            let until = if kind == 7 { at } else { (at + piece.len()).min(input.len()) };
            drop(input.splice(at..until, piece.iter().copied()));
        }
        _ => answer_comparison(input, random),
    }
}

/// Looks in the input for one side of a comparison that the target made, and puts the other side in its place.
fn answer_comparison(input: &mut [u8], random: &mut Random) {
    let Some((one, other, bytes)) = coverage::comparison(random.next() as usize) else { return };
    let (one, other) = if random.below(2) == 0 { (one, other) } else { (other, one) };
    let (mut wanted, mut put) = (one.to_le_bytes(), other.to_le_bytes());
    if random.below(2) == 0 {
        wanted[..bytes].reverse();
        put[..bytes].reverse();
    }
    let from = random.below(input.len());
    let places = (from..input.len()).chain(0..from);
    for place in places {
        if let Some(piece) = input.get_mut(place..place + bytes)
            && *piece == wanted[..bytes]
        {
            return piece.copy_from_slice(&put[..bytes]);
        }
    }
}

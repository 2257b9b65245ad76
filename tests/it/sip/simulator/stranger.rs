//! Someone who listens and sends: copies of what others sent, copies with a wrong byte, pieces, and plain noise.

use bytes::{Bytes, BytesMut};
use rand::Rng;
use rand::rngs::StdRng;

/// How much of the traffic is remembered.
const HEARD: usize = 64;

#[derive(Debug)]
pub struct Stranger {
    heard: Vec<Bytes>,
    random: StdRng,
}

impl Stranger {
    pub fn new(random: StdRng) -> Stranger {
        Stranger { heard: Vec::new(), random }
    }

    pub fn hear(&mut self, bytes: &Bytes) {
        if self.heard.len() < HEARD {
            self.heard.push(bytes.clone());
        } else {
            let place = self.random.random_range(0..HEARD);
            self.heard[place] = bytes.clone();
        }
    }

    pub fn say(&mut self) -> Bytes {
        if self.heard.is_empty() || self.random.random_range(0..10) == 0 {
            let length = self.random.random_range(0..300);
            return (0..length).map(|_| self.random.random::<u8>()).collect();
        }
        let mut bytes = BytesMut::from(&self.heard[self.random.random_range(0..self.heard.len())][..]);
        match self.random.random_range(0..4) {
            0 => {}
            1 => bytes.truncate(self.random.random_range(0..=bytes.len())),
            _ => {
                for _ in 0..self.random.random_range(1..4) {
                    let place = self.random.random_range(0..bytes.len());
                    bytes[place] = self.random.random();
                }
            }
        }
        bytes.freeze()
    }
}

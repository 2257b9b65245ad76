//! The keys of a telephone, in the three ways they travel in audio streams: as telephone-events (RFC 4733), as pairs of
//! tones (ITU-T Q.23), and each turned into the other by whoever owns both ends. Plain values: no packets are sent and no
//! clock is read here. INFO requests, the fourth way, are signalling and not known here.

mod detector; //  tones to keys
mod event; //     telephone-events: read a packet, tell each press once
mod key_tone; //  keys to tones
mod writer; //    keys to telephone-events

pub use detector::ToneDetector;
pub use event::{DigitReader, TelephoneEvent};
pub use key_tone::KeyTone;
pub use writer::{EventPacket, PressWriter};

/// The frequencies of the keypad in hertz: rows from the top, then columns from the left (ITU-T Q.23).
const ROWS_HZ: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS_HZ: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
/// The key at each row and column.
const KEYPAD: [[char; 4]; 4] = [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

#[cfg(test)]
mod tests;

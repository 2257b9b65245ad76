//! ○ What is said on the wire of a call: packets, codecs, tones and the numbers that judge them. Plain values only:
//! no socket, no clock. The relay carries them, the recorder and the tests listen to them.

pub mod codec; //      the codecs a leg can speak, in the words of RTP and SDP
pub mod coder; //      coded audio to linear and back, with state
pub mod comfort; //    noise for pauses
pub mod conceal; //    what stands in for a lost packet
pub mod dtmf; //       keys as events and as tones
pub mod emodel; //     how good it sounded
pub mod g711; //       the two laws, by table
pub mod ice; //        the lite side of ICE: who may send, and where to send
pub mod jitter; //     how late packets come, and the delay that takes it
pub mod latch; //      whose packets belong to a leg
pub mod listening; //  one source as one listener hears it: jitter, decoder, concealment
pub mod mix; //        several sources as one
pub mod numerals; //  numbers in words, for what is said
pub mod music; //      hold music, computed
mod opus; //           settings of Opus and the guard before it
pub mod outgoing; //   the one stream a leg hears, over changes of source
pub mod pulse; //      whether a browser still lives
pub mod packing; //    what is made, in packets as long as the far end wants them
mod packets; //        packets waiting for their turn
mod playout; //        decoded audio waiting to be heard
pub mod quality; //    the numbers kept for a leg
pub mod reception; //  loss and jitter of what was received
pub mod resample; //   8 kHz to 16 kHz and back
pub mod rtcp; //       reports, read and written
pub mod rtp; //        packets, read and written
pub mod seconds; //    a leg's quality, second by second
pub mod sound; //      a sound ready to play
pub mod srtp; //       protection of packets: keys, profiles
pub mod stun; //       binding requests of ICE, judged and answered
pub mod stretch; //    audio made shorter or longer unheard
pub mod tones; //      computed sounds, and the ear of the tests

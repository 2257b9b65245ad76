//! ○ What is said on the wire of a call: packets, codecs, tones and the numbers that judge them. Plain values only:
//! no socket, no clock. The relay carries them, the recorder and the tests listen to them.

pub mod codec; //      G.711 A-law and µ-law
pub mod dtmf; //       key presses as telephone-events
pub mod latch; //      whose packets belong to a leg
pub mod music; //      hold music, computed
pub mod outgoing; //   the one stream a leg hears, over changes of source
pub mod quality; //    the numbers kept for a leg
pub mod reception; //  loss and jitter of what was received
pub mod rtcp; //       reports, read and written
pub mod rtp; //        packets, read and written
pub mod sound; //      a sound ready to play
pub mod srtp; //       protection of packets: keys, profiles
pub mod stun; //       binding requests of ICE, judged and answered
pub mod tones; //      computed sounds, and the ear of the tests

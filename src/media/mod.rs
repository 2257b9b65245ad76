//! ○ What is said on the wire of a call: packets, codecs, tones and the numbers that judge them. Plain values only:
//! no socket, no clock. The relay carries them, the recorder and the tests listen to them.

pub mod codec; //    G.711 A-law and µ-law
pub mod quality; //  the numbers kept for a leg
pub mod sound; //    a sound ready to play

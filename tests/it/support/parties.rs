//! The parties of a call by ear, whatever their telephones are: test phones or tabs of a browser, each with its own tone.
//! What they hear is told in the same words for all, and so is what a channel of a recording holds.

use std::time::Duration;

use perezvon::clock;
use perezvon::media::codec::Codec;
use perezvon::media::tones::{mean_square, power};
use perezvon::support::phone::{Change, PhoneCall};
use serde_json::{Value, json};

use super::browser::Browser;

/// Whose tone it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    Caller,
    Called,
    Chief,
}

/// What is heard: nobody, these and nobody else, or something that is none of the tones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sound {
    Silence,
    Of(&'static [Who]),
    Music,
    /// It is not asked.
    Anything,
}

/// The tone of each party.
pub type Tones = [(Who, f32); 3];

/// What was heard, before it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Silence,
    Voices(Vec<Who>),
    Other,
}

impl Sound {
    pub fn is(self, heard: &Heard) -> bool {
        match (self, heard) {
            (Sound::Anything, _) | (Sound::Silence, Heard::Silence) | (Sound::Music, Heard::Other) => true,
            (Sound::Of(who), Heard::Voices(voices)) => who == voices,
            _ => false,
        }
    }
}

/// Below this mean square it is silence: the hiss of a line, not a voice.
const SILENCE: f64 = 2500.0;

/// What a piece of sound is made of. It must be long enough to tell the tones apart: 20 ms do.
pub fn made_of(samples: &[i16], rate: u32, tones: &Tones) -> Heard {
    let whole = mean_square(samples);
    if whole < SILENCE {
        return Heard::Silence;
    }
    let powers = tones.map(|(who, hz)| (who, power(samples, rate, hz)));
    let loud = powers.iter().filter(|(_, power)| *power > whole * 0.12);
    let explained: f64 = loud.clone().map(|(_, power)| power).sum();
    if explained > whole * 0.7 { Heard::Voices(loud.map(|(who, _)| *who).collect()) } else { Heard::Other }
}

/// The share of 20 ms windows that hold this.
pub fn share_of(sound: Sound, samples: &[i16], rate: u32, tones: &Tones) -> f64 {
    let windows = samples.chunks_exact(rate as usize / 50);
    let all = windows.len().max(1) as f64;
    windows.filter(|window| sound.is(&made_of(window, rate, tones))).count() as f64 / all
}

/// One party's end of a call.
#[derive(Clone)]
pub enum Line {
    Phone(PhoneCall),
    /// A tab of the browser, by its name.
    Tab(&'static str),
}

/// Without a packet for so long, a phone hears nothing.
const DEAD_LINE: Duration = Duration::from_millis(200);

impl Line {
    /// What it hears just now: the last fifth of a second.
    pub fn hears(&self, browser: &mut Option<Browser>, tones: &Tones) -> Heard {
        match self {
            Line::Phone(call) => {
                let heard = call.heard();
                let is_dead = heard.arrivals.last().is_none_or(|last| clock::now().since(*last) > DEAD_LINE);
                let from = heard.samples.len().saturating_sub(1600);
                if is_dead { Heard::Silence } else { made_of(&heard.samples[from..], 8000, tones) }
            }
            Line::Tab(page) => peaks_are(&tab(browser).tell(page, "heard", json!({})), tones),
        }
    }

    pub async fn hold(&self, browser: &mut Option<Browser>, is_held: bool) {
        match self {
            Line::Phone(call) if is_held => call.hold().await.unwrap(),
            Line::Phone(call) => call.resume().await.unwrap(),
            Line::Tab(page) => _ = tab(browser).tell(page, if is_held { "hold" } else { "resume" }, json!({})),
        }
    }

    /// A re-INVITE with another codec alone.
    pub async fn speak(&self, browser: &mut Option<Browser>, codec: Codec) {
        match self {
            Line::Phone(call) => call.change(Change::Codecs(vec![codec])).await.unwrap(),
            Line::Tab(page) => _ = tab(browser).tell(page, "recode", json!({"codec": codec.name()})),
        }
    }

    /// A re-INVITE with another address: a phone's ports, a tab's ICE from the beginning.
    pub async fn move_audio(&self, browser: &mut Option<Browser>) {
        match self {
            Line::Phone(call) => call.change(Change::Ports).await.unwrap(),
            Line::Tab(page) => _ = tab(browser).tell(page, "renew", json!({})),
        }
    }

    /// Not a packet of sound leaves it from now on, or they do again.
    pub fn mute(&self, browser: &mut Option<Browser>, is_muted: bool) {
        match self {
            Line::Phone(call) => call.mute(is_muted),
            Line::Tab(page) => _ = tab(browser).tell(page, "mute", json!({"muted": is_muted})),
        }
    }

    pub async fn hang_up(&self, browser: &mut Option<Browser>) {
        match self {
            Line::Phone(call) => call.hang_up().await.unwrap(),
            Line::Tab(page) => _ = tab(browser).tell(page, "hang_up", json!({})),
        }
    }
}

pub fn tab(browser: &mut Option<Browser>) -> &mut Browser {
    browser.as_mut().expect("a call with tabs has a browser")
}

/// The peaks of a tab's spectrum in our words.
fn peaks_are(peaks: &Value, tones: &Tones) -> Heard {
    let peaks = peaks.as_array().cloned().unwrap_or_default();
    let near = |peak: &Value, hz: f32| (peak["hz"].as_f64().unwrap_or(0.0) as f32 - hz).abs() < 15.0;
    if peaks.is_empty() {
        return Heard::Silence;
    }
    if !peaks.iter().all(|peak| tones.iter().any(|(_, hz)| near(peak, *hz))) {
        return Heard::Other;
    }
    Heard::Voices(tones.iter().filter(|(_, hz)| peaks.iter().any(|peak| near(peak, *hz))).map(|(who, _)| *who).collect())
}

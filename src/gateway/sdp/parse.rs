//! Text to `Session`. Strict about the lines we need, easy about the rest: unknown lines are left out, line ends may lack
//! their CR, and the order within a section does not matter.

use thiserror::Error;

use super::session::{Attribute, Connection, Media, Origin, Session};

/// More `m=` lines than this are refused: every one must be answered, and nobody needs so many.
pub const MAX_STREAMS: usize = 32;

/// Payload types of one stream; RTP has no more than 128.
const MAX_FORMATS: usize = 128;

/// Attributes of the session or of one stream. Finding a payload type's map looks at all of them.
const MAX_ATTRIBUTES: usize = 256;

/// Why an SDP cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SdpError {
    /// Answer 400.
    #[error("line {line}: {why}")]
    Syntax { line: usize, why: &'static str },
    /// Answer 488, like the ones below.
    #[error("no audio stream of a kind that may be used is offered")]
    NoAudio,
    #[error("the stream has no keys that we could use")]
    NoKeys,
    #[error("RTP and RTCP must share a port")]
    NoMux,
    #[error("no codec in common")]
    NoCommonCodec,
    #[error("no usable address to send to")]
    NoAddress,
    #[error("the far end refused the audio stream")]
    Refused,
}

impl Session {
    pub fn parse(text: &str) -> Result<Session, SdpError> {
        let mut draft = Draft::default();
        for (index, line) in text.split('\n').enumerate() {
            let line = line.trim_end_matches(['\r', ' ']);
            if !line.is_empty() {
                draft.read(line).map_err(|why| SdpError::Syntax { line: index + 1, why })?;
            }
        }
        draft.finish()
    }
}

/// What has been read so far.
#[derive(Default)]
struct Draft {
    has_version: bool,
    origin: Option<Origin>,
    name: String,
    remarks: Vec<String>,
    connection: Option<Connection>,
    bandwidths: Vec<String>,
    times: Vec<String>,
    attributes: Vec<Attribute>,
    media: Vec<Media>,
}

impl Draft {
    fn read(&mut self, line: &str) -> Result<(), &'static str> {
        let (kind, value) = line.split_once('=').ok_or("not a letter and an equals sign")?;
        if !self.has_version {
            self.has_version = kind == "v" && value.trim() == "0";
            return if self.has_version { Ok(()) } else { Err("does not start with v=0") };
        }
        if kind == "m" {
            if self.media.len() >= MAX_STREAMS {
                return Err("too many streams");
            }
            self.media.push(media(value)?);
            return Ok(());
        }
        match self.media.last_mut() {
            Some(media) => match kind {
                "i" => media.remarks.push(line.into()),
                "c" => media.connection = media.connection.take().or(Some(connection(value)?)),
                "b" => media.bandwidths.push(value.into()),
                "a" => push_attribute(&mut media.attributes, value)?,
                _ => {}
            },
            None => match kind {
                "o" => self.origin = Some(origin(value)?),
                "s" => self.name = value.into(),
                "i" | "u" | "e" | "p" => self.remarks.push(line.into()),
                "c" => self.connection = Some(connection(value)?),
                "b" => self.bandwidths.push(value.into()),
                "t" | "r" | "z" => self.times.push(line.into()),
                "a" => push_attribute(&mut self.attributes, value)?,
                _ => {}
            },
        }
        Ok(())
    }

    fn finish(self) -> Result<Session, SdpError> {
        let missing = |why| SdpError::Syntax { line: 1, why };
        if !self.has_version {
            return Err(missing("does not start with v=0"));
        }
        Ok(Session {
            origin: self.origin.ok_or(missing("no origin line"))?,
            name: self.name,
            remarks: self.remarks,
            connection: self.connection,
            bandwidths: self.bandwidths,
            times: self.times,
            attributes: self.attributes,
            media: self.media,
        })
    }
}

/// `username session-id version IN IP4 address`. Ids larger than 64 bits count as the largest.
fn origin(value: &str) -> Result<Origin, &'static str> {
    let words: Vec<&str> = value.split_ascii_whitespace().collect();
    let [username, session_id, version, net, family, host] = words.as_slice() else { return Err("bad origin line") };
    let number = |text: &str| {
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| text.parse().unwrap_or(u64::MAX)).ok_or("bad number in the origin line")
    };
    Ok(Origin {
        username: (*username).into(),
        session_id: number(session_id)?,
        version: number(version)?,
        address: address(net, family, host)?,
    })
}

fn connection(value: &str) -> Result<Connection, &'static str> {
    let mut words = value.split_ascii_whitespace();
    match (words.next(), words.next(), words.next()) {
        (Some(net), Some(family), Some(host)) => address(net, family, host),
        _ => Err("bad connection line"),
    }
}

fn address(net: &str, family: &str, host: &str) -> Result<Connection, &'static str> {
    let is_ipv6 = match family {
        family if family.eq_ignore_ascii_case("IP4") => false,
        family if family.eq_ignore_ascii_case("IP6") => true,
        _ => return Err("not an IP4 or IP6 address"),
    };
    if !net.eq_ignore_ascii_case("IN") {
        return Err("not an internet address");
    }
    let host = host.split('/').next().filter(|host| !host.is_empty()).ok_or("no address before the slash")?;
    Ok(Connection { is_ipv6, host: host.into() })
}

/// `audio 5004 RTP/AVP 8 0 101`; a port may have `/count` behind it.
fn media(value: &str) -> Result<Media, &'static str> {
    let mut words = value.split_ascii_whitespace();
    let (Some(kind), Some(port), Some(protocol)) = (words.next(), words.next(), words.next()) else {
        return Err("bad media line");
    };
    let port = port.split('/').next().unwrap_or_default();
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    let port = is_number.then(|| port.parse().ok()).flatten().ok_or("bad port in the media line")?;
    let formats: Vec<String> = words.by_ref().take(MAX_FORMATS).map(str::to_owned).collect();
    if words.next().is_some() {
        return Err("too many payload types");
    }
    Ok(Media {
        kind: kind.to_ascii_lowercase(),
        port,
        protocol: protocol.into(),
        formats,
        remarks: Vec::new(),
        connection: None,
        bandwidths: Vec::new(),
        attributes: Vec::new(),
    })
}

fn push_attribute(attributes: &mut Vec<Attribute>, value: &str) -> Result<(), &'static str> {
    if attributes.len() >= MAX_ATTRIBUTES {
        return Err("too many attributes");
    }
    attributes.push(match value.split_once(':') {
        Some((name, value)) => Attribute::new(name, value),
        None => Attribute::flag(value),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FULL: &str = "v=0\r\no=anna 18446744073709551615 2 IN IP6 2001:db8::1\r\ns=A call\r\ni=remark\r\nu=http://a\r\n\
        c=IN IP4 10.0.0.1\r\nb=AS:84\r\nt=0 0\r\nr=7d 1h\r\na=tool:x\r\na=sendonly\r\nm=audio 4000 RTP/AVP 8\r\ni=voice\r\n\
        c=IN IP4 10.0.0.2\r\nb=AS:64\r\na=rtpmap:8 PCMA/8000\r\nm=video 0 RTP/AVP 96\r\n";

    #[test]
    fn writing_and_reading_are_inverse() {
        assert_eq!(Session::parse(FULL).unwrap().to_string(), FULL);
        assert_eq!(Session::parse(&FULL.replace('\r', "")).unwrap().to_string(), FULL, "line ends without CR");
    }

    #[test]
    fn broken_lines_name_their_number() {
        for (from, to, line) in [
            ("v=0", "v=1", 1),
            ("o=anna 18446744073709551615", "o=anna x", 2),
            ("c=IN IP4 10.0.0.1", "c=IN IP5 10.0.0.1", 6),
            ("c=IN IP4 10.0.0.1", "c=IN IP4 /127", 6),
            ("m=audio 4000", "m=audio 70000", 12),
            ("m=audio 4000", "m=audio", 12),
            ("a=tool:x", "nothing", 10),
        ] {
            let error = Session::parse(&FULL.replacen(from, to, 1)).unwrap_err();
            assert!(matches!(error, SdpError::Syntax { line: found, .. } if found == line), "{to}: {error}");
        }
    }

    #[test]
    fn what_would_take_long_to_read_is_refused() {
        for (line, more) in [("a=tool:x", "a=x\r\n".repeat(300)), ("m=video", "a=x\r\n".repeat(300))] {
            assert!(Session::parse(&FULL.replace(line, &format!("{more}{line}"))).is_err(), "{line}");
        }
        assert!(Session::parse(&FULL.replace("RTP/AVP 96", &format!("RTP/AVP{}", " 96".repeat(129)))).is_err());
        assert!(Session::parse(&FULL.replace("RTP/AVP 96", &format!("RTP/AVP{}", " 96".repeat(128)))).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_survives_writing(cuts in proptest::collection::vec((0..FULL.len(), ".{0,8}"), 0..4)) {
            let mut text = FULL.to_string();
            for (at, piece) in cuts {
                let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
                text.insert_str(at, &piece);
            }
            if let Ok(session) = Session::parse(&text) {
                prop_assert_eq!(Session::parse(&session.to_string()), Ok(session));
            }
        }
    }
}

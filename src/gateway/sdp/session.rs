//! An SDP document as values, and its text (RFC 8866 §5). What we do not read is kept as lines, so that it is written
//! again as it came.

use std::fmt;

/// A whole description. Line order is the standard's, whatever order was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    pub origin: Origin,
    pub name: String,
    /// `i=`, `u=`, `e=`, `p=` lines, whole.
    pub remarks: Vec<String>,
    pub connection: Option<Connection>,
    /// `b=` values.
    pub bandwidths: Vec<String>,
    /// `t=`, `r=`, `z=` lines, whole.
    pub times: Vec<String>,
    pub attributes: Vec<Attribute>,
    pub media: Vec<Media>,
}

/// `o=`: who made it and which version it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub username: String,
    pub session_id: u64,
    pub version: u64,
    pub address: Connection,
}

/// `IN IP4 192.0.2.1`; the host may be a name, which we never resolve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    pub is_ipv6: bool,
    /// Address or name, with a multicast address's `/ttl` cut off.
    pub host: String,
}

/// `m=` and the lines below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Media {
    /// `audio`, `video`, `image`, …
    pub kind: String,
    /// 0: not wanted.
    pub port: u16,
    /// `RTP/AVP`, …
    pub protocol: String,
    /// Payload types, as written.
    pub formats: Vec<String>,
    /// `i=` lines, whole.
    pub remarks: Vec<String>,
    pub connection: Option<Connection>,
    pub bandwidths: Vec<String>,
    pub attributes: Vec<Attribute>,
}

/// `a=name` or `a=name:value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attribute {
    pub name: String,
    pub value: Option<String>,
}

/// Which way a stream flows, seen by whoever wrote it (RFC 3264 §5.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Direction {
    #[default]
    SendRecv,
    SendOnly,
    RecvOnly,
    Inactive,
}

impl Direction {
    pub const fn new(sends: bool, receives: bool) -> Direction {
        match (sends, receives) {
            (true, true) => Direction::SendRecv,
            (true, false) => Direction::SendOnly,
            (false, true) => Direction::RecvOnly,
            (false, false) => Direction::Inactive,
        }
    }

    pub const fn sends(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::SendOnly)
    }

    pub const fn receives(self) -> bool {
        matches!(self, Direction::SendRecv | Direction::RecvOnly)
    }

    /// The same flow seen from the other end.
    pub const fn reversed(self) -> Direction {
        Direction::new(self.receives(), self.sends())
    }

    /// Only what both allow.
    pub const fn and(self, other: Direction) -> Direction {
        Direction::new(self.sends() && other.sends(), self.receives() && other.receives())
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Direction::SendRecv => "sendrecv",
            Direction::SendOnly => "sendonly",
            Direction::RecvOnly => "recvonly",
            Direction::Inactive => "inactive",
        }
    }

    /// The last direction attribute of a list.
    pub(super) fn among(attributes: &[Attribute]) -> Option<Direction> {
        attributes.iter().rev().find_map(|attribute| match attribute.name.as_str() {
            "sendrecv" => Some(Direction::SendRecv),
            "sendonly" => Some(Direction::SendOnly),
            "recvonly" => Some(Direction::RecvOnly),
            "inactive" => Some(Direction::Inactive),
            _ => None,
        })
    }
}

impl Attribute {
    pub fn flag(name: &str) -> Attribute {
        Attribute { name: name.into(), value: None }
    }

    pub fn new(name: &str, value: impl Into<String>) -> Attribute {
        Attribute { name: name.into(), value: Some(value.into()) }
    }
}

impl Session {
    /// Whether this stream is in a bundle (RFC 9143): whoever offers one wants to see it in the answer.
    pub(super) fn is_bundled(&self, media: &Media) -> bool {
        let groups = self.attributes.iter().filter(|line| line.name == "group").filter_map(|line| line.value.as_deref());
        let Some(mid) = media.attribute("mid") else { return false };
        groups.filter_map(|group| group.strip_prefix("BUNDLE")).any(|mids| mids.split_ascii_whitespace().any(|it| it == mid))
    }

    /// The value of the first attribute of that name that stands for all streams.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|attribute| attribute.name == name).and_then(|attribute| attribute.value.as_deref())
    }
}

impl Media {
    /// The value of the first attribute of that name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|attribute| attribute.name == name).and_then(|attribute| attribute.value.as_deref())
    }

    pub fn has_flag(&self, name: &str) -> bool {
        self.attributes.iter().any(|attribute| attribute.name == name)
    }

    /// The `rtpmap` of a payload type, for example `PCMA/8000`.
    pub fn rtpmap(&self, format: &str) -> Option<&str> {
        let maps = self.attributes.iter().filter(|attribute| attribute.name == "rtpmap");
        maps.filter_map(|map| map.value.as_deref()?.split_once(' ')).find(|(own, _)| *own == format).map(|(_, map)| map.trim())
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IN {} {}", if self.is_ipv6 { "IP6" } else { "IP4" }, self.host)
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "a={}:{value}\r\n", self.name),
            None => write!(f, "a={}\r\n", self.name),
        }
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin { username, session_id, version, address } = &self.origin;
        write!(f, "v=0\r\no={username} {session_id} {version} {address}\r\ns={}\r\n", self.name)?;
        self.remarks.iter().try_for_each(|line| write!(f, "{line}\r\n"))?;
        self.connection.iter().try_for_each(|connection| write!(f, "c={connection}\r\n"))?;
        self.bandwidths.iter().try_for_each(|value| write!(f, "b={value}\r\n"))?;
        self.times.iter().try_for_each(|line| write!(f, "{line}\r\n"))?;
        self.attributes.iter().try_for_each(|attribute| attribute.fmt(f))?;
        self.media.iter().try_for_each(|media| media.fmt(f))
    }
}

impl fmt::Display for Media {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={} {} {}", self.kind, self.port, self.protocol)?;
        self.formats.iter().try_for_each(|format| write!(f, " {format}"))?;
        f.write_str("\r\n")?;
        self.remarks.iter().try_for_each(|line| write!(f, "{line}\r\n"))?;
        self.connection.iter().try_for_each(|connection| write!(f, "c={connection}\r\n"))?;
        self.bandwidths.iter().try_for_each(|value| write!(f, "b={value}\r\n"))?;
        self.attributes.iter().try_for_each(|attribute| attribute.fmt(f))
    }
}

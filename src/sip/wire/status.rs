//! Response status codes. The words are `rsip`'s: its names of the codes, split into the phrases RFC 3261 §21 prints.

use std::fmt;
use std::sync::LazyLock;

use super::Text;

/// A status code, 100 to 699.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

impl Status {
    pub const TRYING: Status = Status(100);
    pub const RINGING: Status = Status(180);
    pub const SESSION_PROGRESS: Status = Status(183);
    pub const OK: Status = Status(200);
    pub const ACCEPTED: Status = Status(202);
    pub const MOVED_TEMPORARILY: Status = Status(302);
    pub const BAD_REQUEST: Status = Status(400);
    pub const UNAUTHORIZED: Status = Status(401);
    pub const FORBIDDEN: Status = Status(403);
    pub const NOT_FOUND: Status = Status(404);
    pub const METHOD_NOT_ALLOWED: Status = Status(405);
    pub const PROXY_AUTHENTICATION_REQUIRED: Status = Status(407);
    pub const REQUEST_TIMEOUT: Status = Status(408);
    pub const REQUEST_ENTITY_TOO_LARGE: Status = Status(413);
    pub const UNSUPPORTED_MEDIA_TYPE: Status = Status(415);
    pub const UNSUPPORTED_URI_SCHEME: Status = Status(416);
    pub const BAD_EXTENSION: Status = Status(420);
    pub const INTERVAL_TOO_BRIEF: Status = Status(423);
    pub const BAD_INFO_PACKAGE: Status = Status(469);
    pub const TEMPORARILY_UNAVAILABLE: Status = Status(480);
    pub const CALL_DOES_NOT_EXIST: Status = Status(481);
    pub const LOOP_DETECTED: Status = Status(482);
    pub const TOO_MANY_HOPS: Status = Status(483);
    pub const BUSY_HERE: Status = Status(486);
    pub const REQUEST_TERMINATED: Status = Status(487);
    pub const NOT_ACCEPTABLE_HERE: Status = Status(488);
    pub const BAD_EVENT: Status = Status(489);
    pub const REQUEST_PENDING: Status = Status(491);
    pub const SERVER_INTERNAL_ERROR: Status = Status(500);
    pub const NOT_IMPLEMENTED: Status = Status(501);
    pub const SERVICE_UNAVAILABLE: Status = Status(503);
    pub const SERVER_TIME_OUT: Status = Status(504);
    pub const VERSION_NOT_SUPPORTED: Status = Status(505);
    pub const MESSAGE_TOO_LARGE: Status = Status(513);
    pub const BUSY_EVERYWHERE: Status = Status(600);
    pub const DECLINE: Status = Status(603);

    /// `None` outside of 100 to 699.
    pub fn new(code: u16) -> Option<Status> {
        (100..700).contains(&code).then_some(Status(code))
    }

    pub fn code(self) -> u16 {
        self.0
    }

    pub fn is_provisional(self) -> bool {
        self.0 < 200
    }

    pub fn is_final(self) -> bool {
        self.0 >= 200
    }

    pub fn is_success(self) -> bool {
        (200..300).contains(&self.0)
    }

    pub fn is_redirection(self) -> bool {
        (300..400).contains(&self.0)
    }

    pub fn to_rsip(self) -> rsip::StatusCode {
        rsip::StatusCode::from(self.0)
    }

    /// The usual phrase for people; the class's phrase for a code that has none of its own.
    pub fn default_reason(self) -> Text {
        static PHRASES: LazyLock<Vec<Text>> = LazyLock::new(|| (100..700).map(|code| phrase(code).into()).collect());
        PHRASES.get(usize::from(self.0.saturating_sub(100))).cloned().unwrap_or_default()
    }
}

impl From<&rsip::StatusCode> for Status {
    fn from(status: &rsip::StatusCode) -> Self {
        Status::new(status.code()).unwrap_or(Status::SERVER_INTERNAL_ERROR)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn phrase(code: u16) -> String {
    match (code, rsip::StatusCode::from(code)) {
        // Where the RFC's phrase is more than the words of `rsip`'s name.
        (202, _) => "Accepted".into(),
        (408, _) => "Request Timeout".into(),
        (414, _) => "Request-URI Too Long".into(),
        (416, _) => "Unsupported URI Scheme".into(),
        (481, _) => "Call/Transaction Does Not Exist".into(),
        (504, _) => "Server Time-out".into(),
        (606, _) => "Not Acceptable".into(),
        (_, rsip::StatusCode::Other(..)) => class_phrase(code).into(),
        (_, known) => split_words(&format!("{known:?}")),
    }
}

fn class_phrase(code: u16) -> &'static str {
    match code {
        100..200 => "Session Progress",
        200..300 => "OK",
        300..400 => "Redirection",
        400..500 => "Request Failure",
        500..600 => "Server Failure",
        _ => "Global Failure",
    }
}

/// `BusyHere` becomes `Busy Here`; `OK` stays.
fn split_words(name: &str) -> String {
    let mut words = String::with_capacity(name.len() + 8);
    let mut previous_is_lower = false;
    for letter in name.chars() {
        if letter.is_uppercase() && previous_is_lower {
            words.push(' ');
        }
        previous_is_lower = letter.is_lowercase();
        words.push(letter);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phrases_are_those_of_the_rfc() {
        let phrase = |code| Status::new(code).expect("in range").default_reason();
        assert_eq!(phrase(100), "Trying");
        assert_eq!(phrase(200), "OK");
        assert_eq!(phrase(407), "Proxy Authentication Required");
        assert_eq!(phrase(481), "Call/Transaction Does Not Exist");
        assert_eq!(phrase(486), "Busy Here");
        assert_eq!(phrase(603), "Decline");
        assert_eq!(phrase(499), "Request Failure");
    }

    #[test]
    fn codes_outside_of_the_six_classes_do_not_exist() {
        assert_eq!(Status::new(99), None);
        assert_eq!(Status::new(700), None);
        assert_eq!(Status::from(&rsip::StatusCode::BusyHere), Status::BUSY_HERE);
        assert_eq!(Status::BUSY_HERE.to_rsip(), rsip::StatusCode::BusyHere);
    }
}

//! Header names: the ones we read or write as an enum, any other as text. Compact forms, no case (RFC 3261 §7.3.3, §20).

use std::fmt;
use std::hash::{Hash, Hasher};

use super::Text;

macro_rules! header_names {
    ($($variant:ident $canonical:literal $($compact:literal)?,)*) => {
        /// A header's name. An unknown one keeps its spelling; comparing ignores case.
        #[derive(Clone, Debug)]
        pub enum HeaderName {
            $($variant,)*
            Other(Text),
        }

        impl HeaderName {
            /// As RFC 3261 and its extensions spell it.
            pub fn as_str(&self) -> &str {
                match self {
                    $(HeaderName::$variant => $canonical,)*
                    HeaderName::Other(name) => name,
                }
            }

            /// The name that `text` spells, in its long or compact form.
            fn known(text: &str) -> Option<HeaderName> {
                if let [letter] = text.as_bytes() {
                    return match letter.to_ascii_lowercase() {
                        $($($compact => Some(HeaderName::$variant),)?)*
                        _ => None,
                    };
                }
                $(if text.eq_ignore_ascii_case($canonical) {
                    return Some(HeaderName::$variant);
                })*
                None
            }
        }

        #[cfg(test)]
        const ALL: &[HeaderName] = &[$(HeaderName::$variant,)*];
    };
}

// The headers of every message first: they are found first.
header_names! {
    Via "Via" b'v',
    From "From" b'f',
    To "To" b't',
    CallId "Call-ID" b'i',
    CSeq "CSeq",
    Contact "Contact" b'm',
    MaxForwards "Max-Forwards",
    ContentLength "Content-Length" b'l',
    ContentType "Content-Type" b'c',
    Route "Route",
    RecordRoute "Record-Route",
    UserAgent "User-Agent",
    Allow "Allow",
    Supported "Supported" b'k',
    Expires "Expires",
    Authorization "Authorization",
    ProxyAuthorization "Proxy-Authorization",
    WwwAuthenticate "WWW-Authenticate",
    ProxyAuthenticate "Proxy-Authenticate",
    Accept "Accept",
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    AlertInfo "Alert-Info",
    AllowEvents "Allow-Events" b'u',
    CallInfo "Call-Info",
    ContentDisposition "Content-Disposition",
    ContentEncoding "Content-Encoding" b'e',
    ContentLanguage "Content-Language",
    Date "Date",
    Diversion "Diversion",
    Event "Event" b'o',
    HistoryInfo "History-Info",
    InReplyTo "In-Reply-To",
    MinExpires "Min-Expires",
    MinSe "Min-SE",
    MimeVersion "MIME-Version",
    Organization "Organization",
    PAssertedIdentity "P-Asserted-Identity",
    PPreferredIdentity "P-Preferred-Identity",
    Path "Path",
    Priority "Priority",
    Privacy "Privacy",
    ProxyRequire "Proxy-Require",
    RAck "RAck",
    RSeq "RSeq",
    Reason "Reason",
    ReferTo "Refer-To" b'r',
    ReferredBy "Referred-By" b'b',
    Replaces "Replaces",
    ReplyTo "Reply-To",
    Require "Require",
    RetryAfter "Retry-After",
    Server "Server",
    ServiceRoute "Service-Route",
    SessionExpires "Session-Expires" b'x',
    Subject "Subject" b's',
    SubscriptionState "Subscription-State",
    Timestamp "Timestamp",
    Unsupported "Unsupported",
    Warning "Warning",
}

impl HeaderName {
    /// The name that `text` (a token) spells.
    pub fn parse(text: &Text) -> HeaderName {
        HeaderName::known(text).unwrap_or_else(|| HeaderName::Other(text.clone()))
    }

    /// Lists whose items are kept as headers of their own, so that the top Via or Route can be taken off alone.
    pub(super) fn is_split_at_commas(&self) -> bool {
        matches!(
            self,
            HeaderName::Via
                | HeaderName::Contact
                | HeaderName::Route
                | HeaderName::RecordRoute
                | HeaderName::Path
                | HeaderName::ServiceRoute
                | HeaderName::PAssertedIdentity
                | HeaderName::PPreferredIdentity
                | HeaderName::Diversion
                | HeaderName::HistoryInfo
        )
    }
}

impl From<&str> for HeaderName {
    fn from(text: &str) -> Self {
        HeaderName::known(text).unwrap_or_else(|| HeaderName::Other(text.into()))
    }
}

impl PartialEq for HeaderName {
    fn eq(&self, other: &HeaderName) -> bool {
        match (self, other) {
            (HeaderName::Other(one), HeaderName::Other(other)) => one.eq_ignore_ascii_case(other),
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl Eq for HeaderName {}

impl Hash for HeaderName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        std::mem::discriminant(self).hash(state);
        if let HeaderName::Other(name) = self {
            name.bytes().for_each(|byte| byte.to_ascii_lowercase().hash(state));
        }
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case() {
        for name in ALL {
            assert_eq!(&HeaderName::from(name.as_str()), name);
            assert_eq!(&HeaderName::from(name.as_str().to_ascii_uppercase().as_str()), name);
        }
    }

    #[test]
    fn compact_forms_are_the_registered_ones() {
        let long = |letter: &str| HeaderName::from(letter).as_str().to_owned();
        let pairs = "m Contact,e Content-Encoding,l Content-Length,c Content-Type,f From,s Subject,k Supported,t To,v Via,\
                     i Call-ID,u Allow-Events,o Event,r Refer-To,b Referred-By,x Session-Expires";
        for pair in pairs.split(',') {
            let (letter, name) = pair.split_once(' ').unwrap();
            assert_eq!(long(letter), name);
            assert_eq!(long(&letter.to_uppercase()), name);
        }
        assert_eq!(long("q"), "q");
    }

    #[test]
    fn an_unknown_name_keeps_its_spelling() {
        assert_eq!(HeaderName::from("X-foo"), HeaderName::from("x-FOO"));
        assert_eq!(HeaderName::from("X-foo").as_str(), "X-foo");
    }
}

//! Reads from an INVITE who is calling and what was dialled. What kind of caller that makes is decided in `cards`;
//! where the call goes, in `routing`.

use crate::cards::{Caller, CallerText, read_caller};
use crate::sip::wire::{HeaderName, NameAddr, Request};
use crate::types::Region;

/// Who is calling, according to a carrier. P-Asserted-Identity is believed before From (RFC 3325 §9.1), because only
/// trunks are asked this way; a Privacy of `id`, `user` or `header` hides the caller, not the routing.
pub fn caller_from_trunk(request: &Request, region: Region) -> Caller {
    let headers = &request.headers;
    let asserted = headers.addresses(HeaderName::PAssertedIdentity).unwrap_or_default();
    // Of a sip: and a tel: identity either names the same caller; the first with a user part is taken.
    let named = asserted.into_iter().find(|address| address.uri.user().is_some_and(|user| !user.is_empty()));
    let from = headers.from().ok();
    let address = named.or(from);
    let is_private = ["id", "user", "header"].iter().any(|kind| headers.has_item(&HeaderName::Privacy, kind));
    let Some(address) = address else { return read_caller(CallerText::default(), region) };
    read_address(&address, is_private, region)
}

fn read_address(address: &NameAddr, is_private: bool, region: Region) -> Caller {
    let user = address.uri.user_decoded().unwrap_or_default();
    // `;phone-context` and kin may stand inside the user part of a sip: URI (RFC 3261 §19.1.6).
    let user = user.as_str().split(';').next().unwrap_or_default();
    let host = address.uri.host().map(ToString::to_string).unwrap_or_default();
    let display = address.display.as_ref().map(|display| display.as_str());
    read_caller(CallerText { user, host: &host, display, is_private }, region)
}

/// Longer than any number; what is over it is cut, because it goes into every event of the call.
const LONGEST_DIALLED: usize = 64;

/// The user part of the Request-URI, without parameters: what was dialled. Hostile text: control characters are left out.
pub fn dialled(request: &Request) -> String {
    let user = request.uri.user_decoded().unwrap_or_default();
    let user = user.as_str().split(';').next().unwrap_or_default();
    user.chars().filter(|c| !c.is_control()).take(LONGEST_DIALLED).collect()
}

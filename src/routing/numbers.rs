//! From what was dialled to where it goes. Inbound numbers by the longest match, dialled numbers by extension, own
//! number, then route. Decides only; knows no SIP: it is given the user part of a URI or what a person typed.

use crate::call::Goal;
use crate::site::{Destination, Site};
use crate::types::TrunkId;

/// A resolved destination with what the site says about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub goal: Goal,
    /// What was dialled, E.164 where it could be normalised: the call's `to`.
    pub to: String,
    /// `record` of number, queue and route together.
    pub record: bool,
    pub source: Option<String>,
}

/// A carrier sent us `user_part`: the matching `[[number]]`, or nowhere.
pub fn plan_inbound(site: &Site, trunk: &TrunkId, user_part: &str) -> Plan {
    let _ = (site, trunk, user_part);
    unreachable!("skeleton")
}

/// One of our people dialled `dialled` from a phone or typed it into the desk: an extension, an own number, the
/// destination grammar (`queue:sales`), or an outside number by `[[route]]`.
pub fn plan_dialled(site: &Site, dialled: &str) -> Plan {
    let _ = (site, dialled);
    unreachable!("skeleton")
}

/// A destination of the site file. `user_part` is what was dialled: `trunk:` passes it on unchanged.
pub fn plan_destination(site: &Site, destination: &Destination, user_part: &str) -> Plan {
    let _ = (site, destination, user_part);
    unreachable!("skeleton")
}

//! The set-up as items: exactly what the site file, the database and `export` hold. `check` turns items into `Site`.
//! An item in a file replaces the stored item of the same key whole, except that secrets it leaves out are kept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::model::{Language, Role, SipHa1, Srtp, Strategy};

/// Everything that can be set up, in file order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Items {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    #[serde(default, rename = "user", skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<UserItem>,
    #[serde(default, rename = "trunk", skip_serializing_if = "Vec::is_empty")]
    pub trunks: Vec<TrunkItem>,
    #[serde(default, rename = "queue", skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<QueueItem>,
    #[serde(default, rename = "number", skip_serializing_if = "Vec::is_empty")]
    pub numbers: Vec<NumberItem>,
    #[serde(default, rename = "route", skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<RouteItem>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserItem {
    pub login: String,
    #[serde(default)]
    pub name: String,
    /// Only in files; never stored or exported.
    #[serde(default, skip_serializing)]
    pub password: Option<String>,
    /// Argon2id, PHC string.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_hash: Option<String>,
    #[serde(default = "agent_role")]
    pub role: Role,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub team: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub extension: String,
    /// Only in files; never stored or exported.
    #[serde(default, skip_serializing)]
    pub sip_password: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sip_ha1: Option<SipHa1>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub skills: BTreeMap<String, u8>,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub record: bool,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub beep_seconds: u32,
    /// Empty: what people usually have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codecs: Vec<String>,
    #[serde(default, skip_serializing_if = "is_off")]
    pub srtp: Srtp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrunkItem {
    pub name: String,
    #[serde(default)]
    pub targets: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accept_from: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub username: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub password: String,
    #[serde(default)]
    pub register: bool,
    #[serde(default)]
    pub options_seconds: u32,
    #[serde(default)]
    pub max_calls: u32,
    #[serde(default)]
    pub max_cps: u32,
    /// Empty: what carriers usually have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub codecs: Vec<String>,
    #[serde(default, skip_serializing_if = "is_off")]
    pub srtp: Srtp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueItem {
    pub name: String,
    #[serde(default = "longest_idle")]
    pub strategy: Strategy,
    #[serde(default)]
    pub members: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supervisors: Vec<String>,
    #[serde(default = "twenty")]
    pub ring_seconds: u32,
    #[serde(default = "ten")]
    pub wrap_up_seconds: u32,
    #[serde(default = "yes")]
    pub answer: bool,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub record: bool,
    #[serde(default, skip_serializing_if = "is_no")]
    pub announce: bool,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub beep_seconds: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumberItem {
    pub number: String,
    pub to: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub source: String,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub record: bool,
    #[serde(default, skip_serializing_if = "is_no")]
    pub announce: bool,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub beep_seconds: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteItem {
    #[serde(default)]
    pub prefix: String,
    pub trunk: String,
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub record: bool,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub beep_seconds: u32,
}

/// A kind of item that is found again by its own key.
pub trait Item: Clone + PartialEq {
    /// The table's name in the file and the kind in the database.
    const KIND: &'static str;
    fn key(&self) -> &str;
}

macro_rules! item {
    ($type:ident, $kind:literal, $key:ident) => {
        impl Item for $type {
            const KIND: &'static str = $kind;
            fn key(&self) -> &str {
                &self.$key
            }
        }
    };
}
item!(UserItem, "user", login);
item!(TrunkItem, "trunk", name);
item!(QueueItem, "queue", name);
item!(NumberItem, "number", number);
item!(RouteItem, "route", prefix);

fn yes() -> bool {
    true
}
#[allow(clippy::trivially_copy_pass_by_ref)] // serde's `skip_serializing_if` passes a reference
fn is_no(value: &bool) -> bool {
    !*value
}
#[allow(clippy::trivially_copy_pass_by_ref)] // as above
fn is_zero(value: &u32) -> bool {
    *value == 0
}
fn is_yes(value: &bool) -> bool {
    *value
}
#[allow(clippy::trivially_copy_pass_by_ref)] // as above
fn is_off(value: &Srtp) -> bool {
    *value == Srtp::Off
}
fn agent_role() -> Role {
    Role::Agent
}
fn longest_idle() -> Strategy {
    Strategy::LongestIdle
}
fn twenty() -> u32 {
    20
}
fn ten() -> u32 {
    10
}

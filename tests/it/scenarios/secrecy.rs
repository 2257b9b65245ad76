//! Phones and carriers whose audio is protected by keys in the SDP (RFC 4568): heard both ways and recorded as any other;
//! where it is required, nothing plain is offered, taken or sent.

use std::time::Duration;

use perezvon::media::srtp::Profile;
use perezvon::site::Srtp;
use perezvon::support::phone::{Answering, Ended, Phone, PhoneCall, PhoneSetup, Says};

use crate::support::ears::share_of_tone;
use crate::support::office::{CLIENT_HZ, NUMBER, Office, SOON, agent_hz};
use crate::support::server::{Setup, free_port};

const PROFILES: [Profile; 2] = [Profile::AesCm128HmacSha1_80, Profile::AeadAes128Gcm];
const SAFE_HZ: f32 = 1300.0;
const CARRIER_HZ: f32 = 2100.0;

/// Two more people, one whose audio must be protected and one whose audio may be, and a carrier of either kind.
fn site(strict: u16, lenient: u16) -> String {
    let person = |login: &str, extension: &str, srtp: &str| {
        format!(
            "[[user]]\nlogin = \"{login}\"\nextension = \"{extension}\"\nsip_password = \"secret\"\nsrtp = \"{srtp}\"\n\n\
             [[queue]]\nname = \"{login}s\"\nmembers = [\"{login}\"]\nwrap_up_seconds = 0\n\n\
             [[number]]\nnumber = \"+7495000{extension}\"\nto = \"queue:{login}s\"\n\n"
        )
    };
    let carrier = |name: &str, port: u16, number: &str, srtp: &str| {
        format!(
            "[[trunk]]\nname = \"{name}\"\ntargets = [\"127.0.0.1:{port}\"]\naccept_from = [\"127.0.0.1/32:{port}\"]\n\
             srtp = \"{srtp}\"\n\n[[number]]\nnumber = \"{number}\"\nto = \"trunk:{name}\"\n\n"
        )
    };
    person("safe", "1700", "required")
        + &person("maybe", "1701", "optional")
        + &carrier("strict", strict, "+78001234567", "required")
        + &carrier("lenient", lenient, "+78007654321", "optional")
}

struct Town {
    office: Office,
    strict: u16,
    lenient: u16,
}

impl Town {
    async fn new(threads: usize) -> Town {
        let (strict, lenient) = (free_port(), free_port());
        let office = Office::open_with(Setup { threads, ..Setup::default() }, 1, &site(strict, lenient)).await;
        Town { office, strict, lenient }
    }

    async fn phone(&self, extension: &str, srtp: Srtp, profile: Option<Profile>) -> Phone {
        let setup = PhoneSetup {
            answering: Answering::Rings,
            says: Says::Tone { hz: SAFE_HZ },
            srtp,
            profile,
            ..PhoneSetup::new(self.office.server.sip, extension, "secret")
        };
        let phone = Phone::switch_on(setup).unwrap();
        phone.register(Duration::from_secs(300)).await.unwrap();
        let login = if extension == "1700" { "safe" } else { "maybe" };
        let path = format!("agents/{login}/state");
        let (status, answer) = self.office.root.send("PUT", &path, serde_json::json!({"state": "ready"})).await;
        assert!(status < 300, "{answer}");
        self.office
            .root
            .until("agents?limit=1000", |list| {
                let is_it = |it: &&serde_json::Value| it["login"] == login && it["registered"] == true && it["state"] == "ready";
                list["items"].as_array()?.iter().find(is_it).cloned()
            })
            .await;
        phone
    }

    fn carrier(&self, port: u16, srtp: Srtp, profile: Option<Profile>) -> Phone {
        let setup = PhoneSetup {
            local: ([127, 0, 0, 1], port).into(),
            answering: Answering::Rings,
            says: Says::Tone { hz: CARRIER_HZ },
            srtp,
            profile,
            ..PhoneSetup::new(self.office.server.sip, "79160000002", "")
        };
        Phone::switch_on(setup).unwrap()
    }
}

async fn rings_at(phone: &mut Phone) -> PhoneCall {
    tokio::time::timeout(SOON, phone.next_call()).await.expect("it rings in time").unwrap()
}

/// Both hear each other, and then one ends the call.
async fn talk(one: &PhoneCall, one_hz: f32, other: &PhoneCall, other_hz: f32) {
    one.hears_tone(other_hz, SOON).await.unwrap();
    other.hears_tone(one_hz, SOON).await.unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    one.hang_up().await.unwrap();
    other.ended(SOON).await.unwrap();
}

/// What an INVITE of the server offers.
fn offered(call: &PhoneCall) -> String {
    String::from_utf8(call.invite.body.to_vec()).unwrap()
}

fn is_protected(sdp: &str) -> bool {
    sdp.contains(" RTP/SAVP ") && !sdp.contains(" RTP/AVP ") && sdp.contains("a=crypto:")
}

async fn is_refused(call: &PhoneCall) {
    match call.ended(SOON).await.unwrap() {
        Ended::Refused { status, .. } => assert_eq!(status, 488),
        other => panic!("{other:?}"),
    }
    assert_eq!(call.heard().packets_received, 0, "nothing plain is sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_must_be_protected_talks_with_a_plain_client_and_is_recorded() {
    for (threads, profile) in [(1, PROFILES[0]), (3, PROFILES[1])] {
        let mut town = Town::new(threads).await;
        let mut safe = town.phone("1700", Srtp::Required, Some(profile)).await;
        let client = town.office.client.dial("74950001700").await.unwrap();
        let ringing = rings_at(&mut safe).await;
        assert!(is_protected(&offered(&ringing)), "{}", offered(&ringing));
        ringing.answer().await.unwrap();
        let answered = town.office.live.until("call.answered").await;
        talk(&ringing, SAFE_HZ, &client, CLIENT_HZ).await;
        let (_, rate, left, right) = town.office.recording_of(answered["call_id"].as_str().unwrap()).await;
        let tail = |samples: &[i16]| samples[samples.len().saturating_sub(rate as usize / 2)..].to_vec();
        assert!(share_of_tone(&tail(&left), rate, CLIENT_HZ) > 0.85, "the client on the left");
        assert!(share_of_tone(&tail(&right), rate, SAFE_HZ) > 0.85, "the protected phone on the right");

        // And the other way round: it calls, with an offer of its own, and holds and resumes under the same keys.
        let out = safe.dial("1000").await.unwrap();
        let desk = town.office.rings_at(0).await;
        desk.answer().await.unwrap();
        out.talking(SOON).await.unwrap();
        desk.hears_tone(SAFE_HZ, SOON).await.unwrap();
        out.hold().await.unwrap();
        desk.hears(SOON, |heard| !heard.is_tone_now(SAFE_HZ)).await.unwrap();
        out.resume().await.unwrap();
        talk(&out, SAFE_HZ, &desk, agent_hz(0)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_protection_is_required_a_plain_offer_is_refused_and_none_is_made() {
    let town = Town::new(1).await;
    let mut plain = town.phone("1700", Srtp::Off, None).await;
    is_refused(&plain.dial("1000").await.unwrap()).await;
    let caller = town.office.agents[0].dial("1700").await.unwrap();
    let refused = rings_at_or_refused(&mut plain).await;
    assert!(refused.is_none_or(|call| is_protected(&offered(&call))), "nothing plain is tried afterwards");
    assert!(matches!(caller.ended(SOON).await.unwrap(), Ended::Refused { .. }));
    assert_eq!(caller.heard().packets_received, 0);

    let mut carrier = town.carrier(town.strict, Srtp::Off, None);
    is_refused(&carrier.dial(NUMBER).await.unwrap()).await;
    let caller = town.office.agents[0].dial("88001234567").await.unwrap();
    let refused = rings_at_or_refused(&mut carrier).await;
    assert!(refused.is_none_or(|call| is_protected(&offered(&call))));
    assert!(matches!(caller.ended(SOON).await.unwrap(), Ended::Refused { .. }));
}

/// A phone that cannot take the offer never rings.
async fn rings_at_or_refused(phone: &mut Phone) -> Option<PhoneCall> {
    tokio::time::timeout(Duration::from_millis(800), phone.next_call()).await.ok().map(Result::unwrap)
}

#[tokio::test(flavor = "multi_thread")]
async fn where_protection_is_optional_it_is_used_by_those_who_can_and_the_others_talk_plainly() {
    let mut town = Town::new(1).await;
    for (srtp, profile) in [(Srtp::Off, None), (Srtp::Required, Some(PROFILES[0])), (Srtp::Required, Some(PROFILES[1]))] {
        let mut maybe = town.phone("1701", srtp, profile).await;
        let caller = town.office.agents[0].dial("1701").await.unwrap();
        let ringing = rings_at(&mut maybe).await;
        assert_eq!(is_protected(&offered(&ringing)), srtp == Srtp::Required, "{}", offered(&ringing));
        ringing.answer().await.unwrap();
        talk(&ringing, SAFE_HZ, &caller, agent_hz(0)).await;
        let out = maybe.dial("1000").await.unwrap();
        let desk = town.office.rings_at(0).await;
        desk.answer().await.unwrap();
        talk(&out, SAFE_HZ, &desk, agent_hz(0)).await;
        maybe.unregister().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carrier_may_be_protected_in_both_directions_and_a_plain_one_behind_an_optional_trunk_is_heard() {
    let mut town = Town::new(3).await;
    let cases = [
        (town.strict, "88001234567", Srtp::Required, Some(PROFILES[0])),
        (town.lenient, "88007654321", Srtp::Required, Some(PROFILES[1])),
        (town.lenient, "88007654321", Srtp::Off, None),
    ];
    for (port, number, srtp, profile) in cases {
        let mut carrier = town.carrier(port, srtp, profile);
        let out = town.office.agents[0].dial(number).await.unwrap();
        let outside = rings_at(&mut carrier).await;
        assert_eq!(is_protected(&offered(&outside)), srtp == Srtp::Required, "{}", offered(&outside));
        outside.answer().await.unwrap();
        out.talking(SOON).await.unwrap();
        talk(&outside, CARRIER_HZ, &out, agent_hz(0)).await;
        let inside = carrier.dial(NUMBER).await.unwrap();
        let desk = town.office.rings_at(0).await;
        desk.answer().await.unwrap();
        inside.talking(SOON).await.unwrap();
        talk(&inside, CARRIER_HZ, &desk, agent_hz(0)).await;
        let port_is_free = |_: &serde_json::Value| std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok().then_some(());
        drop(carrier);
        town.office.root.until("calls?active=true", port_is_free).await;
    }
}

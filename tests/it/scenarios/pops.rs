//! The promise of the house: the card is on the screen before the phone rings, however many cards there are.

use std::collections::HashMap;
use std::time::Duration;

use perezvon::support::phone::{Answering, Phone, PhoneCall, PhoneSetup};
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::floor::CallCentre;
use crate::support::clients;
use crate::support::server::{Live, Setup};
use crate::support::sipp::{Load, Sipp};
use crate::support::sites;

const CARDS: usize = 100_000;
const CALLS: usize = 200;
const AGENTS: usize = 40;
const FIRST_CLIENT: usize = 50_000;

/// An agent's phone was called, after these cards were on this agent's screen.
struct Rung {
    number: String,
    /// By the caller's number; a card that came later is not here.
    shown: HashMap<String, Value>,
    /// Kept, as a phone's owner keeps it, while the call lasts.
    _call: PhoneCall,
}

#[tokio::test(flavor = "multi_thread")]
async fn the_card_is_on_the_screen_before_the_phone_rings_in_two_hundred_of_two_hundred_calls() {
    let (_folder, database) = clients::database(CARDS).await;
    let centre = CallCentre::open(Setup { database: Some(database), ..Setup::default() }, AGENTS).await;
    let (tell, mut rung) = mpsc::channel(CALLS);
    for index in 0..AGENTS {
        let screen = Live::open(&centre.server, &centre.server.token(&sites::login(index)), None).await;
        let phone = PhoneSetup {
            answering: Answering::After(Duration::from_millis(300)),
            ..PhoneSetup::new(centre.server.sip, &sites::extension(index), &sites::password(index))
        };
        let phone = Phone::switch_on(phone).unwrap();
        // Takes the place of the registration that the centre opened with.
        phone.register(Duration::from_secs(300)).await.unwrap();
        tokio::spawn(sit(screen, phone, tell.clone()));
    }
    let load = Load {
        local: centre.carrier,
        media: None,
        number: "74951234567",
        calls: CALLS,
        rate: 10,
        talk_ms: 1_000,
        seconds: 60,
        first_number: FIRST_CLIENT,
    };
    let mut callers = Sipp::callers(centre.server.sip, &load);
    let mut calls = HashMap::new();
    for _ in 0..CALLS {
        let Rung { number, shown, _call } =
            timeout(Duration::from_secs(30), rung.recv()).await.expect("every call rings at a phone").expect("agents sit");
        let pop = shown.get(&number).unwrap_or_else(|| panic!("the phone rang for {number} before its card was shown"));
        assert_eq!((&pop["match"], &pop["late"]), (&"known".into(), &false.into()), "{pop:#}");
        let index: usize = number.strip_prefix("+7916").and_then(|digits| digits.parse().ok()).expect("one of our clients");
        assert_eq!(pop["card"]["name"], format!("Клиент {index}"));
        calls.insert(number, _call);
    }
    assert_eq!(calls.len(), CALLS, "each client was called for once");
    tokio::task::spawn_blocking(move || callers.success()).await.unwrap();
}

/// One agent with one screen and one phone. Both are read by one task, the screen first: sockets are reported in the order
/// in which they became readable, so a frame that left before the INVITE is always seen before it, however busy the
/// machine is; a frame that left after it is not in `shown`.
async fn sit(mut screen: Live, mut phone: Phone, tell: mpsc::Sender<Rung>) {
    let mut shown = HashMap::new();
    loop {
        tokio::select! {
            biased;
            event = screen.next_within(Duration::from_secs(120)) => {
                let Some(event) = event else { return };
                if event["type"] == "pop.shown" {
                    let number = event["data"]["caller"]["number"].as_str().expect("SIPp withholds no number").to_string();
                    shown.insert(number, event["data"].clone());
                }
            }
            call = phone.next_call() => {
                let Ok(call) = call else { return };
                let number = call.invite.headers.from().expect("every INVITE has one").uri.user_decoded().expect("a number");
                let number = format!("+{}", number.trim_start_matches('+'));
                if tell.send(Rung { number, shown: shown.clone(), _call: call }).await.is_err() {
                    return;
                }
            }
        }
    }
}

//! The demonstration's phones: registered for its agents, they answer by themselves after a while and speak like a
//! person, so that a newcomer hears a whole call without owning a phone.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;

use super::phone::{Answering, Phone, PhoneSetup, Says};

/// Long enough to look at the card before the call is answered.
const ANSWER_AFTER: Duration = Duration::from_secs(6);

const REGISTRATION: Duration = Duration::from_secs(300);

/// Registered phones. They are switched off when this is dropped.
#[derive(Debug)]
pub struct DemoPhones {
    _phones: Vec<Phone>,
}

/// Switches a phone on for each extension and password, and registers it at `server`, which must be running.
pub async fn start(server: SocketAddr, people: &[(&str, &str)]) -> anyhow::Result<DemoPhones> {
    let mut phones = Vec::with_capacity(people.len());
    for (seed, (extension, password)) in (1..).zip(people) {
        let setup = PhoneSetup {
            answering: Answering::After(ANSWER_AFTER),
            says: Says::Voice { seed },
            ..PhoneSetup::new(server, extension, password)
        };
        let phone = Phone::switch_on(setup).context("a demonstration phone")?;
        phone.register(REGISTRATION).await.context("a demonstration phone cannot register")?;
        phones.push(phone);
    }
    Ok(DemoPhones { _phones: phones })
}

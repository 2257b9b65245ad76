//! Keys between far ends that take them differently, on the real server.

use perezvon::support::phone::{Phone, PhoneSetup};

use crate::support::office::{NUMBER, Office, SOON};
use crate::support::sipp::Sipp;

#[tokio::test(flavor = "multi_thread")]
async fn keys_by_info_become_events_at_the_other_side_and_events_info_and_a_fax_is_refused() {
    let mut office = Office::open(1, "", "").await;
    let stand_in = Phone::switch_on(PhoneSetup::new(office.server.sip, "x", "")).unwrap();
    drop(std::mem::replace(&mut office.client, stand_in));
    let mut keypad = Sipp::keypad(office.server.sip, office.carrier, NUMBER);
    let agent = office.rings_at(0).await;
    agent.answer().await.unwrap();
    agent.hears(SOON, |heard| heard.digits == "7").await.unwrap();
    agent.press('4').await.unwrap();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(agent.heard().digits, "7", "each key once");
    agent.hang_up().await.unwrap();
    keypad.success();
}

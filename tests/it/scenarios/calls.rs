//! Calls, one by one: who rings, who hears whom, what is recorded, how each ends.

use std::time::{Duration, Instant};

use perezvon::support::phone::{Answering, Ended, Phone, PhoneCall, PhoneSetup, Says};
use serde_json::{Value, json};

use crate::support::ears;
use crate::support::office::{CLIENT_HZ, NUMBER, Office, SOON, agent_hz, ended, story};
use crate::support::server::{Setup, free_port};
use crate::support::sites;

#[tokio::test(flavor = "multi_thread")]
async fn client_and_agent_hear_each_other_and_the_recording_stands_on_the_clients_timeline() {
    one_whole_call(Setup::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_with_three_media_threads() {
    one_whole_call(Setup { threads: 3, ..Setup::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_recorded_at_sixteen_kilohertz() {
    one_whole_call(Setup { more_config: "[recording]\nsample_rate = 16000\n".into(), ..Setup::default() }).await;
}

async fn one_whole_call(setup: Setup) {
    let mut office = Office::open_with(setup, 1, "").await;
    let (status, card) =
        office.root.send("POST", "clients", json!({"name": "Olga", "numbers": [{"e164": "+79160000001"}]})).await;
    assert_eq!(status, 201, "{card}");
    let client = office.client_calls().await;
    client.talking(SOON).await.unwrap();
    let answered = Instant::now();
    let agent = office.rings_at(0).await;
    // While the agent's phone rings the client hears music.
    client.hears(SOON, |heard| heard.loud_ms() > 500).await.unwrap();
    agent.answer().await.unwrap();
    client.hears_tone(agent_hz(0), SOON).await.unwrap();
    agent.hears_tone(CLIENT_HZ, SOON).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    client.hang_up().await.unwrap();
    let lasted = answered.elapsed();
    assert!(matches!(agent.ended(SOON).await.unwrap(), Ended::ByThem { .. }));

    let events = office.until_ended().await;
    let told = ended(&events);
    assert_eq!((&told["cause"], &told["ended_by"], &told["state"]), (&json!("normal"), &json!("caller"), &json!("ended")));
    assert_eq!((&told["card_id"], &told["source"]), (&card["id"], &json!("site")), "{told:#}");
    let story = story(&events);
    let place =
        |kind: &str| story.iter().position(|found| *found == kind).unwrap_or_else(|| panic!("{kind} is missing in {story:?}"));
    assert!(place("call.started") < place("call.queued") && place("call.queued") < place("call.offered"), "{story:?}");
    assert!(place("pop.shown") < place("call.answered") && place("call.answered") < place("call.ended"), "{story:?}");
    let pop = &events.iter().find(|event| event["type"] == "pop.shown").unwrap()["data"];
    assert_eq!((&pop["match"], &pop["card"]["id"], &pop["late"]), (&json!("known"), &card["id"], &json!(false)), "{pop:#}");
    assert_eq!(pop["caller"]["number"], "+79160000001");

    let call_id = told["id"].as_str().unwrap();
    let (view, rate, left, right) = office.recording_of(call_id).await;
    let recorded = view["duration_ms"].as_u64().unwrap();
    assert!(recorded.abs_diff(lasted.as_millis() as u64) <= 60, "{recorded} ms recorded, the client's phone says {lasted:?}");
    assert_eq!(ears::duration_ms(&left, rate), recorded);
    assert!(ears::share_of_tone(&left, rate, CLIENT_HZ) > 0.9);
    assert!(ears::share_of_tone(&right, rate, agent_hz(0)) > 0.5);
    assert!(ears::share_of_tone(&right, rate, CLIENT_HZ) < 0.01 && ears::share_of_tone(&left, rate, agent_hz(0)) < 0.01);
    // Music is silence with a mark: nothing is heard on the right before the agent joined.
    let joined = mark(&view, "agent_joined");
    let before = &right[..(joined.saturating_sub(40) as usize * rate as usize / 1000)];
    assert!(before.iter().all(|sample| sample.unsigned_abs() < 100), "music is on the right channel");
    assert!(mark(&view, "music_started") <= mark(&view, "music_stopped"));
    assert!(ears::longest_gap_ms(&left, rate) <= 40 && ears::longest_gap_ms(&right, rate) <= 40);

    let card_id = card["id"].as_str().unwrap();
    let path = format!("clients/{card_id}/timeline");
    let timeline = office.root.until(&path, |list| {
        let items = list["items"].as_array()?;
        items.iter().any(|item| item.to_string().contains(view["id"].as_str().unwrap())).then(|| items.clone())
    });
    assert_eq!(timeline.await.len(), 1);
    let peaks = office.root.get(&format!("recordings/{}/peaks", view["id"].as_str().unwrap())).await;
    assert!(peaks["per_second"].as_u64().unwrap() > 0 && !peaks["left"].as_array().unwrap().is_empty());
}

fn mark(view: &Value, kind: &str) -> u64 {
    let marks = view["marks"].as_array().unwrap();
    marks.iter().find(|mark| mark["kind"] == kind).unwrap_or_else(|| panic!("no {kind} in {marks:?}"))["at_ms"].as_u64().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_who_does_not_answer_loses_the_offer_to_the_next_one() {
    let mut office = Office::open(2, "[[queue]]\nname = \"short\"\nmembers = [\"agent0\", \"agent1\"]\nring_seconds = 1\nwrap_up_seconds = 0\n\n[[number]]\nnumber = \"+74950000001\"\nto = \"queue:short\"\n", "").await;
    let client = office.client.dial("74950000001").await.unwrap();
    client.talking(SOON).await.unwrap();
    // Both are equally idle but for the order in which they became ready.
    let first = office.rings_at(0).await;
    assert!(matches!(first.ended(SOON).await.unwrap(), Ended::ByThem { .. }), "the first phone stops ringing");
    let second = office.rings_at(1).await;
    second.answer().await.unwrap();
    second.hears_tone(CLIENT_HZ, SOON).await.unwrap();
    client.hears_tone(agent_hz(1), SOON).await.unwrap();
    office.agent_becomes(0, |agent| agent["state"] == "not_answering").await;
    second.hang_up().await.unwrap();
    let events = office.until_ended().await;
    assert_eq!((&ended(&events)["ended_by"], &ended(&events)["agent"]), (&json!("agent"), &json!("agent1")));
    let retracted: Vec<&Value> = events.iter().filter(|event| event["type"] == "pop.retracted").collect();
    assert_eq!(retracted.len(), 1);
    assert_eq!((&retracted[0]["data"]["reason"], &retracted[0]["agent"]), (&json!("no_answer"), &json!("agent0")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_and_a_declining_agent_pass_the_call_on() {
    let mut office = Office::open(3, "", "").await;
    office.agents[0].set_answering(Answering::Busy).await.unwrap();
    office.agents[1].set_answering(Answering::Declines).await.unwrap();
    let client = office.client_calls().await;
    let third = office.rings_at(2).await;
    third.answer().await.unwrap();
    third.hears_tone(CLIENT_HZ, SOON).await.unwrap();
    client.hang_up().await.unwrap();
    assert_eq!(ended(&office.until_ended().await)["agent"], "agent2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_who_gives_up_stops_the_agents_phone_at_once_and_counts_as_abandoned() {
    let mut office = Office::open(1, "", "").await;
    let client = office.client_calls().await;
    let agent = office.rings_at(0).await;
    client.talking(SOON).await.unwrap();
    let gave_up = Instant::now();
    client.hang_up().await.unwrap();
    assert!(matches!(agent.ended(SOON).await.unwrap(), Ended::ByThem { .. }));
    assert!(gave_up.elapsed() < Duration::from_millis(500), "the phone rang on for {:?}", gave_up.elapsed());
    let events = office.until_ended().await;
    assert_eq!((&ended(&events)["cause"], &ended(&events)["ended_by"]), (&json!("abandoned"), &json!("caller")));
    let retracted = office.live_or(&events, "pop.retracted").await;
    assert_eq!(retracted["data"]["reason"], "abandoned");
    office.agent_becomes(0, |agent| agent["state"] == "ready").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_queue_that_does_not_answer_the_client_hears_music_early_and_is_answered_by_the_agent() {
    let site = "[[queue]]\nname = \"early\"\nmembers = [\"agent0\"]\nanswer = false\nwrap_up_seconds = 0\n\n[[number]]\nnumber = \"+74950000002\"\nto = \"queue:early\"\n";
    let mut office = Office::open(1, site, "").await;
    let client = office.client.dial("74950000002").await.unwrap();
    let agent = office.rings_at(0).await;
    client.hears(SOON, |heard| heard.loud_ms() > 300).await.unwrap();
    assert!(client.talking(Duration::from_millis(300)).await.is_err(), "nobody has answered yet");
    agent.answer().await.unwrap();
    client.talking(SOON).await.unwrap();
    client.hears_tone(agent_hz(0), SOON).await.unwrap();
    agent.hang_up().await.unwrap();
    let events = office.until_ended().await;
    let (view, ..) = office.recording_of(ended(&events)["id"].as_str().unwrap()).await;
    assert!(view["duration_ms"].as_u64().unwrap() < 5_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_number_gets_one_stub_card_and_a_withheld_one_none() {
    let mut office = Office::open(1, "", "").await;
    for _ in 0..2 {
        let client = office.client_calls().await;
        office.rings_at(0).await;
        client.hang_up().await.unwrap();
        let events = office.until_ended().await;
        let pop = &events.iter().find(|event| event["type"] == "pop.shown").unwrap()["data"];
        assert!(!pop["card"].is_null(), "{pop:#}");
        office.agent_becomes(0, |agent| agent["state"] == "ready").await;
    }
    assert_eq!(office.root.get("clients").await["items"].as_array().unwrap().len(), 1);
    drop(std::mem::replace(&mut office.client, Phone::switch_on(PhoneSetup::new(office.server.sip, "x", "")).unwrap()));
    let carrier = office.carrier;
    let hidden = PhoneSetup { local: ([127, 0, 0, 1], carrier).into(), ..PhoneSetup::new(office.server.sip, "anonymous", "") };
    // The carrier's port is free as soon as the old phone's task has ended.
    let until = Instant::now() + SOON;
    let hidden = loop {
        match Phone::switch_on(hidden.clone()) {
            Ok(phone) => break phone,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let call = hidden.dial(NUMBER).await.unwrap();
    office.rings_at(0).await;
    call.hang_up().await.unwrap();
    let events = office.until_ended().await;
    let pop = &events.iter().find(|event| event["type"] == "pop.shown").unwrap()["data"];
    assert_eq!(
        (&pop["match"], &pop["card"], &pop["caller"]["number"]),
        (&json!("withheld"), &Value::Null, &Value::Null),
        "{pop:#}"
    );
    assert_eq!(office.root.get("clients").await["items"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_calls_another_by_extension_and_both_hear_each_other() {
    let mut office = Office::open(2, "", "").await;
    let caller = office.agents[0].dial(&sites::extension(1)).await.unwrap();
    let called = office.rings_at(1).await;
    office.agent_becomes(0, |agent| agent["state"] == "talking" || agent["state"] == "ringing").await;
    called.answer().await.unwrap();
    caller.talking(SOON).await.unwrap();
    caller.hears_tone(agent_hz(1), SOON).await.unwrap();
    called.hears_tone(agent_hz(0), SOON).await.unwrap();
    caller.hang_up().await.unwrap();
    let events = office.until_ended().await;
    assert_eq!((&ended(&events)["kind"], &ended(&events)["cause"]), (&json!("internal"), &json!("normal")));
    let (_, rate, left, right) = office.recording_of(ended(&events)["id"].as_str().unwrap()).await;
    assert!(ears::share_of_tone(&left, rate, agent_hz(0)) > 0.7, "left is the caller");
    assert!(ears::share_of_tone(&right, rate, agent_hz(1)) > 0.7, "right is the called");
    for index in 0..2 {
        office.agent_becomes(index, |agent| agent["state"] == "ready").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_dials_out_by_the_route_and_the_client_is_on_the_left() {
    let mut office = Office::open(1, "", "").await;
    let agent = office.agents[0].dial("89169998877").await.unwrap();
    let client = tokio::time::timeout(SOON, office.client.next_call()).await.unwrap().unwrap();
    agent.ringing(SOON).await.unwrap();
    client.answer().await.unwrap();
    agent.talking(SOON).await.unwrap();
    agent.hears_tone(CLIENT_HZ, SOON).await.unwrap();
    client.hears_tone(agent_hz(0), SOON).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    client.hang_up().await.unwrap();
    let events = office.until_ended().await;
    let told = ended(&events);
    assert_eq!(
        (&told["kind"], &told["to"], &told["trunk"]),
        (&json!("outbound"), &json!("+79169998877"), &json!("carrier")),
        "{told:#}"
    );
    let (_, rate, left, right) = office.recording_of(told["id"].as_str().unwrap()).await;
    assert!(ears::share_of_tone(&left, rate, CLIENT_HZ) > 0.7, "left is the client");
    assert!(ears::share_of_tone(&right, rate, agent_hz(0)) > 0.7, "right is ours");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_click_to_call_rings_the_agents_own_phone_first() {
    let mut office = Office::open(1, "", "").await;
    let (status, call) = office.root.send("POST", "calls", json!({"from": "agent0", "to": "+79169998877"})).await;
    assert_eq!(status, 201, "{call}");
    let agent = office.rings_at(0).await;
    agent.answer().await.unwrap();
    let client = tokio::time::timeout(SOON, office.client.next_call()).await.unwrap().unwrap();
    client.answer().await.unwrap();
    agent.hears_tone(CLIENT_HZ, SOON).await.unwrap();
    client.hears_tone(agent_hz(0), SOON).await.unwrap();
    let path = format!("calls/{}/hangup", call["id"].as_str().unwrap());
    let (status, answer) = office.root.send("POST", &path, json!({})).await;
    assert!(status < 300, "{status} {answer}");
    assert!(matches!(agent.ended(SOON).await.unwrap(), Ended::ByThem { .. }));
    assert!(matches!(client.ended(SOON).await.unwrap(), Ended::ByThem { .. }));
    let events = office.until_ended().await;
    assert_eq!((&ended(&events)["id"], &ended(&events)["cause"]), (&call["id"], &json!("hung_up_by_api")));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_phones_of_one_person_the_slower_is_told_that_the_call_was_taken_elsewhere() {
    let mut office = Office::open(1, "", "").await;
    let mut second = Phone::switch_on(office.desk_phone(0)).unwrap();
    second.register(Duration::from_secs(300)).await.unwrap();
    office.client_calls().await;
    let on_desk = office.rings_at(0).await;
    let on_second = tokio::time::timeout(SOON, second.next_call()).await.unwrap().unwrap();
    on_second.answer().await.unwrap();
    on_second.hears_tone(CLIENT_HZ, SOON).await.unwrap();
    match on_desk.ended(SOON).await.unwrap() {
        Ended::ByThem { reason: Some(reason) } => {
            assert!(reason.contains("cause=200") && reason.contains("Call completed elsewhere"), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_on_which_nobody_sends_anything_is_ended() {
    let mut office = Office::open(1, "", "[limits]\nrtp_silence_seconds = 2\n").await;
    let client = office.client_calls().await;
    let agent = office.rings_at(0).await;
    agent.answer().await.unwrap();
    client.hears_tone(agent_hz(0), SOON).await.unwrap();
    // Both phones lose their power: no RTP, no BYE.
    let agents = std::mem::take(&mut office.agents);
    drop(agents);
    drop(std::mem::replace(&mut office.client, Phone::switch_on(PhoneSetup::new(office.server.sip, "x", "")).unwrap()));
    let events = office.until_ended().await;
    assert_eq!((&ended(&events)["cause"], &ended(&events)["ended_by"]), (&json!("rtp_timeout"), &json!("system")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_leads_nowhere_is_refused_and_an_unknown_caller_must_sign_in() {
    let mut office = Office::open(1, "", "").await;
    let wrong = office.client.dial("74959999999").await.unwrap();
    match wrong.ended(SOON).await.unwrap() {
        Ended::Refused { status, .. } => assert_eq!(status, 404),
        other => panic!("{other:?}"),
    }
    assert_eq!(ended(&office.until_ended().await)["cause"], "no_route");
    let stranger = Phone::switch_on(PhoneSetup::new(office.server.sip, "mallory", "guess")).unwrap();
    match stranger.dial(NUMBER).await.unwrap().ended(SOON).await.unwrap() {
        Ended::Refused { status, .. } => assert!([401, 403, 407].contains(&status), "{status}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_graceful_stop_takes_no_new_calls_and_lets_the_running_one_end() {
    let mut office = Office::open(1, "", "[limits]\ndrain_seconds = 20\n").await;
    let client = office.client_calls().await;
    let agent = office.rings_at(0).await;
    agent.answer().await.unwrap();
    client.hears_tone(agent_hz(0), SOON).await.unwrap();
    let mut server = office.server;
    let stopping = tokio::task::spawn_blocking(move || (server.stop(), server));
    // The server says that it stops by refusing: ask until it does.
    let until = Instant::now() + SOON;
    let refused = loop {
        let second = office.client.dial(NUMBER).await.unwrap();
        match second.until(SOON, |progress| matches!(progress, perezvon::support::phone::Progress::Talking)).await.unwrap() {
            perezvon::support::phone::Progress::Ended(Ended::Refused { status, .. }) => break status,
            _ => second.hang_up().await.unwrap(),
        }
        assert!(Instant::now() < until, "new calls are still taken");
    };
    assert_eq!(refused, 503);
    agent.hears_tone(CLIENT_HZ, SOON).await.unwrap();
    client.hears_tone(agent_hz(0), SOON).await.unwrap();
    client.hang_up().await.unwrap();
    let (code, _server) = stopping.await.unwrap();
    assert_eq!(code, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_stays_of_a_recording_that_somebody_joined_who_must_not_be_recorded() {
    let site = "[[user]]\nlogin = \"quiet\"\nextension = \"2000\"\nsip_password = \"quiet\"\nrecord = false\n\n\
                [[queue]]\nname = \"discreet\"\nmembers = [\"quiet\"]\nwrap_up_seconds = 0\n\n\
                [[number]]\nnumber = \"+74950000003\"\nto = \"queue:discreet\"\n";
    let mut office = Office::open(0, site, "").await;
    let quiet = PhoneSetup { answering: Answering::Rings, ..PhoneSetup::new(office.server.sip, "2000", "quiet") };
    let mut quiet = Phone::switch_on(quiet).unwrap();
    quiet.register(Duration::from_secs(300)).await.unwrap();
    let (status, _) = office.root.send("PUT", "agents/quiet/state", json!({"state": "ready"})).await;
    assert!(status < 300);
    let client = office.client.dial("74950000003").await.unwrap();
    let ringing = tokio::time::timeout(SOON, quiet.next_call()).await.unwrap().unwrap();
    ringing.answer().await.unwrap();
    ringing.hears_tone(CLIENT_HZ, SOON).await.unwrap();
    let failed = office.live.until("recording.failed").await;
    assert!(failed["data"]["trouble"].as_str().unwrap().contains("not kept"), "{failed}");
    client.hang_up().await.unwrap();
    let events = office.until_ended().await;
    assert_eq!(ended(&events)["recording_id"], Value::Null);
    let left = std::process::Command::new("find")
        .arg(office.server.folder.path().join("recordings"))
        .args(["-name", "*.wav*"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(left.stdout).unwrap(), "");
}

/// A trunk of its own by which +78001234567 and +78007654321 are reached, and the phone behind it.
async fn office_with_narrow_trunk(limit: &str, more_site: &str) -> (Office, Phone) {
    let port = free_port();
    let mut site = format!(
        "[[trunk]]\nname = \"narrow\"\ntargets = [\"127.0.0.1:{port}\"]\naccept_from = [\"127.0.0.1/32:{port}\"]\n{limit}\n\n{more_site}"
    );
    if more_site.is_empty() {
        for number in ["+78001234567", "+78007654321"] {
            site += &format!("[[number]]\nnumber = \"{number}\"\nto = \"trunk:narrow\"\n\n");
        }
    }
    let office = Office::open(2, &site, "").await;
    let far = PhoneSetup { local: ([127, 0, 0, 1], port).into(), ..PhoneSetup::new(office.server.sip, "far", "") };
    (office, Phone::switch_on(far).unwrap())
}

async fn is_refused_with_503(call: &PhoneCall) {
    match call.ended(SOON).await.unwrap() {
        Ended::Refused { status, .. } => assert_eq!(status, 503),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_at_its_limit_of_calls_takes_no_other_out() {
    let (mut office, _far) = office_with_narrow_trunk("max_calls = 1", "").await;
    let first = office.agents[0].dial("88001234567").await.unwrap();
    first.talking(SOON).await.unwrap();
    is_refused_with_503(&office.agents[1].dial("88007654321").await.unwrap()).await;
    assert_eq!(ended(&office.until_ended().await)["cause"], "trunk_failed");
    first.hang_up().await.unwrap();
    office.until_ended().await;
    let again = office.agents[1].dial("88007654321").await.unwrap();
    again.talking(SOON).await.unwrap();
    again.hang_up().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_full_trunk_cannot_take_goes_out_by_the_next_route() {
    let route = "[[route]]\nprefix = \"8800\"\ntrunk = \"narrow\"\n";
    let (mut office, _far) = office_with_narrow_trunk("max_calls = 1", route).await;
    let first = office.agents[0].dial("88001234567").await.unwrap();
    first.talking(SOON).await.unwrap();
    let second = office.agents[1].dial("88007654321").await.unwrap();
    let by_carrier = tokio::time::timeout(SOON, office.client.next_call()).await.expect("it rings in time").unwrap();
    by_carrier.answer().await.unwrap();
    second.talking(SOON).await.unwrap();
    second.hang_up().await.unwrap();
    first.hang_up().await.unwrap();
    office.until_ended().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_starts_no_more_calls_a_second_than_it_may_in_either_direction() {
    let (mut office, far) = office_with_narrow_trunk("max_cps = 1", "").await;
    let (first, second) =
        (office.agents[0].dial("88001234567").await.unwrap(), office.agents[1].dial("88007654321").await.unwrap());
    is_refused_with_503(&second).await;
    assert_eq!(ended(&office.until_ended().await)["cause"], "trunk_failed");
    first.talking(SOON).await.unwrap();
    first.hang_up().await.unwrap();
    office.until_ended().await;

    // In: whatever is left of that second, of two calls at once one at most gets through, and of two more none.
    let calls = [far.dial(NUMBER).await.unwrap(), far.dial(NUMBER).await.unwrap(), far.dial(NUMBER).await.unwrap()];
    is_refused_with_503(&calls[1]).await;
    is_refused_with_503(&calls[2]).await;
    let metrics = reqwest::get(format!("http://{}/metrics", office.server.http)).await.unwrap().text().await.unwrap();
    assert!(metrics.contains("perezvon_trunk_too_fast_total{trunk=\"narrow\"}"), "{metrics}");
    assert!(metrics.contains("perezvon_calls_ended_total{cause=\"trunk_failed\"} 1"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread")]
async fn comfort_noise_that_both_sides_take_reaches_both_and_is_silence_in_the_recording() {
    let number = "[[number]]\nnumber = \"+74951234568\"\nto = \"extension:1000\"\n";
    let mut office = Office::open(1, number, "").await;
    let agent = PhoneSetup { says: Says::Hush, comfort_noise: true, ..office.desk_phone(0) };
    office.agents[0] = Phone::switch_on(agent).unwrap();
    office.agents[0].register(Duration::from_secs(300)).await.unwrap();
    // Takes the carrier's port: the old phone goes first.
    let carrier =
        PhoneSetup { local: ([127, 0, 0, 1], office.carrier).into(), ..PhoneSetup::new(office.server.sip, "79160000001", "") };
    drop(std::mem::replace(&mut office.client, Phone::switch_on(PhoneSetup::new(office.server.sip, "x", "")).unwrap()));
    let client = loop {
        let setup = PhoneSetup { says: Says::Hush, comfort_noise: true, ..carrier.clone() };
        if let Ok(phone) = Phone::switch_on(setup) {
            break phone;
        }
        tokio::task::yield_now().await;
    };
    let calling = client.dial("74951234568").await.unwrap();
    let called = office.rings_at(0).await;
    called.answer().await.unwrap();
    for call in [&calling, &called] {
        call.hears(SOON, |heard| heard.comfort_noises >= 50).await.unwrap();
        assert_eq!(call.heard().loud_ms(), 0);
    }
    called.hang_up().await.unwrap();
    let events = office.until_ended().await;
    let (view, _, left, right) = office.recording_of(ended(&events)["id"].as_str().unwrap()).await;
    assert!(view["duration_ms"].as_u64().unwrap() >= 900 && view["gaps"] == serde_json::json!([]), "{view}");
    assert!(left.iter().chain(&right).all(|sample| *sample == 0));
}

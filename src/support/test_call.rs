//! `perezvon call`: calls as a carrier would, talks with a voice made by code, listens, and says in words what happened.
//! It proves the way from the trunk to an agent's ear and back, on any server.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use thiserror::Error;

use super::phone::{Ended, Phone, PhoneCall, PhoneError, PhoneSetup, Progress, Says};
use crate::clock;
use crate::types::Time;

/// The longest wait for an answer: queues may be long.
const ANSWER_PATIENCE: Duration = Duration::from_secs(180);

/// What to do.
#[derive(Clone, Debug)]
pub struct Options {
    /// Number to call.
    pub to: String,
    /// Caller's number, as the carrier would send it.
    pub from: String,
    /// How long to talk.
    pub seconds: u32,
    /// `host:port` of the server.
    pub server: String,
    /// Own `address:port`; the server knows its trunks by it.
    pub local: String,
}

/// What happened.
#[derive(Clone, Debug)]
pub struct TestCallReport {
    /// From dialling to the answer.
    pub answered_after: Duration,
    pub talked: Duration,
    pub packets_sent: u64,
    pub packets_received: u64,
    /// Sound that was not silence, before and after the answer.
    pub heard_ms: u64,
    /// The longest time of the talk in which no packet came, and the time without one before its end.
    pub longest_pause: Duration,
    pub pause_at_end: Duration,
    pub ended: Ended,
}

/// Why there was no conversation.
#[derive(Debug, Error)]
pub enum TestCallError {
    #[error("{0} is not an address with a port, like 127.0.0.1:5060")]
    Address(String),
    #[error("cannot open {local}: {source}")]
    Sockets { local: SocketAddr, source: PhoneError },
    #[error("{server} does not answer; is the server running there?")]
    NoServer { server: SocketAddr },
    #[error("the server refused the call: {status} {phrase}. {advice}")]
    Refused { status: u16, phrase: String, advice: &'static str },
    #[error("nobody answered within {} seconds", ANSWER_PATIENCE.as_secs())]
    NotAnswered,
    #[error("the server hung up before the call was answered")]
    HungUp,
    #[error("the call was answered, but no sound came back: look for a firewall between the RTP ports")]
    Deaf,
    #[error(
        "the call was answered and then broke off: nobody answered the hang-up, and sound came for {heard:.1} of {talked:.1} s; \
         did the server stop?"
    )]
    Vanished { heard: f32, talked: f32 },
    #[error(
        "the sound was broken: {received} packets came where {expected} were due; look for loss on the way, or an agent's \
         phone that sends nothing"
    )]
    Broken { received: u64, expected: u64 },
    #[error("the sound stopped: nothing came for the last {:.1} s of the talk; did the server restart, or the agent's phone fail?", .0.as_secs_f32())]
    FellSilent(Duration),
    #[error("the sound was interrupted: nothing came for {:.1} s in the middle of the talk; look for loss on the way", .0.as_secs_f32())]
    Interrupted(Duration),
    #[error("you hung up before anybody answered")]
    GivenUp,
    #[error(transparent)]
    Phone(#[from] PhoneError),
}

/// The command: prints the steps, ends early on Ctrl-C.
pub async fn run_from_command_line(options: Options) -> anyhow::Result<()> {
    let report = run(options, |step| println!("{step}")).await?;
    println!(
        "Good: answered after {:.1} s, talked {:.1} s, {} packets out, {} in, {:.1} s of sound heard, longest pause {} ms.",
        report.answered_after.as_secs_f32(),
        report.talked.as_secs_f32(),
        report.packets_sent,
        report.packets_received,
        report.heard_ms as f32 / 1000.0,
        report.longest_pause.as_millis()
    );
    Ok(())
}

/// Calls, talks, hangs up. `say` is told every step as a sentence.
pub async fn run(options: Options, mut say: impl FnMut(&str)) -> Result<TestCallReport, TestCallError> {
    let server = address_of(&options.server).await?;
    let local = own_address(&options.local, server).await?;
    let setup = PhoneSetup { local, says: Says::Voice { seed: 7 }, ..PhoneSetup::new(server, &options.from, "") };
    let phone = Phone::switch_on(setup).map_err(|source| TestCallError::Sockets { local, source })?;
    say(&format!("Calling {} at {server} from {} as {}.", options.to, phone.address(), options.from));
    let started = clock::now();
    let call = phone.dial(&options.to).await?;
    let mut answered = None;
    let outcome = tokio::select! {
        outcome = converse(&call, started, Duration::from_secs(options.seconds.into()), server, &mut answered, &mut say) => outcome,
        _ = tokio::signal::ctrl_c() => {
            say("Hanging up.");
            Ok(())
        }
    };
    let ended_at = clock::now();
    // Whatever happened, nobody is left ringing; a call that has ended already needs no more.
    let hung_up = tokio::time::timeout(BYE_PATIENCE, call.hang_up()).await;
    outcome?;
    let is_bye_answered = matches!(hung_up, Ok(Ok(()) | Err(PhoneError::Ended)));
    let (answered, packets_before) = answered.ok_or(TestCallError::GivenUp)?;
    let ended = call.ended(Duration::from_secs(5)).await.unwrap_or(Ended::NoAnswer);
    let heard = call.heard();
    let (longest_pause, pause_at_end) = heard.pauses(answered, ended_at);
    let report = TestCallReport {
        answered_after: answered - started,
        talked: ended_at - answered,
        packets_sent: heard.packets_sent,
        packets_received: heard.packets_received,
        heard_ms: heard.loud_ms(),
        longest_pause,
        pause_at_end,
        ended,
    };
    judge(report, packets_before, is_bye_answered)
}

/// How long the answer to our BYE may take.
const BYE_PATIENCE: Duration = Duration::from_secs(5);

/// Packets a second of every telephone that we meet: 20 ms each.
const PACKETS_A_SECOND: f64 = 50.0;
/// Fewer than half of what is due is no conversation. A second is for the beginning.
const LEAST_SHARE: f64 = 0.5;
/// Nobody takes a silence of this length on the line for a bad connection only.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// `packets_before`: what had come when the talk began.
fn judge(report: TestCallReport, packets_before: u64, is_bye_answered: bool) -> Result<TestCallReport, TestCallError> {
    let talked = report.talked.as_secs_f64();
    let received = report.packets_received.saturating_sub(packets_before);
    if report.packets_received == 0 {
        return Err(TestCallError::Deaf);
    }
    if !is_bye_answered || report.ended == Ended::NoAnswer {
        let heard = received as f64 / PACKETS_A_SECOND;
        return Err(TestCallError::Vanished { heard: heard as f32, talked: talked as f32 });
    }
    let expected = ((talked - 1.0).max(0.0) * PACKETS_A_SECOND) as u64;
    if (received as f64) < expected as f64 * LEAST_SHARE {
        return Err(TestCallError::Broken { received, expected });
    }
    if report.pause_at_end >= LONGEST_PAUSE {
        return Err(TestCallError::FellSilent(report.pause_at_end));
    }
    if report.longest_pause >= LONGEST_PAUSE {
        return Err(TestCallError::Interrupted(report.longest_pause));
    }
    Ok(report)
}

/// From ringing to the end of the talk; `answered` is told when it began and how many packets had come by then.
async fn converse(
    call: &PhoneCall,
    started: Time,
    talk: Duration,
    server: SocketAddr,
    answered: &mut Option<(Time, u64)>,
    say: &mut impl FnMut(&str),
) -> Result<(), TestCallError> {
    let mut progress = Progress::Calling;
    while progress != Progress::Talking {
        let left = ANSWER_PATIENCE.saturating_sub(clock::now() - started);
        let next = call.until(left, |now| *now != progress).await;
        progress = next.map_err(|error| if error == PhoneError::TooLate { TestCallError::NotAnswered } else { error.into() })?;
        match &progress {
            Progress::Ringing => say("Ringing."),
            Progress::EarlyMedia => say("The server plays sound before the answer."),
            Progress::Talking => say(&format!("Answered after {:.1} s.", (clock::now() - started).as_secs_f32())),
            Progress::Ended(how) => return Err(not_answered(how, server)),
            Progress::Calling => {}
        }
    }
    let (at, _) = *answered.insert((clock::now(), call.heard().packets_received));
    say(&format!("Talking for {} s.", talk.as_secs()));
    match call.ended(talk).await {
        Ok(how) => say(&format!("The other side ended the call after {:.1} s ({how:?}).", (clock::now() - at).as_secs_f32())),
        Err(_) => say("Hanging up."),
    }
    Ok(())
}

fn not_answered(how: &Ended, server: SocketAddr) -> TestCallError {
    match how {
        Ended::Refused { status, phrase } => {
            TestCallError::Refused { status: *status, phrase: phrase.clone(), advice: advice(*status) }
        }
        Ended::NoAnswer => TestCallError::NoServer { server },
        Ended::ByThem { .. } | Ended::ByUs => TestCallError::HungUp,
    }
}

/// What to look at.
fn advice(status: u16) -> &'static str {
    match status {
        401 | 403 | 407 => "No trunk accepts calls from this address: compare --local with accept_from in the site file.",
        404 | 484 => "No [[number]] leads anywhere for this number.",
        480 => "Nobody can take the call: is an agent of the queue ready, with a registered phone?",
        486 | 600 | 603 => "The called person is busy or declined.",
        488 => "No audio codec in common.",
        503 => "The server is full, stopping, or the trunk's limit is reached.",
        _ => "The server's log says more.",
    }
}

/// Names are looked up; IPv4 is preferred, as carriers do.
async fn address_of(text: &str) -> Result<SocketAddr, TestCallError> {
    let bad = || TestCallError::Address(text.into());
    let found: Vec<SocketAddr> = tokio::net::lookup_host(text).await.map_err(|_| bad())?.collect();
    found.iter().find(|address| address.is_ipv4()).or(found.first()).copied().ok_or_else(bad)
}

/// An unspecified address becomes the one that the way to `server` starts from, because the SDP must name it.
async fn own_address(text: &str, server: SocketAddr) -> Result<SocketAddr, TestCallError> {
    let mut local = address_of(text).await?;
    if local.ip().is_unspecified() || (local.ip().is_loopback() && !server.ip().is_loopback()) {
        let probe = || -> std::io::Result<SocketAddr> {
            let any: SocketAddr = if server.is_ipv4() { ([0, 0, 0, 0], 0).into() } else { ([0; 16], 0).into() };
            let socket = UdpSocket::bind(any)?;
            // Sends nothing: the kernel only chooses the way.
            socket.connect(server)?;
            socket.local_addr()
        };
        local.set_ip(probe().map_err(|_| TestCallError::NoServer { server })?.ip());
    }
    Ok(local)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(received: u64, ended: Ended) -> TestCallReport {
        TestCallReport {
            answered_after: Duration::from_secs(1),
            talked: Duration::from_secs(10),
            packets_sent: 500,
            packets_received: received,
            heard_ms: 0,
            longest_pause: Duration::from_millis(200),
            pause_at_end: Duration::from_millis(20),
            ended,
        }
    }

    #[test]
    fn only_a_call_with_sound_and_an_end_is_good() {
        assert!(judge(report(560, Ended::ByUs), 60, true).is_ok());
        assert!(matches!(judge(report(0, Ended::ByUs), 0, true), Err(TestCallError::Deaf)));
        for (ended, is_bye_answered) in [(Ended::NoAnswer, true), (Ended::ByUs, false)] {
            let vanished = judge(report(160, ended), 60, is_bye_answered);
            assert!(matches!(vanished, Err(TestCallError::Vanished { heard: 2.0, talked: 10.0 })), "{vanished:?}");
        }
        let music_only = judge(report(260, Ended::ByUs), 200, true);
        assert!(matches!(music_only, Err(TestCallError::Broken { received: 60, expected: 450 })), "{music_only:?}");
    }

    #[test]
    fn a_call_that_fell_silent_is_not_good_however_politely_it_ended() {
        let pause = Duration::from_secs(3);
        let restarted = TestCallReport { longest_pause: pause, pause_at_end: pause, ..report(410, Ended::ByUs) };
        assert!(matches!(judge(restarted, 60, true), Err(TestCallError::FellSilent(for_long)) if for_long == pause));
        let interrupted = TestCallReport { longest_pause: pause, ..report(410, Ended::ByUs) };
        assert!(matches!(judge(interrupted, 60, true), Err(TestCallError::Interrupted(for_long)) if for_long == pause));
    }
}

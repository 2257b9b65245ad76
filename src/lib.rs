//! Perezvon: a contact-centre and telephony integration server.
//!
//! The rooms below stand in the order a call flows through them. `○` marks a pure room: plain values that
//! decide, `handle(now, input) -> effects` and `next_deadline()`, without sockets, clocks, SQL or tokio.
//! The rest is thin IO that decides nothing. `tests/it/architecture.rs` holds the rules between them.

pub mod types; //       ○ the words: E164, CallId, LegId, AgentId, EndCause, Time
pub mod clock; //         the one place that reads the machine's clocks
pub mod config; //        the config file and its environment overrides
pub mod telemetry; //     logs without phone numbers, metrics names
pub mod transport; //     UDP and TCP: bytes in, bytes out
pub mod sip; //         ○ wire, transactions, dialogs, digest, registrar, endpoint
pub mod gateway; //     ○ SIP to leg: SDP, offer and answer, who is calling
pub mod call; //        ○ the machine of one call
pub mod routing; //     ○ who gets the call: numbers, routes, queues, agent choice
pub mod agents; //      ○ the agent state machine
pub mod media; //       ○ RTP, RTCP, G.711, tones, resampling
pub mod relay; //         media threads: ports, latching, forwarding, players, taps
pub mod recording; //     tap to file, repair, peaks
pub mod cards; //       ○ identity: numbers to cards
pub mod events; //      ○ the product's diary
pub mod connectors; //    programs outside: the voice
pub mod site; //        ○ the site file: parse, check, diff
pub mod access; //      ○ who may see and do what
pub mod engine; //        where decisions meet IO: call tasks, the floor task, the SIP task
pub mod store; //         all SQL
pub mod web; //           HTTP API, live websocket, the embedded desk
pub mod admin; //         apply, export, users and tokens, by control socket or on the data folder
pub mod support; //       for IT: the test caller
pub mod app; //           composition root: builds, starts and stops everything

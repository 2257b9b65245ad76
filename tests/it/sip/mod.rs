//! SIP from the outside: the torture messages of the RFCs, and real sockets.

mod torture;
mod transport;

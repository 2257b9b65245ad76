//! SIP from the outside: the torture messages of the RFCs, real sockets, and phones that call each other.

mod phone;
mod simulator;
mod torture;
mod transport;

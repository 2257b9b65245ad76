//! For IT: a SIP phone inside the program, and what it is good for. `perezvon call` is one of its calls, the demonstration
//! has two of them that answer by themselves, and the integration tests call with it. It talks to the server over real
//! sockets like any other phone and knows nothing of the inside.

pub mod demo_phone; // phones that answer by themselves
pub mod phone; //      the phone
pub mod test_call; //  `perezvon call`

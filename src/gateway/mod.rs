//! Where SIP becomes a leg: offers and answers, who is calling, statuses and causes. Below here nobody knows SIP.

pub mod sdp;

//! The SDP room from outside: plain phones, keys, browsers, and properties that hold for any text.

mod bargain;
mod browsers;
mod keys;
mod properties;
mod samples;

//! The endpoint from outside: messages in as text, messages out as text.

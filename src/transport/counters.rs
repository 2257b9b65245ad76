//! What the sockets have seen since the start.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Totals since the start; `each` names them for the metrics page.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            pub fn each(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }

        #[derive(Debug, Default)]
        pub(super) struct Counts {
            $(pub(super) $name: AtomicU64,)*
        }

        impl Counts {
            pub(super) fn snapshot(&self) -> Counters {
                Counters { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }
    };
}

counters! {
    messages_received,
    messages_sent,
    /// Datagrams dropped because the endpoint did not keep up.
    datagrams_dropped,
    /// Datagrams that the kernel did not take.
    datagrams_unsent,
    /// Bytes that are no message and cannot be answered.
    malformed,
    keep_alives,
    connections_opened,
    connections_accepted,
    /// Connections closed at once, over a cap.
    connections_refused,
    /// Connections cut because the peer did not read, did not finish a message, or broke the framing.
    connections_cut,
}

pub(super) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

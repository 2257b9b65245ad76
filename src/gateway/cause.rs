//! Statuses to failures and causes to statuses: the only place where SIP's numbers meet the call's words.

use crate::call::LegFailure;
use crate::sip::endpoint::{Failure, LocalFailure};
use crate::sip::wire::Status;
use crate::types::EndCause;

/// Why a leg that we dialled came to nothing, in the call's words. `is_trunk`: a carrier answered, not a person's phone.
pub fn leg_failure(failure: &Failure, is_trunk: bool) -> LegFailure {
    if failure
        .local
        .is_some_and(|local| matches!(local, LocalFailure::Refused | LocalFailure::Unreachable | LocalFailure::Timeout))
    {
        return if is_trunk { LegFailure::TrunkFailed } else { LegFailure::Unreachable };
    }
    match failure.status.code() {
        486 | 600 => LegFailure::Busy,
        603 | 607 | 608 => LegFailure::Declined,
        408 | 480 | 487 => LegFailure::NoAnswer,
        404 | 410 | 484 | 604 => LegFailure::NotFound,
        401 | 403 | 407 => LegFailure::Forbidden,
        415 | 488 | 606 => LegFailure::NoCommonCodec,
        _ if is_trunk => LegFailure::TrunkFailed,
        _ => LegFailure::Unreachable,
    }
}

/// Whether another target of the same trunk may do better: the carrier's machine failed, not the number (RFC 3263 §4.3).
pub fn is_worth_another_target(failure: &Failure) -> bool {
    failure.local.is_some() || matches!(failure.status.code(), 408 | 500..=599)
}

/// The final answer to a caller whom nobody will answer.
pub fn status_for(cause: EndCause) -> Status {
    match cause {
        EndCause::Busy => Status::BUSY_HERE,
        EndCause::Declined => Status::DECLINE,
        EndCause::NoAnswer | EndCause::Unreachable | EndCause::QueueUnavailable | EndCause::HungUpByApi => {
            Status::TEMPORARILY_UNAVAILABLE
        }
        EndCause::NoRoute | EndCause::NotFound => Status::NOT_FOUND,
        EndCause::Forbidden => Status::FORBIDDEN,
        EndCause::NoCommonCodec => Status::NOT_ACCEPTABLE_HERE,
        EndCause::Abandoned => Status::REQUEST_TERMINATED,
        EndCause::TrunkFailed | EndCause::Overload | EndCause::Shutdown | EndCause::ServerRestart => Status::SERVICE_UNAVAILABLE,
        EndCause::Normal | EndCause::RtpTimeout | EndCause::TooLong | EndCause::Merged => Status::TEMPORARILY_UNAVAILABLE,
    }
}

/// A Reason header (RFC 3326) for a BYE or CANCEL; `None` where the usual hang-up says it all.
pub fn reason_for(cause: EndCause) -> Option<&'static str> {
    match cause {
        EndCause::RtpTimeout => Some("SIP;cause=408;text=\"No RTP\""),
        EndCause::TooLong => Some("SIP;cause=408;text=\"Longest call reached\""),
        EndCause::NoCommonCodec => Some("SIP;cause=488;text=\"No common codec\""),
        EndCause::Shutdown => Some("SIP;cause=503;text=\"Server stops\""),
        _ => None,
    }
}

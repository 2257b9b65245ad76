//! A request as it came in, with the headers that everyone looks at read once.

use std::sync::Arc;

use crate::sip::wire::{CSeq, Flow, HeaderError, HeaderName, Method, Request, Text, Via};

#[derive(Clone, Debug)]
pub(super) struct Incoming {
    pub(super) flow: Flow,
    /// Its top Via holds `received` and `rport` already.
    pub(super) request: Arc<Request>,
    pub(super) via: Via,
    pub(super) call_id: Text,
    pub(super) cseq: CSeq,
    pub(super) from_tag: Option<Text>,
    pub(super) to_tag: Option<Text>,
}

impl Incoming {
    /// Notes in the Via where the request really came from (RFC 3261 §18.2.1). Fails only where the parser would have.
    pub(super) fn new(flow: Flow, mut request: Request) -> Result<Incoming, HeaderError> {
        let mut via = request.headers.via()?;
        via.note_source(flow.remote);
        request.headers.set_first(HeaderName::Via, via.to_string());
        Ok(Incoming {
            flow,
            via,
            call_id: request.headers.call_id()?,
            cseq: request.headers.cseq()?,
            from_tag: request.headers.from_tag(),
            to_tag: request.headers.to_tag(),
            request: Arc::new(request),
        })
    }

    pub(super) fn method(&self) -> &Method {
        &self.request.method
    }
}

//! Hands the bodies of answers to hyper in parts, and records them.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::response::Response;
use hyper::body::{Frame, SizeHint};
use ironstar_web::Unread;

use super::activity::Answering;

/// The size in bytes of a part of an answer. hyper asks for the first part before the client
/// has room for it, and for one part more than it has agreed to hold.
const PART: usize = 16 * 1024;

/// The body of an answer. hyper asks for more of it when it has room.
#[derive(Debug)]
pub(super) struct Answer {
    body: Body,
    /// The rest of a frame that was larger than a part.
    rest: Bytes,
    answering: Answering,
}

/// Returns the answer to a request, to be sent part by part.
pub(super) fn answer(mut response: Response, answering: Answering) -> hyper::Response<Answer> {
    let counts: Option<Unread> = response.extensions_mut().remove();
    response.map(|body| {
        let is_stream = body.size_hint().exact().is_none();
        Answer {
            body,
            rest: Bytes::new(),
            answering: answering.with(counts, is_stream),
        }
    })
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let frame = Pin::new(&mut self.body).poll_frame(context);
            self.answering.wait(frame.is_pending());
            match frame {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                other @ (Poll::Pending | Poll::Ready(None | Some(Err(_)))) => return other,
            }
        }
        let size = self.rest.len().min(PART);
        let part = self.rest.split_to(size);
        self.answering.give(size);
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (rest, hint) = (self.rest.len() as u64, self.body.size_hint());
        if rest == 0 {
            return hint;
        }
        let mut whole = SizeHint::new();
        whole.set_lower(hint.lower() + rest);
        if let Some(upper) = hint.upper() {
            whole.set_upper(upper + rest);
        }
        whole
    }
}

//! Taking in a body, with a limit on its size, on its time, and on what all bodies together hold.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rejection::Rejection;
use crate::config;

/// The limits, and what is left of them.
#[derive(Clone)]
pub struct Bodies {
    bytes_max: usize,
    timeout: Duration,
    /// What bodies may hold beyond their first [`FREE_BYTES`]. A genuine IPN has some 3 KiB and needs none of it, so
    /// nobody can take its room by sending large bodies slowly.
    room: Arc<Semaphore>,
}

impl Bodies {
    /// All room is free.
    pub fn new(settings: &config::Ingress) -> Self {
        Self {
            bytes_max: settings.body_bytes_max,
            timeout: Duration::from_millis(settings.body_timeout_ms),
            room: Arc::new(Semaphore::new(settings.body_bytes_in_flight_max.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// The whole body; the room it takes is held until the second value is dropped.
    pub(super) async fn take(&self, request: &HttpRequest, payload: web::Payload) -> Result<Taken, Rejection> {
        let announced =
            request.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > self.bytes_max) {
            return Err(Rejection::TooLarge(self.bytes_max));
        }
        match tokio::time::timeout(self.timeout, self.read(payload, announced.unwrap_or(FREE_BYTES))).await {
            Ok(taken) => taken,
            Err(_) => Err(Rejection::SlowBody(self.timeout)),
        }
    }

    async fn read(&self, mut payload: web::Payload, announced: usize) -> Result<Taken, Rejection> {
        // What is announced is not sent yet.
        let mut body = Vec::with_capacity(announced.min(FREE_BYTES));
        let mut room: Option<OwnedSemaphorePermit> = None;
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| Rejection::BrokenBody)?;
            if body.len() + chunk.len() > self.bytes_max {
                return Err(Rejection::TooLarge(self.bytes_max));
            }
            let needed = (body.len() + chunk.len()).saturating_sub(FREE_BYTES);
            let held = room.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            if needed > held {
                let more = u32::try_from(needed - held).map_err(|_| Rejection::NoRoom)?;
                let more = Arc::clone(&self.room).try_acquire_many_owned(more).map_err(|_| Rejection::NoRoom)?;
                match &mut room {
                    Some(room) => room.merge(more),
                    None => room = Some(more),
                }
            }
            body.extend_from_slice(&chunk);
        }
        Ok((body, room))
    }
}

type Taken = (Vec<u8>, Option<OwnedSemaphorePermit>);

const FREE_BYTES: usize = 16 * 1024;

//! Reads request bodies with limits on size, on time, and on the memory of all bodies together.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use futures_util::StreamExt as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::rejection::Rejection;
use crate::config;

/// The limits of bodies, and the memory that is left.
#[derive(Clone)]
pub struct Bodies {
    bytes_max: usize,
    timeout: Duration,
    /// The memory that bodies may use beyond their first [`FREE_BYTES`]. A genuine IPN has about 3 KiB and needs none
    /// of it, so large slow bodies cannot block it.
    memory: Arc<Semaphore>,
}

impl Bodies {
    /// Limits from the settings, with all memory free.
    pub fn new(settings: &config::Ingress) -> Self {
        Self {
            bytes_max: settings.body_bytes_max,
            timeout: Duration::from_millis(settings.body_timeout_ms),
            memory: Arc::new(Semaphore::new(settings.body_bytes_in_flight_max.min(Semaphore::MAX_PERMITS))),
        }
    }

    /// Reads a whole body.
    pub(super) async fn read(&self, request: &HttpRequest, payload: web::Payload) -> Result<Body, Rejection> {
        let announced =
            request.headers().get("content-length").and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        if announced.is_some_and(|length| length > self.bytes_max) {
            return Err(Rejection::TooLarge(self.bytes_max));
        }
        match tokio::time::timeout(self.timeout, self.collect(payload, announced.unwrap_or(FREE_BYTES))).await {
            Ok(body) => body,
            Err(_) => Err(Rejection::SlowBody(self.timeout)),
        }
    }

    async fn collect(&self, mut payload: web::Payload, announced: usize) -> Result<Body, Rejection> {
        // Content-Length is a claim of the sender, so it reserves only the free bytes.
        let mut bytes = Vec::with_capacity(announced.min(FREE_BYTES));
        let mut memory: Option<OwnedSemaphorePermit> = None;
        while let Some(chunk) = payload.next().await {
            let chunk = chunk.map_err(|_| Rejection::IncompleteBody)?;
            if bytes.len() + chunk.len() > self.bytes_max {
                return Err(Rejection::TooLarge(self.bytes_max));
            }
            let room = room_for(bytes.len() + chunk.len(), bytes.capacity(), self.bytes_max);
            let needed = room.saturating_sub(FREE_BYTES);
            let held = memory.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            if needed > held {
                let more = u32::try_from(needed - held).map_err(|_| Rejection::NoMemory)?;
                let more = Arc::clone(&self.memory).try_acquire_many_owned(more).map_err(|_| Rejection::NoMemory)?;
                match &mut memory {
                    Some(held) => held.merge(more),
                    None => memory = Some(more),
                }
            }
            bytes.reserve_exact(room - bytes.len());
            bytes.extend_from_slice(&chunk);
        }
        Ok(Body { bytes, _memory: memory })
    }
}

/// The capacity of the buffer for a body of so many bytes. It doubles, so that few bytes are copied.
fn room_for(bytes: usize, capacity: usize, bytes_max: usize) -> usize {
    if bytes <= capacity { capacity } else { (2 * capacity).clamp(bytes, bytes_max.max(bytes)) }
}

/// A whole body, and the memory that it holds until it is dropped.
pub(super) struct Body {
    pub(super) bytes: Vec<u8>,
    _memory: Option<OwnedSemaphorePermit>,
}

/// Each body may use this much without a permit.
const FREE_BYTES: usize = 16 * 1024;

//! The connections of the public port. Anybody can open them, so their number and what each may hold are limited, and a connection
//! that waits for its sender never keeps out one that brings a message.
//!
//! At the limit the connection ends that has waited for its sender for the longest time: an idle one, or one whose request does
//! not get complete. A request that is complete is never interrupted.

mod stream;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::net::TcpStream;

pub use self::stream::LimitedStream;

/// All connections of the port.
#[derive(Clone)]
pub struct Connections(Arc<Shared>);

struct Shared {
    max: usize,
    open: Mutex<Open>,
    ended_at_limit: AtomicUsize,
    heads_too_large: AtomicUsize,
}

#[derive(Default)]
struct Open {
    /// Those that do not have to end.
    count: usize,
    /// Those that wait for their sender, longest first.
    waiting: BTreeMap<u64, Arc<Connection>>,
    next_place: u64,
}

/// One connection.
pub struct Connection {
    shared: Arc<Shared>,
    state: Mutex<State>,
    /// The head of a request is still incomplete, or none has begun.
    awaits_head: AtomicBool,
    /// Bytes that came while the head was incomplete.
    head_bytes: AtomicUsize,
    reader: AtomicWaker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It waits for its sender, at this place.
    Waits(u64),
    /// A complete request is being answered.
    Works,
    /// It has to end, or has ended.
    Ends,
}

/// The numbers of connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Open at present.
    pub open: usize,
    /// Of these, those that wait for their sender.
    pub waiting: usize,
    /// Ended so far because there were too many.
    pub ended_at_limit: usize,
    /// Ended so far because the head of a request was too large.
    pub heads_too_large: usize,
}

impl Connections {
    /// None is open; at most `max` will be.
    pub fn new(max: usize) -> Self {
        let (ended_at_limit, heads_too_large) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self(Arc::new(Shared { max, open: Mutex::default(), ended_at_limit, heads_too_large }))
    }

    /// The limit.
    pub fn max(&self) -> usize {
        self.0.max
    }

    /// Takes in a new connection. At the limit another one ends; if all of them work, the new one ends.
    pub fn accept(&self, io: TcpStream) -> LimitedStream {
        LimitedStream::new(io, self.open())
    }

    /// The numbers at present.
    pub fn counts(&self) -> Counts {
        let open = self.0.open.lock();
        Counts {
            open: open.count,
            waiting: open.waiting.len(),
            ended_at_limit: self.0.ended_at_limit.load(Ordering::Relaxed),
            heads_too_large: self.0.heads_too_large.load(Ordering::Relaxed),
        }
    }

    /// Ends those on which nothing of a next request has come. For the end of the process: others end after their answer.
    pub fn end_idle(&self) {
        let mut open = self.0.open.lock();
        let is_idle = |_: &u64, connection: &mut Arc<Connection>| {
            connection.awaits_head.load(Ordering::Relaxed) && connection.head_bytes.load(Ordering::Relaxed) == 0
        };
        let idle: Vec<Arc<Connection>> =
            open.waiting.extract_if(.., is_idle).map(|(_, connection)| connection).collect();
        idle.iter().for_each(|connection| open.end(connection));
    }

    fn open(&self) -> Arc<Connection> {
        let mut open = self.0.open.lock();
        let connection = Arc::new(Connection {
            shared: self.0.clone(),
            state: Mutex::new(State::Ends),
            awaits_head: AtomicBool::new(true),
            head_bytes: AtomicUsize::new(0),
            reader: AtomicWaker::new(),
        });
        if open.count >= self.0.max {
            self.0.ended_at_limit.fetch_add(1, Ordering::Relaxed);
            let Some((_, longest)) = open.waiting.pop_first() else { return connection };
            open.end(&longest);
        }
        open.count += 1;
        open.add_waiting(&connection);
        drop(open);
        connection
    }
}

impl Open {
    fn add_waiting(&mut self, connection: &Arc<Connection>) {
        let place = self.next_place;
        self.next_place += 1;
        *connection.state.lock() = State::Waits(place);
        self.waiting.insert(place, connection.clone());
    }

    /// The connection must be counted, and no longer wait.
    fn end(&mut self, connection: &Connection) {
        self.count -= 1;
        *connection.state.lock() = State::Ends;
        connection.reader.wake();
    }
}

/// A complete request is being answered; afterwards the connection waits for its sender again.
pub struct Working(Arc<Connection>);

impl Connection {
    /// The head of a request is complete.
    pub fn head_is_complete(&self) {
        self.awaits_head.store(false, Ordering::Relaxed);
        self.head_bytes.store(0, Ordering::Relaxed);
    }

    /// A whole request is there: the connection does not end before it is answered.
    pub fn work(self: &Arc<Self>) -> Working {
        let mut open = self.shared.open.lock();
        let mut state = self.state.lock();
        if let State::Waits(place) = *state {
            open.waiting.remove(&place);
            *state = State::Works;
        }
        Working(self.clone())
    }

    /// A request was answered, and the head of the next one may come.
    pub fn awaits_next_head(&self) {
        self.awaits_head.store(true, Ordering::Relaxed);
    }

    fn has_to_end(&self) -> bool {
        *self.state.lock() == State::Ends
    }

    fn has_ended(&self) {
        let mut open = self.shared.open.lock();
        match std::mem::replace(&mut *self.state.lock(), State::Ends) {
            State::Waits(place) => {
                open.waiting.remove(&place);
                open.count -= 1;
            }
            State::Works => open.count -= 1,
            State::Ends => {}
        }
    }
}

impl Drop for Working {
    fn drop(&mut self) {
        let mut open = self.0.shared.open.lock();
        if *self.0.state.lock() == State::Works {
            open.add_waiting(&self.0);
        }
    }
}

#[cfg(test)]
mod tests;

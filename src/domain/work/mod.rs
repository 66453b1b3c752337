//! Which object to read next, and what is still owed. Time is an argument.

mod breaker;
mod cause;
mod lane;
mod offsets;
mod queue;
mod quota;

pub use breaker::{Breaker, BreakerChange, BreakerRule};
pub use cause::{Cause, InboxPosition, Origin, Pending};
pub use offsets::Offsets;
pub use queue::{PutBack, Settled, WorkQueue};
pub use quota::{Quota, TokenBucket};

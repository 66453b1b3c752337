//! The queue of reads: which object to read next, and which work is open. Time is an argument.

mod queue;

mod account_work;
mod lane;

mod breaker;
mod quota;

mod entries;
mod entry;

mod arrivals;
mod cause;
mod dropped_records;
mod offsets;

pub use account_work::Rules;
pub use arrivals::Arrivals;
pub use breaker::{Breaker, BreakerChange, BreakerRule, HoldChange, Trouble};
pub use cause::{Cause, ClaimedPermission, InboxPosition, Origin, Pending};
pub use dropped_records::{DroppedRecords, OffsetRange, Uncopied};
pub use entry::{Completed, ReadHistory, Requeue};
pub use offsets::Offsets;
pub use queue::{BoundHits, LaneReport, Released, WorkQueue};
pub use quota::{Quota, TokenBucket};

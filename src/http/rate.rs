//! How often something may happen that others ask for.

use std::num::NonZeroU32;

use governor::Quota;

/// So many times a second, and ten times as many at once. 0 counts as 1.
pub fn rate(per_second: u32) -> Quota {
    let per_second = NonZeroU32::new(per_second).unwrap_or(NonZeroU32::MIN);
    Quota::per_second(per_second).allow_burst(per_second.saturating_mul(BURST_S))
}

/// A bucket holds the tokens of this many seconds.
const BURST_S: NonZeroU32 = NonZeroU32::new(10).expect("not zero");

//! What the fuzz targets and the generator of their seeds share. The targets are in `fuzz_targets/`; `scripts/fuzz`
//! runs them.
//!
//! Nothing here uses the code under test to judge that code.

pub mod signed_text;

pub mod authority;

pub mod parts;

pub mod record;
pub mod stage;

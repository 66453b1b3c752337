//! Hostile cases with their verdicts.

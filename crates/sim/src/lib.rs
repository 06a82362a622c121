//! Runs shards and phones in a virtual world: one clock, one seed.

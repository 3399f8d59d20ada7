//! placeholder
/// The states of one shard's entities.
pub trait Tables<D> {}

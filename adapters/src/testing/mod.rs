//! What tests of adapters and of the node need beside the adapters themselves; behind the feature `testing`.

pub mod infobase;

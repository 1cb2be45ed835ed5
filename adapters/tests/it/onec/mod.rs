//! Metadata of 1C out of files in memory: reading it needs no server.

mod broken;
mod mapping;
mod memory;

//! RabbitMQ against a real broker.

mod broker;
mod faults;
mod laws;
mod shared;
mod sink;
mod source;

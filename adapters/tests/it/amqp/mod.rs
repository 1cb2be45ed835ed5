//! RabbitMQ against a real broker.

mod broker;
mod faults;
mod laws;
mod sink;
mod source;

//! RabbitMQ against a real broker.

mod broker;
mod faults;
mod sink;
mod source;

//! The actors and the machine over in-memory systems, on virtual time.

mod behaviour;
mod brokers;
mod case;
mod defects;
mod monitor;
mod scene;
mod simulation;
mod stage;

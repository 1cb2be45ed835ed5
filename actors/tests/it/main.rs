//! The actors and the machine over in-memory systems, on virtual time.

mod behaviour;
mod case;
mod defects;
mod monitor;
mod simulation;
mod stage;

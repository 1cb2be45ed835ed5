//! The node from outside: the built binary against real databases and brokers, and the shape of the repository.
//!
//! Servers are named by `DAJET_TEST_PGSQL`, `DAJET_TEST_KAFKA` and `DAJET_TEST_AMQP`; `docker/services.sh run` sets them.
#![expect(clippy::unwrap_used, reason = "a test fails where it stands")]

mod agreement;
mod brokers;
mod command_line;
mod decimals;
mod delivery;
mod exactly_once;
mod example_scripts;
mod first_light;
mod hosting;
mod infobase;
mod ledger;
mod look_ups;
mod mistakes;
mod names;
mod names_in_queries;
mod node;
mod odd_values;
mod outages;
mod pairs;
mod preparation;
mod queries;
mod rabbitmq;
mod refusals;
mod schema;
mod sequences;
mod servers;
mod several_types;
mod sqlite;
mod stopping;
mod tidy;
mod twins;
mod undeclared;
mod vanishing;

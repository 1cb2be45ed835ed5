//! Prints a small infobase of 1C as SQL for PostgreSQL, or the mapping that a reader of its metadata must come to.
//!
//! `cargo run -p dajet-adapters --features testing --example infobase -- --seed 7 | psql база`

use std::io::{self, Write};
use std::process::ExitCode;

use dajet_adapters::testing::infobase::Infobase;

const USAGE: &str = "infobase [--seed N] [--catalogs N] [--year-offset N] [--mapping]

Prints SQL for PostgreSQL that makes an infobase in an empty database.
  --seed N         other numbers of tables and columns
  --catalogs N     this many catalogs more
  --year-offset N  years added to every date
  --mapping        prints the expected mapping instead";

fn main() -> ExitCode {
    match text(std::env::args().skip(1)) {
        Ok(text) => match io::stdout().lock().write_all(text.as_bytes()) {
            Ok(()) => ExitCode::SUCCESS,
            // Nobody reads on: `| head`.
            Err(_) => ExitCode::FAILURE,
        },
        Err(message) => {
            eprintln!("error: {message}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn text(mut arguments: impl Iterator<Item = String>) -> Result<String, String> {
    let (mut seed, mut catalogs, mut years, mut mapping) = (1, 0, 0, false);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let value = arguments.next().unwrap_or_default();
            value
                .parse::<u32>()
                .map_err(|_| format!("{argument} needs a number, not \"{value}\""))
        };
        match argument.as_str() {
            "--seed" => seed = number()?,
            "--catalogs" => catalogs = number()?,
            "--year-offset" => years = number()?,
            "--mapping" => mapping = true,
            _ => return Err(format!("unknown argument \"{argument}\"")),
        }
    }
    let infobase = Infobase::with_catalogs(seed.into(), catalogs as usize).with_year_offset(years);
    Ok(match mapping {
        true => infobase.mapping(),
        false => infobase.sql(),
    })
}

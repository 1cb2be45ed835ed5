//! Tests of the language from outside. The cases are data: `tests/cases/<area>/<name>.case`.

mod case;
mod cases;
mod reference;
mod robustness;
mod show;
mod speed;
mod trace;
mod world;

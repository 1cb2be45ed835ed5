//! Metadata of 1C:Enterprise: which table and which columns hold `РегистрСведений.ИсходящиеСообщения.НомерСообщения`.
//!
//! It is read from the service tables of the infobase itself, over [`Store`], that any database can implement; nothing is
//! written there. [`Metadata`] reads lists, heads and numbers when it is opened, and files of objects when something of
//! them is asked. What it derives is checked with the real columns of the table: those decide.
//!
//! Extensions, calculation registers, external data and document journals are not known here.

mod bracket;
mod check;
mod configuration;
mod custom;
mod derive;
mod derived;
mod error;
mod index;
mod inflate;
mod kind;
mod metadata;
mod model;
mod name;
mod numbers;
mod reading;
mod register;
mod store;
mod types;
mod value;

pub use bracket::{Broken, Item, Tree};
pub(crate) use check::check;
pub(crate) use custom::follow;
pub use derived::Derived;
pub use error::MetadataError;
pub(crate) use metadata::SECTION;
pub use metadata::{Metadata, NamedValue};
pub(crate) use name::{in_russian, nearly_in_russian};
pub use store::{Place, Store, StoredFile};
pub(crate) use value::database_form;

/// True for a text of the form of a logical name: the word for a kind, a name, perhaps a part.
pub fn is_name(text: &str) -> bool {
    name::Name::parse(text).is_some()
}

//! Type codes of the references that variables hold. They are numbers of one state of a database: one that comes back under other
//! numbers gives its objects others, and what stands before the source is not run again.

use std::collections::BTreeMap;
use std::sync::Arc;

use dajet_core::schema::MetadataKey;
use dajet_core::{Address, ErrorClass, Service, SystemError};
use parking_lot::Mutex;

use crate::generation::Progress;

/// The objects that type codes of variables mean, by their full names; `None` before the first generation has asked.
#[derive(Default)]
pub(crate) struct Codes(Mutex<Option<BTreeMap<i32, Arc<str>>>>);

/// Sees to it that the references of variables mean what they meant when the pipeline began. Variables that may come from
/// another database than the source's are left alone.
///
/// # Errors
/// `Transient` if they had to be changed: the generation has begun with the old ones. Any class if the database does not answer.
pub(crate) async fn keep(
    progress: &Progress,
    address: &Address,
    service: &dyn Service,
) -> Result<(), SystemError> {
    let mut variables = progress.variables();
    let known = progress.codes().0.lock().clone();
    let Some(known) = known else {
        let mut codes = BTreeMap::new();
        if variables.come_from(address) {
            variables.recode(|code| *codes.entry(code).or_insert(code));
        }
        let named = names(codes.into_keys(), service).await?;
        *progress.codes().0.lock() = Some(named);
        return Ok(());
    };
    let mut changed = BTreeMap::new();
    let mut next = BTreeMap::new();
    for (code, name) in known {
        let object = service.metadata(&MetadataKey::Name(name.clone())).await?;
        let now = object.map_or(0, |object| object.code);
        let now = if now == 0 { code } else { now };
        if now != code {
            changed.insert(code, now);
        }
        next.insert(now, name);
    }
    if changed.is_empty() {
        return Ok(());
    }
    variables.recode(|code| changed.get(&code).copied().unwrap_or(code));
    progress.set_variables(variables);
    *progress.codes().0.lock() = Some(next);
    let message = "references have other type codes since the configuration was updated";
    Err(SystemError::transient("E_DB", message)
        .with_hint("The variables are changed, and the script goes on with them."))
}

/// The names of what type codes mean; a database that cannot tell knows none.
async fn names(
    codes: impl Iterator<Item = i32>,
    service: &dyn Service,
) -> Result<BTreeMap<i32, Arc<str>>, SystemError> {
    let mut named = BTreeMap::new();
    for code in codes {
        match service.metadata(&MetadataKey::Code(code)).await {
            Ok(Some(object)) => drop(named.insert(code, object.full_name.clone())),
            Ok(None) => {}
            Err(error) if error.class == ErrorClass::Misconfigured => break,
            Err(error) => return Err(error),
        }
    }
    Ok(named)
}

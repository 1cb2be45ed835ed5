//! Records: rows of values, and the shape that names their columns.

use std::sync::Arc;

use crate::Value;

/// The names of a record's columns, in order; unique.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// Column names.
    pub names: Vec<Arc<str>>,
}

impl Shape {
    /// Makes a shape of these names.
    pub fn new<N: Into<Arc<str>>>(names: impl IntoIterator<Item = N>) -> Arc<Self> {
        Arc::new(Self {
            names: names.into_iter().map(Into::into).collect(),
        })
    }

    /// Finds a column by its exact name.
    pub fn index(&self, name: &str) -> Option<usize> {
        self.names.iter().position(|n| &**n == name)
    }
}

/// One row: a value for each column of its shape, in order.
pub type Record = Vec<Value>;

/// Rows of one shape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Records {
    /// The columns.
    pub shape: Arc<Shape>,
    /// The rows, in order.
    pub rows: Vec<Record>,
}

impl Records {
    /// Bytes held by all the rows, as [`Value::size`] counts.
    pub fn size(&self) -> usize {
        self.rows.iter().flatten().map(Value::size).sum()
    }
}

/// The ORDER BY values of the records of a batch. A refused record is named by them (`НомерСообщения = 57`): the Transformer
/// keeps them with the batch, notes for each emitted record the source record that it came from, and so the Producer and the
/// Committer can translate `SystemError::record` (an index of emitted records) into the row of the queue.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrderKeys {
    /// Logical names of the ORDER BY columns, in order, then of the columns of the table's key that are not among them; empty
    /// if the source has neither.
    pub shape: Arc<Shape>,
    /// The values, record after record: `shape.names.len()` for each.
    pub values: Vec<Value>,
}

impl OrderKeys {
    /// Names the record at `index`: `НомерСообщения = 57, Код = a`; `None` without order or behind the end.
    /// Long texts are cut.
    pub fn describe(&self, index: usize) -> Option<String> {
        let width = self.shape.names.len();
        let values = self.values.get(index.checked_mul(width)?..)?.get(..width)?;
        let pairs = self.shape.names.iter().zip(values).map(|(name, value)| {
            let text = match value {
                Value::Integer(number) => number.to_string(),
                Value::Decimal(number) => number.to_string(),
                Value::DateTime(time) => time.to_string(),
                Value::Uuid(uuid) => uuid.to_string(),
                Value::Entity(entity) => format!("{{{}:{}}}", entity.code, entity.uuid),
                Value::Text(text) => text.chars().take(100).collect(),
                other => other.type_name().to_owned(),
            };
            format!("{name} = {text}")
        });
        Some(pairs.collect::<Vec<_>>().join(", ")).filter(|text| !text.is_empty())
    }
}

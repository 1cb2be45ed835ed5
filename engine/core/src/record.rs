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

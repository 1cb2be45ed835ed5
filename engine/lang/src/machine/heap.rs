//! The heap of a machine: objects and arrays live here, values are handles, so that assignment shares. Trees are copied
//! in where values enter and copied out where they leave.

use std::sync::Arc;

use dajet_core::{Object, Record, Shape, Value};

/// Deepest nesting of a value that leaves the machine; a value that contains itself runs into it.
pub(crate) const DEPTH_MAX: usize = 256;

/// A value within the machine.
#[derive(Clone, Debug)]
pub(crate) enum Datum {
    /// Anything but an object or array.
    Scalar(Value),
    /// An object, by its place in the heap.
    Object(Handle),
    /// An array, by its place in the heap.
    Array(Handle),
}

/// A place in the heap.
pub(crate) type Handle = u32;

/// The empty value.
pub(crate) const NULL: Datum = Datum::Scalar(Value::Null);

impl Datum {
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Datum::Scalar(Value::Null))
    }

    pub(crate) fn text(text: impl Into<bytestring::ByteString>) -> Self {
        Datum::Scalar(Value::Text(text.into()))
    }

    /// The type's word.
    pub(crate) fn type_name(&self) -> &'static str {
        match self {
            Datum::Scalar(value) => value.type_name(),
            Datum::Object(_) => "object",
            Datum::Array(_) => "array",
        }
    }

    /// The value, unless it is an object or array.
    pub(crate) fn scalar_mut(&mut self) -> Option<&mut Value> {
        match self {
            Datum::Scalar(value) => Some(value),
            Datum::Object(_) | Datum::Array(_) => None,
        }
    }

    fn handle(&self) -> Option<Handle> {
        match self {
            Datum::Scalar(_) => None,
            Datum::Object(handle) | Datum::Array(handle) => Some(*handle),
        }
    }
}

/// What lives in the heap.
#[derive(Clone, Debug)]
pub(crate) enum Node {
    /// A record as a source or answer gave it, scalars only: its names are shared with its batch.
    Row(Arc<Shape>, Record),
    /// An object that the script made or changed.
    Object(Vec<(Arc<str>, Datum)>),
    /// An array.
    Array(Vec<Datum>),
}

/// The value contains itself, or is nested too deep.
#[derive(Debug)]
pub(crate) struct TooDeep;

/// Objects and arrays.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heap {
    nodes: Vec<Node>,
}

impl Heap {
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn node(&self, handle: Handle) -> &Node {
        &self.nodes[handle as usize]
    }

    pub(crate) fn node_mut(&mut self, handle: Handle) -> &mut Node {
        &mut self.nodes[handle as usize]
    }

    /// Every value that is neither object nor array.
    pub(crate) fn scalars_mut(&mut self) -> impl Iterator<Item = &mut Value> {
        self.nodes.iter_mut().flat_map(|node| {
            let values: Box<dyn Iterator<Item = &mut Value>> = match node {
                Node::Row(_, record) => Box::new(record.iter_mut()),
                Node::Object(members) => Box::new(
                    members
                        .iter_mut()
                        .filter_map(|(_, datum)| datum.scalar_mut()),
                ),
                Node::Array(items) => Box::new(items.iter_mut().filter_map(Datum::scalar_mut)),
            };
            values
        })
    }

    /// Forgets all that was made after the heap had this length.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.nodes.truncate(length);
    }

    pub(crate) fn insert(&mut self, node: Node) -> Handle {
        let handle = Handle::try_from(self.nodes.len()).expect("memory ends before handles do");
        self.nodes.push(node);
        handle
    }

    pub(crate) fn array(&mut self, items: Vec<Datum>) -> Datum {
        Datum::Array(self.insert(Node::Array(items)))
    }

    pub(crate) fn object(&mut self, members: Vec<(Arc<str>, Datum)>) -> Datum {
        Datum::Object(self.insert(Node::Object(members)))
    }

    /// Takes a record in without copying its values.
    pub(crate) fn row(&mut self, shape: &Arc<Shape>, record: Record) -> Datum {
        let nested = record
            .iter()
            .any(|v| matches!(v, Value::Object(_) | Value::Array(_)));
        if !nested {
            return Datum::Object(self.insert(Node::Row(Arc::clone(shape), record)));
        }
        let names = shape.names.iter().cloned();
        let members = names
            .zip(record)
            .map(|(name, value)| (name, self.import(value)))
            .collect();
        self.object(members)
    }

    /// Takes a tree in.
    pub(crate) fn import(&mut self, value: Value) -> Datum {
        match value {
            Value::Object(object) => {
                let members = object.members.into_iter();
                let members = members
                    .map(|(name, value)| (name, self.import(value)))
                    .collect();
                self.object(members)
            }
            Value::Array(items) => {
                let items = items.into_iter().map(|item| self.import(item)).collect();
                self.array(items)
            }
            scalar => Datum::Scalar(scalar),
        }
    }

    /// Copies a value out as a tree.
    pub(crate) fn export(&self, datum: &Datum) -> Result<Value, TooDeep> {
        self.export_below(datum, 0)
    }

    fn export_below(&self, datum: &Datum, depth: usize) -> Result<Value, TooDeep> {
        if depth > DEPTH_MAX {
            return Err(TooDeep);
        }
        let Some(handle) = datum.handle() else {
            let Datum::Scalar(value) = datum else {
                return Err(TooDeep);
            };
            return Ok(value.clone());
        };
        match self.node(handle) {
            Node::Row(shape, record) => {
                let members = shape
                    .names
                    .iter()
                    .cloned()
                    .zip(record.iter().cloned())
                    .collect();
                Ok(Value::Object(Box::new(Object { members })))
            }
            Node::Object(members) => {
                let copy = |(name, value): &(Arc<str>, Datum)| {
                    self.export_below(value, depth + 1)
                        .map(|value| (Arc::clone(name), value))
                };
                let members = members.iter().map(copy).collect::<Result<_, _>>()?;
                Ok(Value::Object(Box::new(Object { members })))
            }
            Node::Array(items) => {
                let items = items.iter().map(|item| self.export_below(item, depth + 1));
                items.collect::<Result<_, _>>().map(Value::Array)
            }
        }
    }

    /// Writes a member: in its place, or behind the others. A record becomes an ordinary object if it must.
    pub(crate) fn set_member(&mut self, handle: Handle, name: &Arc<str>, value: Datum) {
        let node = self.node_mut(handle);
        if let Node::Row(shape, record) = node {
            if let (Datum::Scalar(value), Some(index)) = (&value, shape.index(name)) {
                record[index] = value.clone();
                return;
            }
            let values = std::mem::take(record).into_iter().map(Datum::Scalar);
            *node = Node::Object(shape.names.iter().cloned().zip(values).collect());
        }
        let Node::Object(members) = node else { return };
        match members.iter_mut().find(|(n, _)| n == name) {
            Some((_, old)) => *old = value,
            None => members.push((Arc::clone(name), value)),
        }
    }

    /// Takes in all of another heap and changes its roots to point here.
    pub(crate) fn append(&mut self, other: Heap, roots: &mut [Datum]) {
        let offset = Handle::try_from(self.len()).expect("memory ends before handles do");
        let shift = |datum: &mut Datum| match datum {
            Datum::Scalar(_) => {}
            Datum::Object(handle) | Datum::Array(handle) => *handle += offset,
        };
        self.nodes.reserve(other.nodes.len());
        for mut node in other.nodes {
            match &mut node {
                Node::Row(..) => {}
                Node::Object(members) => members.iter_mut().for_each(|(_, value)| shift(value)),
                Node::Array(items) => items.iter_mut().for_each(shift),
            }
            self.nodes.push(node);
        }
        roots.iter_mut().for_each(shift);
    }

    /// Removes a member, if it is there. A record becomes an ordinary object.
    pub(crate) fn remove_member(&mut self, handle: Handle, name: &str) {
        let node = self.node_mut(handle);
        if let Node::Row(shape, record) = node {
            if shape.index(name).is_none() {
                return;
            }
            let values = std::mem::take(record).into_iter().map(Datum::Scalar);
            *node = Node::Object(shape.names.iter().cloned().zip(values).collect());
        }
        if let Node::Object(members) = node {
            members.retain(|(member, _)| &**member != name);
        }
    }

    /// Copies all that can be reached from `roots` into a new heap and changes the roots to point there. What was shared,
    /// or contained itself, still does.
    pub(crate) fn copy_reachable<'a>(
        &self,
        roots: impl IntoIterator<Item = &'a mut Datum>,
    ) -> Heap {
        let mut copy = Copy {
            moved: vec![Handle::MAX; self.len()],
            origins: Vec::new(),
        };
        for root in roots {
            copy.forward(root);
        }
        let mut nodes = Vec::new();
        while let Some(origin) = copy.origins.get(nodes.len()).copied() {
            let mut node = self.node(origin).clone();
            match &mut node {
                Node::Row(..) => {}
                Node::Object(members) => members.iter_mut().for_each(|(_, v)| copy.forward(v)),
                Node::Array(items) => items.iter_mut().for_each(|v| copy.forward(v)),
            }
            nodes.push(node);
        }
        Heap { nodes }
    }
}

/// The state of a copy: where each old node goes, and the old nodes in the order of their copies.
struct Copy {
    moved: Vec<Handle>,
    origins: Vec<Handle>,
}

impl Copy {
    fn forward(&mut self, datum: &mut Datum) {
        let (Datum::Object(handle) | Datum::Array(handle)) = datum else {
            return;
        };
        let moved = &mut self.moved[*handle as usize];
        if *moved == Handle::MAX {
            *moved = self.origins.len() as Handle;
            self.origins.push(*handle);
        }
        *handle = *moved;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_what_is_shared_once() {
        let mut heap = Heap::default();
        let garbage = heap.array(vec![NULL]);
        let shared = heap.object(vec![("х".into(), Datum::Scalar(Value::Integer(1)))]);
        let array = heap.array(vec![shared.clone(), shared.clone()]);
        assert!(matches!(garbage, Datum::Array(0)));
        let mut roots = [shared, array];
        let copy = heap.copy_reachable(&mut roots);
        assert_eq!((heap.len(), copy.len()), (3, 2));
        assert_eq!(
            copy.export(&roots[1]).unwrap().to_json(),
            r#"[{"х":1},{"х":1}]"#
        );
    }

    #[test]
    fn copies_cycles_and_refuses_to_write_them_out() {
        let mut heap = Heap::default();
        let object = heap.object(Vec::new());
        let Datum::Object(handle) = object else {
            panic!("an object")
        };
        heap.set_member(handle, &"self".into(), object.clone());
        let mut roots = [object];
        let copy = heap.copy_reachable(&mut roots);
        assert_eq!(copy.len(), 1);
        assert!(copy.export(&roots[0]).is_err());
    }

    #[test]
    fn turns_a_record_into_an_object_when_a_member_is_added() {
        let mut heap = Heap::default();
        let shape = Shape::new(["a", "б"]);
        let row = heap.row(&shape, vec![Value::Integer(1), Value::Null]);
        let Datum::Object(handle) = row else {
            panic!("an object")
        };
        heap.set_member(handle, &"б".into(), Datum::text("x"));
        assert!(matches!(heap.node(handle), Node::Row(..)));
        heap.set_member(handle, &"в".into(), Datum::Scalar(Value::Boolean(true)));
        assert_eq!(
            heap.export(&row).unwrap().to_json(),
            r#"{"a":1,"б":"x","в":true}"#
        );
    }
}

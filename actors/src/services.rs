//! The opened databases of a node: one [`Service`] for each place, however its address is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use dajet_core::{
    Address, BrokerSpec, Connectors, Environment, Identity, MessageSpec, Service, Sink, Source,
    SystemError,
};
use parking_lot::Mutex;

/// The node's databases and brokers, opened at first use and shared by all scripts. Cheap to clone.
#[derive(Clone)]
pub struct Services {
    inner: Arc<Inner>,
}

struct Inner {
    connectors: Connectors,
    environment: Environment,
    opened: Mutex<Opened>,
}

#[derive(Default)]
struct Opened {
    addresses: BTreeMap<Address, Arc<dyn Service>>,
    places: BTreeMap<Identity, Arc<dyn Service>>,
}

impl Services {
    /// Opens nothing yet.
    pub fn new(connectors: Connectors, environment: Environment) -> Self {
        Self {
            inner: Arc::new(Inner {
                connectors,
                environment,
                opened: Mutex::default(),
            }),
        }
    }

    /// What connectors know of the node.
    pub fn environment(&self) -> &Environment {
        &self.inner.environment
    }

    /// Returns the database at the address; two addresses of one place share it.
    ///
    /// # Errors
    /// `Misconfigured` if the address is of an unknown kind, malformed, or of something that is no database.
    pub fn open(&self, address: &Address) -> Result<Arc<dyn Service>, SystemError> {
        if let Some(service) = self.inner.opened.lock().addresses.get(address) {
            return Ok(service.clone());
        }
        let connector = self.inner.connectors.find(address)?;
        let Some(open) = connector.service else {
            let message = format!("\"{address}\" is no database");
            return Err(SystemError::misconfigured("E_URI", message));
        };
        let service = open(address, &self.inner.environment)?;
        let mut opened = self.inner.opened.lock();
        let identity = service.identity().clone();
        let shared = opened.places.entry(identity).or_insert(service).clone();
        opened.addresses.insert(address.clone(), shared.clone());
        Ok(shared)
    }

    /// Batches that a pipeline reads ahead from a database, unless a setting says otherwise. What is wrong with the address is
    /// told when it is opened.
    pub fn read_ahead(&self, database: &Address) -> usize {
        let connector = self.inner.connectors.find(database);
        connector.map_or(1, |connector| connector.read_ahead)
    }

    /// Makes a sink of its own for one pipeline.
    ///
    /// # Errors
    /// `Misconfigured` if the address is of an unknown kind or takes no messages, or an option is wrong.
    pub fn sink(&self, spec: &MessageSpec) -> Result<Box<dyn Sink>, SystemError> {
        let address = &spec.address;
        let Some(open) = self.inner.connectors.find(address)?.sink else {
            let message = format!("\"{address}\" takes no messages");
            return Err(SystemError::misconfigured("E_URI", message));
        };
        open(spec, &self.inner.environment)
    }

    /// Makes a source of messages of its own for one generation of a pipeline.
    ///
    /// # Errors
    /// `Misconfigured` if the address is of an unknown kind or gives no messages, or an option is wrong.
    pub fn broker(&self, spec: &BrokerSpec) -> Result<Box<dyn Source>, SystemError> {
        let address = &spec.address;
        let Some(open) = self.inner.connectors.find(address)?.broker else {
            let message = format!("\"{address}\" gives no messages");
            return Err(SystemError::misconfigured("E_URI", message));
        };
        open(spec, &self.inner.environment, &|place| self.open(place))
    }
}

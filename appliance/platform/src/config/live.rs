//! The settings in use while the server runs, and what is made from them.

use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::sections::Config;

/// The settings in use, shared by all who look at them.
/// Other ones may take their place while the server runs; listen addresses and sizes of pools stay as they were at the
/// start.
#[derive(Clone)]
pub struct Live(Arc<RwLock<Arc<Config>>>);

impl Live {
    pub fn new(config: Config) -> Live {
        Live(Arc::new(RwLock::new(Arc::new(config))))
    }

    /// The settings as they are now.
    pub fn get(&self) -> Arc<Config> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes other settings for whoever looks from now on.
    pub fn set(&self, config: Config) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }
}

/// Something made from the settings, and made anew only after they changed.
pub struct Derived<T>(Mutex<Option<(Arc<Config>, Arc<T>)>>);

impl<T> Default for Derived<T> {
    fn default() -> Self {
        Derived(Mutex::default())
    }
}

impl<T> Derived<T> {
    /// What `make` makes of these settings.
    pub fn of(&self, config: &Arc<Config>, make: impl FnOnce(&Config) -> T) -> Arc<T> {
        let mut made = self.0.lock().unwrap_or_else(|e| e.into_inner());
        match &*made {
            Some((from, known)) if Arc::ptr_eq(from, config) => known.clone(),
            _ => {
                let new = Arc::new(make(config));
                *made = Some((config.clone(), new.clone()));
                new
            }
        }
    }
}

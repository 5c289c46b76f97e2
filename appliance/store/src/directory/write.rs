//! Changes of the directory.

mod accounts;
mod addresses;

pub use accounts::{
    AddAccount, AddDevice, RemoveAccount, RemoveDevice, SetName, SetPassword, SetPolicy,
};
pub use addresses::{AddDomain, RemoveAlias, RemoveDomain, SetAlias};

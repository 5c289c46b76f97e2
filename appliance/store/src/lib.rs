//! The mail store.

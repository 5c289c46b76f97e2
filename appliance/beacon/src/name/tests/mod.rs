//! Responders on a link that exists only here.

mod answers;
mod changes;
mod names;
mod world;

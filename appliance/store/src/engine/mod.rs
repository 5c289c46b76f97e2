//! What the ideas of the store are built on: the environment, tables, the codec, one transaction and its writer.

pub(crate) mod bell;
pub(crate) mod change;
pub(crate) mod checkpoint;
pub(crate) mod codec;
#[cfg(test)]
mod crash;
pub(crate) mod early;
pub(crate) mod environment;
pub(crate) mod files;
pub(crate) mod idle;
pub(crate) mod journal;
pub(crate) mod keeper;
pub(crate) mod layers;
pub(crate) mod limits;
pub(crate) mod medium;
pub(crate) mod merge;
pub(crate) mod migration;
pub(crate) mod notices;
pub(crate) mod options;
pub(crate) mod reader;
pub(crate) mod room;
pub(crate) mod shared;
pub(crate) mod snapshot;
pub(crate) mod table;
pub(crate) mod work;
pub(crate) mod writer;

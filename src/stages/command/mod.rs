//! `command`: any program as a stage. Its arguments, files, inputs, declared
//! outputs and declared environment are all that it has; see [`Command`].
mod deliver;
mod environment;
mod kind;
mod outputs;
mod process;
mod program;
mod spawn;
mod text;
mod words;

pub use kind::Command;

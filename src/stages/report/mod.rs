//! `report`: what the tables of a pipeline say, as sentences and figures.
mod kind;
mod rows;

pub use kind::Report;

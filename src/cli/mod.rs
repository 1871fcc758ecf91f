//! The commands, one short file each; the only place that knows clap.

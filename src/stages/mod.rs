//! Every stage kind, one file each.

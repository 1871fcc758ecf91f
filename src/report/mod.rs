//! Data to pictures: strings out, no files.

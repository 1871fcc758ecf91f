//! Text to meaning: TOML as written, then as meant.

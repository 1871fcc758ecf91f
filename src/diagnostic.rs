//! A fault with its place in the text.

//! What flows between stages: typed artifacts and their files.

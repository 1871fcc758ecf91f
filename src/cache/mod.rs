//! Bytes: blobs, records, index. Knows no tensors, no tables, no pipeline.

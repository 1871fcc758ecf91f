//! BLAKE3 of bytes as they pass, over several threads where many come at once.
//! The digest is that of one thread: only the order of work differs.
use std::io::{self, Read};

use blake3::{
    Hasher,
    hazmat::{ChainingValue, HasherExt as _, Mode, merge_subtrees_non_root, merge_subtrees_root},
};
use rayon::{
    iter::{IndexedParallelIterator, ParallelIterator},
    slice::ParallelSlice,
};

use crate::digest::Digest;

/// Bytes of one task of a thread: a whole subtree, so a power of two.
const BLOCK: usize = 1 << 20;
/// Bytes read at once: first, so that small files cost little, and at most, so
/// that there is work for all threads.
const READ: (usize, usize) = (1 << 16, 8 * BLOCK);
/// By how much a read is larger than the one before.
const GROWTH: usize = 8;

/// Hashes bytes as they pass, for writers that must store what they hash.
#[derive(Default)]
pub struct Hashing {
    /// Subtrees of whole blocks, larger ones first, no two of one size.
    subtrees: Vec<ChainingValue>,
    /// How many blocks they hold.
    blocks: u64,
    /// The last block, which is never among them: the root is made from it.
    last: Hasher,
}

impl Hashing {
    pub fn update(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.last.count() == BLOCK as u64 {
                let done = self.last.finalize_non_root();
                self.push(done);
            }
            if self.last.count() == 0 && bytes.len() > 2 * BLOCK {
                bytes = self.whole_blocks(bytes);
            }
            let room = BLOCK - self.last.count() as usize;
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.last.update(now);
            bytes = later;
        }
    }

    /// Hashes all blocks but the last, side by side; the bytes that are left.
    fn whole_blocks<'b>(&mut self, bytes: &'b [u8]) -> &'b [u8] {
        let count = (bytes.len() - 1) / BLOCK;
        let (whole, left) = bytes.split_at(count * BLOCK);
        let first = self.blocks;
        let done: Vec<ChainingValue> = whole
            .par_chunks_exact(BLOCK)
            .enumerate()
            .map(|(i, block)| {
                let mut hasher = Hasher::new();
                hasher.set_input_offset((first + i as u64) * BLOCK as u64);
                hasher.update(block);
                hasher.finalize_non_root()
            })
            .collect();
        for value in done {
            self.push(value);
        }
        left
    }

    /// Adds a block that is not the last one: subtrees of one size become one.
    fn push(&mut self, mut value: ChainingValue) {
        self.blocks += 1;
        for _ in 0..self.blocks.trailing_zeros() {
            if let Some(left) = self.subtrees.pop() {
                value = merge_subtrees_non_root(&left, &value, Mode::Hash);
            }
        }
        self.subtrees.push(value);
        self.last = Hasher::new();
        self.last.set_input_offset(self.blocks * BLOCK as u64);
    }

    /// The digest and the number of bytes.
    pub fn finish(mut self) -> (Digest, u64) {
        let size = self.blocks * BLOCK as u64 + self.last.count();
        let Some(mut left) = self.subtrees.pop() else {
            return (Digest(*self.last.finalize().as_bytes()), size);
        };
        let mut right = self.last.finalize_non_root();
        while let Some(larger) = self.subtrees.pop() {
            right = merge_subtrees_non_root(&left, &right, Mode::Hash);
            left = larger;
        }
        let root = merge_subtrees_root(&left, &right, Mode::Hash);
        (Digest(*root.as_bytes()), size)
    }
}

/// Gives all that a reader gives to `take`, in pieces that are large where there is much.
///
/// # Errors
/// The reader's, and those of `take`.
pub fn each_piece<E: From<io::Error>>(
    mut reader: impl Read,
    expected: u64,
    mut take: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let first = expected.saturating_add(1).clamp(1 << 12, READ.0 as u64);
    let mut buffer = vec![0; first as usize];
    loop {
        let mut filled = 0;
        while filled < buffer.len() {
            match reader.read(&mut buffer[filled..]) {
                Ok(0) => {
                    return if filled == 0 {
                        Ok(())
                    } else {
                        take(&buffer[..filled])
                    };
                }
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        take(&buffer)?;
        let next = buffer.len().saturating_mul(GROWTH).clamp(READ.0, READ.1);
        buffer.resize(next, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_one_thread_however_the_bytes_come() {
        let all: Vec<u8> = (0..9 * BLOCK + 7).map(|i| (i % 251) as u8).collect();
        for size in [
            0,
            1,
            1024,
            BLOCK - 1,
            BLOCK,
            BLOCK + 1,
            2 * BLOCK,
            2 * BLOCK + 1,
            3 * BLOCK,
            4 * BLOCK,
            5 * BLOCK + 3,
            8 * BLOCK,
            9 * BLOCK + 7,
        ] {
            let bytes = &all[..size];
            let expected = (Digest::of(bytes), size as u64);
            for piece in [size.max(1), 1000, BLOCK, 3 * BLOCK + 1, 4 * BLOCK] {
                let mut hashing = Hashing::default();
                for part in bytes.chunks(piece) {
                    hashing.update(part);
                }
                assert_eq!(hashing.finish(), expected, "{size} by {piece}");
            }
        }
    }

    #[test]
    fn pieces_are_all_the_bytes_in_order() {
        let all: Vec<u8> = (0..3 * BLOCK + 5).map(|i| (i % 241) as u8).collect();
        for expected in [0, 10, all.len() as u64] {
            let mut seen = Vec::new();
            each_piece(all.as_slice(), expected, |piece| {
                seen.extend_from_slice(piece);
                Ok::<(), io::Error>(())
            })
            .unwrap();
            assert!(seen == all, "{expected}");
        }
    }
}

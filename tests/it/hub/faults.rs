//! What can go wrong on the way of a file's bytes, switched on by a test.
use std::{sync::Mutex, time::Duration};

/// One way of going wrong. Offsets count from the file's first byte unless said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// The connection ends after so many bytes of this answer.
    Drop { after: u64 },
    /// An answer without the file; `Retry-After` if there is one.
    Status {
        code: u16,
        retry_after: Option<&'static str>,
    },
    /// `Content-Length` is wrong by so much; a short answer ends there, a long
    /// one has rubbish at its end.
    Length { by: i64 },
    /// Neither length nor chunks; ends after so many bytes of this answer.
    NoLength { after: u64 },
    /// The lowest bit of one byte is turned.
    Flip { at: u64 },
    /// So many bytes at once, with a pause after each piece.
    Drip { piece: usize, pause: Duration },
    /// The connection stays and says nothing, not even a status.
    HangAtOnce,
    /// It stays and says nothing more after so many bytes of this answer.
    Hang { after: u64 },
    /// The whole file comes, whatever was asked for.
    NoRange,
    /// A range one byte further than asked for.
    WrongRange,
    /// A redirect without `Location`.
    Nowhere,
    /// A redirect to itself.
    Circle,
}

/// Ever again.
pub(crate) const ALWAYS: u32 = u32::MAX;

/// The switches of a hub: file to what goes wrong and how often still.
#[derive(Debug, Default)]
pub(crate) struct Switches(Mutex<Vec<(String, Fault, u32)>>);

impl Switches {
    /// The next `times` answers with this file go wrong, after those set before.
    pub(crate) fn set(&self, path: &str, fault: Fault, times: u32) {
        self.0.lock().unwrap().push((path.to_owned(), fault, times));
    }

    pub(crate) fn clear(&self) {
        self.0.lock().unwrap().clear();
    }

    /// What goes wrong with this answer.
    pub(crate) fn take(&self, path: &str) -> Option<Fault> {
        let mut all = self.0.lock().unwrap();
        let found = all
            .iter_mut()
            .find(|(known, _, left)| known == path && *left > 0);
        found.map(|(_, fault, left)| {
            *left = left.saturating_sub(u32::from(*left != ALWAYS));
            fault.clone()
        })
    }
}

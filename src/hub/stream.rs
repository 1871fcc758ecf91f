//! The bytes of one answer, read by a thread of its own: whoever asked for them
//! can stop while a socket is silent, and hashes while others come.
use std::{
    io::Read,
    sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender},
    thread,
};

use ureq::{
    Agent,
    http::{HeaderMap, header},
};

use crate::hub::{
    fault::{Reason, Trouble},
    hooks::{Hooks, SLICE},
    part::Part,
    transport::{Asked, Hub, NO_RANGE},
};

/// Bytes taken from a connection at once.
const PIECE: usize = 256 << 10;
/// Pieces that may wait to be written.
const AHEAD: usize = 8;

/// What the thread says.
enum Word {
    /// The file comes from its first byte on, or not at all.
    Anew,
    Bytes(Vec<u8>),
    /// The last one.
    Over(Result<(), Trouble>),
}

/// What is asked for: the bytes of a file of this size from there on.
#[derive(Clone, Copy)]
struct Rest {
    from: u64,
    size: u64,
}

impl Hub {
    /// One request for what a part misses of its `size` bytes.
    pub(super) fn fill_once(
        &self,
        asked: &Asked,
        size: u64,
        part: &mut Part<'_>,
        hooks: &Hooks<'_>,
    ) -> Result<(), Trouble> {
        (hooks.go_on)()?;
        let from = part.done();
        let (say, words) = mpsc::sync_channel(AHEAD);
        thread::scope(|scope| {
            let agent = self.agent();
            scope.spawn(move || {
                let over = self.stream(&agent, asked, Rest { from, size }, &say);
                // Nobody listens any more: then nobody needs it.
                let _ = say.send(Word::Over(over));
            });
            let taken = take(&words, size, part, hooks);
            // Whatever the thread still does is for nobody.
            drop(words);
            if let Err(Trouble::Ours(_)) = taken {
                self.hang_up();
            }
            taken
        })
    }

    fn stream(
        &self,
        agent: &Agent,
        asked: &Asked,
        rest: Rest,
        say: &SyncSender<Word>,
    ) -> Result<(), Trouble> {
        let answer = self.get(agent, asked, rest.from, &|| Ok(()));
        if let Err(Trouble::Hub(Reason::Nonsense(what), _)) = &answer
            && what == NO_RANGE
        {
            let _ = say.send(Word::Anew);
        }
        let answer = answer?;
        let mut left = rest.size - rest.from;
        if answer.response.status().as_u16() == 206 {
            if !continues(answer.response.headers(), rest) {
                let _ = say.send(Word::Anew);
                return Err(Reason::Nonsense("another range than asked for".to_owned()).into());
            }
        } else if rest.from > 0 {
            // Ranges mean nothing to this server.
            let _ = say.send(Word::Anew);
            left = rest.size;
        }
        let url = answer.url;
        let mut body = answer.response.into_body().into_reader();
        while left > 0 {
            let mut piece = vec![0; PIECE];
            let count = body
                .read(&mut piece)
                .map_err(|error| self.reason(error.into(), &url))?;
            if count == 0 {
                break;
            }
            left = left.saturating_sub(count as u64);
            piece.truncate(count);
            if say.send(Word::Bytes(piece)).is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Adds to the part what the thread brings.
fn take(
    words: &Receiver<Word>,
    size: u64,
    part: &mut Part<'_>,
    hooks: &Hooks<'_>,
) -> Result<(), Trouble> {
    loop {
        match words.recv_timeout(SLICE) {
            Ok(Word::Anew) => part.restart()?,
            Ok(Word::Bytes(bytes)) => {
                part.append(&bytes)?;
                (hooks.report)(part.done(), size);
            }
            Ok(Word::Over(over)) => return over,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Reason::Dropped.into()),
        }
        (hooks.go_on)()?;
    }
}

/// Whether `Content-Range: bytes FROM-LAST/SIZE` goes on where we are.
fn continues(headers: &HeaderMap, rest: Rest) -> bool {
    let range = headers.get(header::CONTENT_RANGE);
    let range = range.and_then(|range| range.to_str().ok()?.trim().strip_prefix("bytes "));
    range.is_some_and(|range| {
        let Some((range, total)) = range.split_once('/') else {
            return false;
        };
        let first = range
            .split('-')
            .next()
            .and_then(|first| first.trim().parse().ok());
        first == Some(rest.from) && (total == "*" || total.trim().parse() == Ok(rest.size))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_range_that_was_asked_for_continues() {
        let rest = Rest { from: 7, size: 20 };
        let says = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_RANGE, value.parse().unwrap());
            continues(&headers, rest)
        };
        assert!(says("bytes 7-19/20") && says("bytes 7-9/*"));
        for wrong in [
            "bytes 8-19/20",
            "bytes 7-19/21",
            "7-19/20",
            "bytes */20",
            "",
        ] {
            assert!(!says(wrong), "{wrong}");
        }
        assert!(!continues(&HeaderMap::new(), rest));
    }
}

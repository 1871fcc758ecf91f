//! The bytes of a file on their way, and what a switch makes of them.
use std::{
    io::{self, Write},
    net::{Shutdown, TcpStream},
    thread,
    time::Duration,
};

use super::{
    faults::Fault,
    server::wait_for_end,
    wire::{Head, Request},
};

/// Bytes written at once: small, so that what is counted was (nearly) sent.
const PIECE: usize = 16 << 10;

/// Answers with a file or the range asked for; whether the connection can go on.
pub(crate) fn send(
    stream: &mut TcpStream,
    request: &Request,
    head: Head,
    bytes: &[u8],
    fault: Option<&Fault>,
    count: &dyn Fn(u64),
) -> io::Result<bool> {
    let size = bytes.len() as u64;
    let mut head = head.with("Accept-Ranges", "bytes");
    let range = request
        .range(size)
        .filter(|_| fault != Some(&Fault::NoRange));
    let (mut first, last) = range.unwrap_or((0, size.saturating_sub(1)));
    if range.is_some() {
        if first >= size {
            head.status = 416;
            head.with("Content-Range", format!("bytes */{size}"))
                .with("Content-Length", "0")
                .write(stream)?;
            return Ok(true);
        }
        if fault == Some(&Fault::WrongRange) {
            first = (first + 1).min(last);
        }
        head.status = 206;
        head = head.with("Content-Range", format!("bytes {first}-{last}/{size}"));
    }
    let end = if size == 0 { 0 } else { last as usize + 1 };
    let mut sent = bytes[first as usize..end].to_vec();
    if let Some(Fault::Flip { at }) = fault
        && let Some(byte) = at
            .checked_sub(first)
            .and_then(|at| sent.get_mut(at as usize))
    {
        *byte ^= 1;
    }
    if let Some(Fault::Length { by }) = fault {
        let length = (sent.len() as i64 + *by).max(0) as usize;
        sent.resize(length, b'?');
    }
    if !matches!(fault, Some(Fault::NoLength { .. })) {
        head = head.with("Content-Length", sent.len().to_string());
    }
    head.write(stream)?;
    if request.method == "HEAD" {
        return Ok(true);
    }
    let (stop, pause) = match fault {
        Some(Fault::Drop { after } | Fault::NoLength { after } | Fault::Hang { after }) => {
            (sent.len().min(*after as usize), None)
        }
        Some(Fault::Drip { piece, pause }) => (sent.len(), Some((*piece, *pause))),
        _ => (sent.len(), None),
    };
    let (piece, pause) = pause.unwrap_or((PIECE, Duration::ZERO));
    for part in sent[..stop].chunks(piece) {
        stream.write_all(part)?;
        count(part.len() as u64);
        thread::sleep(pause);
    }
    match fault {
        Some(Fault::Hang { .. }) => {
            wait_for_end(stream)?;
            Ok(false)
        }
        Some(Fault::Drop { .. } | Fault::NoLength { .. }) => {
            stream.shutdown(Shutdown::Both)?;
            Ok(false)
        }
        _ => Ok(true),
    }
}

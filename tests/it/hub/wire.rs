//! HTTP/1.1 as a server speaks it: a request read, an answer's head written.
use std::{
    fmt::Write as _,
    io::{self, BufRead, BufReader, Read, Write},
    net::TcpStream,
};

/// A request, its body included.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub method: String,
    /// Path and query, still escaped.
    pub target: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The next request of a connection, if there is one.
    pub(crate) fn read(from: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace().map(str::to_owned);
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            return Ok(None);
        };
        let mut request = Request {
            method,
            target,
            headers: Vec::new(),
            body: Vec::new(),
        };
        loop {
            let mut line = String::new();
            from.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            let (name, value) = (name.to_ascii_lowercase(), value.trim().to_owned());
            request.headers.push((name, value));
        }
        if let Some(length) = request.header("content-length") {
            request.body = vec![0; length.parse().unwrap_or(0)];
            from.read_exact(&mut request.body)?;
        }
        Ok(Some(request))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The path, unescaped part by part, and the pairs of the query.
    pub(crate) fn parts(&self) -> (Vec<String>, Vec<(String, String)>) {
        let (path, query) = self.target.split_once('?').unwrap_or((&self.target, ""));
        let parts = path.split('/').skip(1).map(unescaped).collect();
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let pairs = pairs.map(|(name, value)| (unescaped(name), unescaped(value)));
        (parts, pairs.collect())
    }

    /// First and last byte of `Range: bytes=A-B`.
    pub(crate) fn range(&self, size: u64) -> Option<(u64, u64)> {
        let (first, last) = self
            .header("range")?
            .strip_prefix("bytes=")?
            .split_once('-')?;
        let last = last.parse().unwrap_or(u64::MAX).min(size.saturating_sub(1));
        Some((first.parse().ok()?, last))
    }
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, more @ ..] = rest {
        let digits = more.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let byte = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        if let (b'%', Some(byte)) = (first, byte) {
            bytes.push(byte);
            rest = &more[2..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An answer's status and headers; lengths are the writer's to say.
#[derive(Debug, Clone, Default)]
pub(crate) struct Head {
    pub status: u16,
    pub headers: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn new(status: u16) -> Head {
        // A fixed moment: dates in `Retry-After` are told by this clock.
        Head {
            status,
            headers: Vec::new(),
        }
        .with("Date", "Tue, 24 Nov 2026 10:00:00 GMT")
    }

    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Head {
        self.headers.push((name.to_owned(), value.into()));
        self
    }

    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let mut text = format!("HTTP/1.1 {} Status\r\n", self.status);
        for (name, value) in &self.headers {
            write!(text, "{name}: {value}\r\n").expect("a string takes all");
        }
        text.push_str("\r\n");
        to.write_all(text.as_bytes())
    }
}

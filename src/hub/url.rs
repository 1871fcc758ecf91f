//! Addresses: taken apart, put together, and compared by origin. Small on
//! purpose: only what the hub and its redirects use.
use std::fmt::{self, Write};

use ureq::http::Uri;

/// An absolute http or https address without a user name and a fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Url {
    secure: bool,
    /// Lower case, with the port.
    host: String,
    port: u16,
    /// Host and port as they were written.
    authority: String,
    /// Path and query; empty or with a slash in front.
    rest: String,
}

impl Url {
    pub(super) fn parse(text: &str) -> Option<Url> {
        let text = text.split('#').next()?;
        let uri: Uri = text.parse().ok()?;
        let secure = match uri.scheme_str()? {
            "https" => true,
            "http" => false,
            _ => return None,
        };
        let authority = uri.authority()?.as_str();
        if authority.contains('@') || uri.host()?.is_empty() {
            return None;
        }
        let (_, after) = text.split_once("://")?;
        Some(Url {
            secure,
            host: uri.host()?.to_ascii_lowercase(),
            port: uri.port_u16().unwrap_or(if secure { 443 } else { 80 }),
            authority: authority.to_owned(),
            rest: after.get(authority.len()..)?.to_owned(),
        })
    }

    /// This address with more path: `more` is escaped already.
    pub(super) fn with(&self, more: &str) -> Url {
        let mut longer = self.clone();
        longer.rest.push_str(more);
        longer
    }

    /// Where a `Location` or a `Link` leads from here.
    pub(super) fn join(&self, reference: &str) -> Option<Url> {
        let scheme = if self.secure { "https" } else { "http" };
        let origin = format!("{scheme}://{}", self.authority);
        if reference.is_empty() {
            return None;
        }
        if let Some(rest) = reference.strip_prefix("//") {
            return Url::parse(&format!("{scheme}://{rest}"));
        }
        if reference.starts_with('/') {
            return Url::parse(&format!("{origin}{reference}"));
        }
        if reference.split(['/', '?']).next()?.contains(':') {
            return Url::parse(reference);
        }
        let path = self.rest.split('?').next()?;
        let folder = &path[..path.rfind('/').map_or(0, |slash| slash + 1)];
        let folder = if folder.is_empty() { "/" } else { folder };
        let reference = match reference.strip_prefix('?') {
            Some(_) => return Url::parse(&format!("{origin}{path}{reference}")),
            None => reference,
        };
        Url::parse(&format!("{origin}{folder}{reference}"))
    }

    /// Whether scheme, host and port are the same: who may see the token.
    pub(super) fn same_origin(&self, other: &Url) -> bool {
        (self.secure, &self.host, self.port) == (other.secure, &other.host, other.port)
    }

    pub(super) fn secure(&self) -> bool {
        self.secure
    }

    /// What errors show of an address: queries hold signatures.
    pub(super) fn shown(&self) -> &str {
        &self.authority
    }

    pub(super) fn is_loopback(&self) -> bool {
        let host = self.host.trim_matches(['[', ']']);
        let parsed = host.parse::<std::net::IpAddr>();
        host == "localhost" || parsed.is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.rest)
    }
}

/// Percent-encodes all but what is never special; `kept` stays as it is too.
pub(super) fn escape(text: &str, kept: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        let c = char::from(byte);
        if c.is_ascii_alphanumeric() || "-._~".contains(c) || (c.is_ascii() && kept.contains(c)) {
            escaped.push(c);
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_joined_as_browsers_do() {
        let base = Url::parse("https://a.b:444/x/y?z=1").unwrap();
        for (reference, expected) in [
            ("/m", "https://a.b:444/m"),
            ("m", "https://a.b:444/x/m"),
            ("?m=2", "https://a.b:444/x/y?m=2"),
            ("//c/d", "https://c/d"),
            ("http://c:1/d?e#f", "http://c:1/d?e"),
        ] {
            assert_eq!(base.join(reference).unwrap().to_string(), expected);
        }
        for wrong in ["", "ftp://x", "http://", "javascript:x", "http://u@h/"] {
            assert!(base.join(wrong).is_none(), "{wrong}");
        }
        let bare = Url::parse("http://h").unwrap();
        assert_eq!(bare.join("m").unwrap().to_string(), "http://h/m");
        assert_eq!(bare.with("/a%2Fb").to_string(), "http://h/a%2Fb");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let url = |text| Url::parse(text).unwrap();
        let hub = url("https://huggingface.co/x");
        assert!(hub.same_origin(&url("https://HuggingFace.co:443/y")));
        for other in [
            "http://huggingface.co/x",
            "https://huggingface.co:444/x",
            "https://huggingface.co.evil/x",
            "https://cdn.huggingface.co/x",
        ] {
            assert!(!hub.same_origin(&url(other)), "{other}");
        }
        assert!(url("http://[::1]:8/").is_loopback() && !hub.is_loopback());
    }

    #[test]
    fn names_are_escaped_byte_by_byte() {
        assert_eq!(escape("a b/ü?#%.bin", "/"), "a%20b/%C3%BC%3F%23%25.bin");
        assert_eq!(escape("refs/pr/1", ""), "refs%2Fpr%2F1");
    }
}

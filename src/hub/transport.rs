//! Requests: one GET at a time, redirects followed by hand, so that the token
//! goes to the hub's own origin and to nobody else.
use std::{
    io::{self, Read},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use serde::de::DeserializeOwned;
use ureq::{
    Agent, Body, Timeout,
    http::{HeaderMap, Response, header},
};

use crate::hub::{
    attempts::Attempts,
    fault::{Fault, Reason, Subject, Trouble},
    hooks::Hooks,
    name::{path_fault, repo_fault, revision_fault},
    retry_after,
    settings::Settings,
    url::Url,
};

/// Redirects in a row before we are led in a circle.
const REDIRECTS: u32 = 10;

/// The most that is read of an answer that is not a file.
const JSON_MAX: u64 = 64 << 20;

/// What an answer of 416 is called.
pub(super) const NO_RANGE: &str = "no such range";

/// A connection to the hub, for any number of threads.
#[derive(Debug)]
pub struct Hub {
    pub(super) settings: Settings,
    agent: Mutex<Agent>,
    /// Whether anybody ever answered.
    heard: AtomicBool,
}

/// What is asked for, and where.
#[derive(Debug)]
pub(super) struct Asked {
    pub subject: Subject,
    pub url: Url,
}

/// An answer with its body still to come, and whether the hub itself gave it.
pub(super) struct Answer {
    pub response: Response<Body>,
    pub url: Url,
    own: bool,
}

impl Hub {
    pub fn new(settings: Settings) -> Hub {
        let patience = &settings.patience;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("vgh/", env!("CARGO_PKG_VERSION")))
            // A file must come as it is, or its size and ranges mean nothing.
            .accept_encoding("identity")
            .timeout_resolve(Some(patience.connect))
            .timeout_connect(Some(patience.connect))
            .timeout_per_read(Some(patience.idle))
            .timeout_per_write(Some(patience.idle));
        let config = if settings.endpoint.is_loopback() {
            // Nobody else's proxy reaches a hub on this machine.
            config.proxy(None)
        } else {
            config
        };
        Hub {
            agent: Mutex::new(config.build().new_agent()),
            settings,
            heard: AtomicBool::new(false),
        }
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What makes connections and keeps them.
    pub(super) fn agent(&self) -> Agent {
        let agent = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        agent.clone()
    }

    /// Ends all connections, also those that somebody waits at; whoever asks
    /// again makes new ones.
    pub(super) fn hang_up(&self) {
        let mut agent = self.agent.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = agent.config().clone().new_agent();
        std::mem::replace(&mut *agent, fresh).shutdown();
    }

    pub(super) fn was_heard(&self) -> bool {
        self.heard.load(Ordering::Relaxed)
    }

    /// What is asked for at a path of the hub.
    ///
    /// # Errors
    /// A name that is none, before anything is sent.
    pub(super) fn asked(&self, subject: Subject, path: &str) -> Result<Asked> {
        let url = self.settings.endpoint.with(path);
        let asked = Asked { subject, url };
        let Subject {
            repo,
            revision,
            file,
        } = &asked.subject;
        let wrong = repo_fault(repo)
            .or_else(|| revision_fault(revision.as_deref()?))
            .or_else(|| path_fault(file.as_deref()?));
        match wrong {
            Some(why) => Err(self.fault(Reason::Name(why.to_owned()), &asked).into()),
            None => Ok(asked),
        }
    }

    pub(super) fn fault(&self, reason: Reason, asked: &Asked) -> Fault {
        Fault {
            reason,
            subject: asked.subject.clone(),
            endpoint: self.settings.endpoint.to_string(),
            has_token: self.settings.token.is_some(),
            near: None,
        }
    }

    /// A JSON answer, asked for until it comes, and the address of the next page.
    pub(super) fn json<T: DeserializeOwned>(
        &self,
        asked: &Asked,
        hooks: &Hooks<'_>,
    ) -> Result<(T, Option<Url>)> {
        let mut attempts = Attempts::new(self, asked, hooks);
        loop {
            match self.json_once(asked, hooks) {
                Ok(answer) => return Ok(answer),
                Err(trouble) => attempts.after(trouble)?,
            }
        }
    }

    fn json_once<T: DeserializeOwned>(
        &self,
        asked: &Asked,
        hooks: &Hooks<'_>,
    ) -> Result<(T, Option<Url>), Trouble> {
        let answer = self.get(&self.agent(), asked, 0, hooks.go_on)?;
        let (url, next) = (answer.url, next_page(answer.response.headers()));
        let mut text = Vec::new();
        let body = answer.response.into_body().into_reader();
        let read = body.take(JSON_MAX).read_to_end(&mut text);
        read.map_err(|error| self.reason(error.into(), &url))?;
        let value = serde_json::from_slice(&text)
            .map_err(|_| Reason::Nonsense("not the JSON of a hub".to_owned()))?;
        Ok((value, next.and_then(|next| url.join(&next))))
    }

    /// An answer of 200, or 206 where `from` is not 0; redirects are followed.
    pub(super) fn get(
        &self,
        agent: &Agent,
        asked: &Asked,
        from: u64,
        go_on: &dyn Fn() -> Result<()>,
    ) -> Result<Answer, Trouble> {
        let mut url = asked.url.clone();
        for _ in 0..=REDIRECTS {
            go_on()?;
            let response = self.send(agent, &url, from)?;
            let status = response.status().as_u16();
            let own = url.same_origin(&self.settings.endpoint);
            if response.status().is_redirection() && status != 304 {
                url = redirected(&url, response.headers())?;
                continue;
            }
            let whole = status == 200 || (status == 206 && from > 0);
            let answer = Answer { response, url, own };
            return if whole {
                Ok(answer)
            } else {
                Err(self.refusal(&answer, &asked.subject))
            };
        }
        Err(Reason::Nonsense("redirected in a circle".to_owned()).into())
    }

    fn send(&self, agent: &Agent, url: &Url, from: u64) -> Result<Response<Body>, Trouble> {
        if self.settings.offline {
            return Err(Reason::Offline.into());
        }
        let mut request = agent.get(url.to_string());
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        if let Some(token) = &self.settings.token
            && url.same_origin(&self.settings.endpoint)
        {
            request = request.header(header::AUTHORIZATION, token.bearer());
        }
        let response = request.call().map_err(|error| self.reason(error, url))?;
        self.heard.store(true, Ordering::Relaxed);
        Ok(response)
    }

    /// What a status other than success means. The body is not looked at.
    fn refusal(&self, answer: &Answer, subject: &Subject) -> Trouble {
        let headers = answer.response.headers();
        let status = answer.response.status().as_u16();
        let code = headers
            .get("x-error-code")
            .and_then(|code| code.to_str().ok());
        let has_token = self.settings.token.is_some();
        let reason = match (code, status) {
            (Some("GatedRepo"), _) => Reason::Gated,
            (Some("RepoNotFound"), _) => Reason::NoRepo,
            (Some("RevisionNotFound"), _) => Reason::NoRevision,
            (Some("EntryNotFound"), _) => Reason::NoFile,
            (_, 408 | 425 | 429 | 500..=599) => Reason::Busy(status),
            // A signed address that ran out: the hub gives a fresh one.
            (_, 401 | 403) if !answer.own => Reason::Busy(status),
            (_, 401) if has_token => Reason::Token,
            (_, 403) => Reason::Forbidden,
            (_, 404) if subject.file.is_some() => Reason::NoFile,
            (_, 404) if subject.revision.is_some() => Reason::NoRevision,
            // 401: so the hub answers those who may not know whether it is there.
            (_, 401 | 404) => Reason::NoRepo,
            (_, 416) => Reason::Nonsense(NO_RANGE.to_owned()),
            _ => Reason::Status(status),
        };
        let busy = matches!(reason, Reason::Busy(_));
        Trouble::Hub(reason, retry_after::told(headers).filter(|_| busy))
    }

    /// What broke a connection. The transport's own words may quote addresses.
    pub(super) fn reason(&self, error: ureq::Error, url: &Url) -> Reason {
        let no_network = || Reason::NoNetwork(url.shown().to_owned());
        match error {
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect)
            | ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::ConnectProxyFailed(_)
            | ureq::Error::InvalidProxyUrl => no_network(),
            ureq::Error::Timeout(_) => Reason::Idle(self.idle()),
            ureq::Error::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::NetworkDown
                | io::ErrorKind::AddrNotAvailable => no_network(),
                _ => Reason::Dropped,
            },
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::TlsRequired => {
                Reason::Nonsense(format!("no trusted TLS with {}", url.shown()))
            }
            ureq::Error::BodyStalled => Reason::Dropped,
            _ => Reason::Nonsense("not HTTP".to_owned()),
        }
    }

    fn idle(&self) -> Duration {
        self.settings.patience.idle
    }
}

/// Where a redirect leads.
fn redirected(from: &Url, headers: &HeaderMap) -> Result<Url, Reason> {
    let nonsense = |what: &str| Reason::Nonsense(what.to_owned());
    let place = headers
        .get(header::LOCATION)
        .and_then(|place| place.to_str().ok())
        .ok_or_else(|| nonsense("a redirect to nowhere"))?;
    let to = from
        .join(place)
        .ok_or_else(|| nonsense("a redirect to no address"))?;
    if from.secure() && !to.secure() {
        return Err(nonsense("a redirect from https to http"));
    }
    Ok(to)
}

/// The address with `rel="next"` in the `Link` headers.
fn next_page(headers: &HeaderMap) -> Option<String> {
    let lines = headers.get_all(header::LINK).iter();
    lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .find_map(|link| {
            let (address, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
            let next = rest.split(';').any(|part| {
                let part = part.trim().replace('"', "");
                part.eq_ignore_ascii_case("rel=next")
            });
            next.then(|| address.to_owned())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_among_links() {
        let next = |line: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::LINK, line.parse().unwrap());
            next_page(&headers)
        };
        assert_eq!(
            next("<https://h/p?a=1>; rel=\"prev\", <https://h/p?a=2>; rel=\"next\""),
            Some("https://h/p?a=2".to_owned())
        );
        assert_eq!(next("</p>;rel=next"), Some("/p".to_owned()));
        assert_eq!(next("<https://h>; rel=\"prev\""), None);
        assert_eq!(next("nonsense"), None);
    }
}

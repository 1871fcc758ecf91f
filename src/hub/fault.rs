//! Why the hub did not give something, whether asking again can help, and one
//! line that says so with the remedy. No text of the hub's is repeated in it,
//! nor the query of an address: both can hold secrets.
use std::{fmt, time::Duration};

use crate::hub::name::{is_commit, shown};

/// What kind of trouble it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Nothing was sent: the network is not to be used.
    Offline,
    /// No connection to the host of this name.
    NoNetwork(String),
    /// A connection without a byte for this long.
    Idle(Duration),
    /// A connection that ended before the answer did.
    Dropped,
    /// 429 or a fault of the server (5xx).
    Busy(u16),
    /// An answer that is not HTTP's or the hub's.
    Nonsense(String),
    /// Whole files, fetched this many times, that were not what the hub had listed.
    WrongBytes(u32),
    /// The token is not accepted (401).
    Token,
    /// No such repository, or one that we may not know of.
    NoRepo,
    /// Terms must be accepted first.
    Gated,
    /// 403 for another reason.
    Forbidden,
    NoRevision,
    NoFile,
    /// Another status.
    Status(u16),
    /// The name of a repository, revision or file that is none; why.
    Name(String),
}

impl Reason {
    /// Requests in a row for which it makes sense to ask again; 1 where it is final.
    pub(super) fn tries(&self, tries: u32, heard: bool) -> u32 {
        match self {
            Reason::Idle(_) | Reason::Dropped | Reason::Busy(_) => tries,
            // A network that never was there is told of soon.
            Reason::NoNetwork(_) => {
                if heard {
                    tries
                } else {
                    tries.min(4)
                }
            }
            Reason::Nonsense(_) => tries.min(3),
            _ => 1,
        }
    }
}

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Subject {
    pub repo: String,
    pub revision: Option<String>,
    pub file: Option<String>,
}

impl Subject {
    pub(super) fn repo(repo: &str) -> Subject {
        Subject {
            repo: repo.to_owned(),
            ..Subject::default()
        }
    }

    pub(super) fn at(repo: &str, revision: &str) -> Subject {
        Subject {
            revision: Some(revision.to_owned()),
            ..Subject::repo(repo)
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "`{}` of ", shown(file))?;
        }
        write!(f, "`{}`", shown(&self.repo))?;
        match &self.revision {
            Some(commit) if is_commit(commit) => write!(f, " at {}", &commit[..12]),
            Some(revision) => write!(f, " at `{}`", shown(revision)),
            None => Ok(()),
        }
    }
}

/// An error of the hub: find it with `downcast_ref` where the reason matters.
#[derive(Debug, Clone)]
pub struct Fault {
    pub reason: Reason,
    pub(super) subject: Subject,
    /// The hub's address, for links.
    pub(super) endpoint: String,
    pub(super) has_token: bool,
    /// A name that is there and looks like the one asked for.
    pub near: Option<String>,
}

impl Fault {
    /// What follows after `cannot get X: `.
    fn remedy(&self) -> String {
        let Fault {
            endpoint,
            subject,
            has_token,
            ..
        } = self;
        let page = format!("{endpoint}/{}", shown(&subject.repo));
        match &self.reason {
            Reason::Offline => "offline (HF_HUB_OFFLINE, or asked for): allow the network, \
                or put it into the Hugging Face cache first"
                .to_owned(),
            Reason::NoNetwork(host) => format!(
                "no connection to {}: check the network (HF_ENDPOINT, HTTPS_PROXY), then run \
                 again: what is here already is kept",
                shown(host)
            ),
            Reason::Idle(time) => format!(
                "not a byte for {time:?}, several times: run again later, what is here already is kept"
            ),
            Reason::Dropped => "the connection broke several times: run again later, what is \
                here already is kept"
                .to_owned(),
            Reason::Busy(429) => {
                let token = if *has_token {
                    ""
                } else {
                    " (with HF_TOKEN set, the limit is higher)"
                };
                format!("the hub limits how often it is asked (429): run again later{token}")
            }
            Reason::Busy(status) => {
                format!("the hub is out of order ({status}): run again later")
            }
            Reason::Nonsense(what) => {
                format!("the answer makes no sense ({what}): does HF_ENDPOINT name a hub?")
            }
            Reason::WrongBytes(times) => format!(
                "the bytes are not those that the hub lists, {times} times: something between \
                 here and the hub (or the hub) damages them; nothing was kept"
            ),
            Reason::Token => format!(
                "the token is not accepted (401): make a new one at {endpoint}/settings/tokens \
                 and set HF_TOKEN"
            ),
            Reason::NoRepo if *has_token => {
                "no such repository, or this token may not see it".to_owned()
            }
            Reason::NoRepo => "no such repository, or a private one (then set HF_TOKEN)".to_owned(),
            Reason::Gated => {
                let token = if *has_token {
                    ""
                } else {
                    ", then set HF_TOKEN"
                };
                format!("the repository is gated: open {page}, accept its terms{token}")
            }
            Reason::Forbidden => format!(
                "forbidden (403): see whether {page} opens for you; HF_TOKEN may lack a right"
            ),
            Reason::NoRevision => "no such revision".to_owned(),
            Reason::NoFile => "no such file at this revision".to_owned(),
            Reason::Status(status) => format!("the hub answered {status}"),
            Reason::Name(why) => why.clone(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot get {}: {}", self.subject, self.remedy())?;
        match &self.near {
            Some(near) => write!(f, "; did you mean `{}`?", shown(near)),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}

/// One request that failed, before it is known whether to ask again.
#[derive(Debug)]
pub(super) enum Trouble {
    /// May be asked again; after how long, if the hub said so.
    Hub(Reason, Option<Duration>),
    /// Not the hub's fault: told to stop, or the disk.
    Ours(anyhow::Error),
}

impl From<Reason> for Trouble {
    fn from(reason: Reason) -> Trouble {
        Trouble::Hub(reason, None)
    }
}

impl From<anyhow::Error> for Trouble {
    fn from(error: anyhow::Error) -> Trouble {
        Trouble::Ours(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(reason: Reason, has_token: bool) -> String {
        let fault = Fault {
            reason,
            subject: Subject {
                file: Some("a\u{1b}.bin".to_owned()),
                ..Subject::at("o/r", &"0123456789".repeat(4))
            },
            endpoint: "https://huggingface.co".to_owned(),
            has_token,
            near: None,
        };
        fault.to_string()
    }

    #[test]
    fn a_fault_is_one_line_with_the_remedy() {
        assert_eq!(
            told(Reason::Gated, false),
            "cannot get `a\\u{1b}.bin` of `o/r` at 012345678901: the repository is gated: \
             open https://huggingface.co/o/r, accept its terms, then set HF_TOKEN"
        );
        assert!(told(Reason::Gated, true).ends_with("accept its terms"));
        assert!(told(Reason::Busy(429), false).contains("HF_TOKEN"));
        let all = [
            Reason::Offline,
            Reason::NoNetwork("h".into()),
            Reason::Idle(Duration::from_secs(30)),
            Reason::Dropped,
            Reason::Busy(503),
            Reason::Nonsense("x".into()),
            Reason::WrongBytes(3),
            Reason::Token,
            Reason::NoRepo,
            Reason::Forbidden,
            Reason::NoRevision,
            Reason::NoFile,
            Reason::Status(418),
            Reason::Name("why".into()),
        ];
        for reason in all {
            let line = told(reason, false);
            assert!(line.chars().all(|c| !c.is_control()), "{line}");
        }
    }
}

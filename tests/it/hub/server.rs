//! A hub on this machine: what huggingface.co answers, as far as checkpoints
//! need it. Large files are redirected to a second listener, the CDN.
use std::{
    io::{self, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

use super::{
    body,
    faults::{Fault, Switches},
    repo::Repo,
    routes::{from_cdn, from_hub},
    wire::{Head, Request},
};

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub cdn: bool,
    pub target: String,
    pub authorization: Option<String>,
    /// Bytes of a file that were sent for it.
    pub sent: u64,
}

/// What both listeners and the test share.
pub(crate) struct Shared {
    pub repos: Mutex<Vec<Repo>>,
    pub switches: Switches,
    pub seen: Mutex<Vec<Seen>>,
    /// Entries of a page of a tree.
    pub page: AtomicUsize,
    pub ended: AtomicBool,
    pub hub: SocketAddr,
    pub cdn: SocketAddr,
}

/// A running hub; ends with it.
pub(crate) struct LocalHub {
    pub shared: Arc<Shared>,
}

impl LocalHub {
    pub(crate) fn start(repos: Vec<Repo>) -> LocalHub {
        let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
        let [hub, cdn] = [0, 1].map(|i: usize| listeners[i].local_addr().unwrap());
        let shared = Arc::new(Shared {
            repos: Mutex::new(repos),
            switches: Switches::default(),
            seen: Mutex::default(),
            page: AtomicUsize::new(1000),
            ended: AtomicBool::new(false),
            hub,
            cdn,
        });
        for (listener, cdn) in listeners.into_iter().zip([false, true]) {
            let shared = Arc::clone(&shared);
            thread::spawn(move || accept(&listener, &shared, cdn));
        }
        LocalHub { shared }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.shared.hub)
    }

    pub(crate) fn set(&self, path: &str, fault: Fault, times: u32) {
        self.shared.switches.set(path, fault, times);
    }

    /// Changes the repository of a name.
    pub(crate) fn change<T>(&self, name: &str, change: impl FnOnce(&mut Repo) -> T) -> T {
        let mut repos = self.shared.repos.lock().unwrap();
        change(repos.iter_mut().find(|repo| repo.name == name).unwrap())
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap().clone()
    }

    /// Bytes of files that were sent.
    pub(crate) fn sent(&self) -> u64 {
        self.seen().iter().map(|seen| seen.sent).sum()
    }

    pub(crate) fn forget_seen(&self) {
        self.shared.seen.lock().unwrap().clear();
    }
}

impl Drop for LocalHub {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Relaxed);
        for address in [self.shared.hub, self.shared.cdn] {
            // Wakes the listener, which then ends.
            let _ = TcpStream::connect(address);
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, cdn: bool) {
    for stream in listener.incoming() {
        if shared.ended.load(Ordering::Relaxed) {
            break;
        }
        let Ok(stream) = stream else { continue };
        let shared = Arc::clone(shared);
        thread::spawn(move || {
            // A client that goes away is no fault of ours.
            let _ = serve(stream, &shared, cdn);
        });
    }
}

fn serve(stream: TcpStream, shared: &Shared, cdn: bool) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    while let Some(request) = Request::read(&mut reader)? {
        let at = {
            let mut seen = shared.seen.lock().unwrap();
            seen.push(Seen {
                cdn,
                target: request.target.clone(),
                authorization: request.header("authorization").map(str::to_owned),
                sent: 0,
            });
            seen.len() - 1
        };
        let answer = if cdn {
            from_cdn(shared, &request)
        } else {
            from_hub(shared, &request)
        };
        let count = |bytes: u64| {
            // A test may have forgotten what was seen meanwhile.
            if let Some(seen) = shared.seen.lock().unwrap().get_mut(at) {
                seen.sent += bytes;
            }
        };
        if !answer.send(&mut stream, &request, &count)? {
            break;
        }
    }
    Ok(())
}

/// An answer: a text that comes whole, a file with all that can happen to it,
/// or silence.
pub(crate) enum Answer {
    Text(Head, Vec<u8>),
    File(Head, Vec<u8>, Option<Fault>),
    Silence,
}

impl Answer {
    pub(crate) fn json(value: &Value) -> Answer {
        let head = Head::new(200).with("Content-Type", "application/json; charset=utf-8");
        Answer::Text(head, value.to_string().into_bytes())
    }

    pub(crate) fn refused(status: u16, code: &str, message: &str) -> Answer {
        let head = Head::new(status)
            .with("X-Error-Code", code)
            .with("X-Error-Message", message);
        Answer::Text(head, json!({ "error": message }).to_string().into_bytes())
    }

    /// Whether the connection can go on.
    fn send(
        self,
        stream: &mut TcpStream,
        request: &Request,
        count: &dyn Fn(u64),
    ) -> io::Result<bool> {
        match self {
            Answer::Text(head, text) => {
                head.with("Content-Length", text.len().to_string())
                    .write(stream)?;
                if request.method != "HEAD" {
                    stream.write_all(&text)?;
                }
                Ok(true)
            }
            Answer::File(head, bytes, fault) => {
                body::send(stream, request, head, &bytes, fault.as_ref(), count)
            }
            Answer::Silence => {
                wait_for_end(stream)?;
                Ok(false)
            }
        }
    }
}

/// Says nothing until the client hangs up.
pub(crate) fn wait_for_end(stream: &mut TcpStream) -> io::Result<()> {
    let mut rest = [0; 64];
    while stream.read(&mut rest)? > 0 {}
    Ok(())
}

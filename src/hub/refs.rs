//! Branches, tags and commits of a repository.
use anyhow::Result;
use serde::Deserialize;

use crate::{
    diagnostic::nearest,
    hub::{
        fault::{Fault, Reason, Subject},
        hooks::Hooks,
        name::is_commit,
        transport::Hub,
        url::escape,
    },
};

/// Most repositories of one owner that are looked at for a name like the wrong one.
const SIMILAR: u32 = 200;

/// A branch or a tag, and where it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ref {
    pub name: String,
    /// 40 hexadecimal digits.
    pub commit: String,
}

#[derive(Deserialize)]
struct Refs {
    branches: Vec<Named>,
    #[serde(default)]
    tags: Vec<Named>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    name: String,
    target_commit: String,
}

#[derive(Deserialize)]
struct Revision {
    sha: String,
}

#[derive(Deserialize)]
struct Known {
    id: String,
}

impl Hub {
    /// The branches and tags of a repository, as the hub orders them.
    ///
    /// # Errors
    /// A [`Fault`] that names the repository, or the error of `go_on`.
    pub fn refs(&self, repo: &str, hooks: &Hooks<'_>) -> Result<Vec<Ref>> {
        let asked = self.asked(Subject::repo(repo), &format!("/api/models/{repo}/refs"))?;
        let found = self.json::<Refs>(&asked, hooks);
        let (refs, _) = found.map_err(|error| self.with_similar_repo(error, repo, hooks))?;
        let named = refs.branches.into_iter().chain(refs.tags);
        named
            .map(|named| {
                if is_commit(&named.target_commit) {
                    Ok(Ref {
                        name: named.name,
                        commit: named.target_commit,
                    })
                } else {
                    let what = "a ref without a commit".to_owned();
                    Err(self.fault(Reason::Nonsense(what), &asked).into())
                }
            })
            .collect()
    }

    /// The commit that a branch, a tag or a (short) commit id stands for now.
    ///
    /// # Errors
    /// A [`Fault`] that names what is like the revision, or the error of `go_on`.
    pub fn commit(&self, repo: &str, revision: &str, hooks: &Hooks<'_>) -> Result<String> {
        let path = format!("/api/models/{repo}/revision/{}", escape(revision, ""));
        let asked = self.asked(Subject::at(repo, revision), &path)?;
        match self.json::<Revision>(&asked, hooks) {
            Ok((found, _)) if is_commit(&found.sha) => Ok(found.sha),
            Ok(_) => {
                let what = "a revision without a commit".to_owned();
                Err(self.fault(Reason::Nonsense(what), &asked).into())
            }
            Err(error) => Err(self.with_similar(error, repo, revision, hooks)),
        }
    }

    /// Adds the name that may have been meant, if the hub can be asked for it.
    pub(super) fn with_similar(
        &self,
        error: anyhow::Error,
        repo: &str,
        revision: &str,
        hooks: &Hooks<'_>,
    ) -> anyhow::Error {
        match error.downcast::<Fault>() {
            Ok(mut fault) if fault.reason == Reason::NoRevision => {
                if let Ok(refs) = self.refs(repo, hooks) {
                    let names = refs.iter().map(|known| known.name.as_str());
                    fault.near = nearest(revision, names).map(str::to_owned);
                }
                fault.into()
            }
            Ok(fault) => self.with_similar_repo(fault.into(), repo, hooks),
            Err(error) => error,
        }
    }

    fn with_similar_repo(
        &self,
        error: anyhow::Error,
        repo: &str,
        hooks: &Hooks<'_>,
    ) -> anyhow::Error {
        match error.downcast::<Fault>() {
            Ok(mut fault) => {
                if fault.reason == Reason::NoRepo {
                    fault.near = self.similar_repo(repo, hooks);
                }
                fault.into()
            }
            Err(error) => error,
        }
    }

    fn similar_repo(&self, repo: &str, hooks: &Hooks<'_>) -> Option<String> {
        let (owner, _) = repo.split_once('/')?;
        let path = format!("/api/models?author={}&limit={SIMILAR}", escape(owner, ""));
        let asked = self.asked(Subject::repo(repo), &path).ok()?;
        let (known, _) = self.json::<Vec<Known>>(&asked, hooks).ok()?;
        nearest(repo, known.iter().map(|known| known.id.as_str())).map(str::to_owned)
    }
}

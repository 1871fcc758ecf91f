//! Which file a command's first word means: the search along `PATH`, done once
//! for many commands instead of by trying to start each candidate every time.
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Mutex,
};

/// What was looked for last, along which `PATH`, and where it was.
static LAST: Mutex<Option<([String; 2], PathBuf)>> = Mutex::new(None);

/// The program's file; the word itself where it is a path, or where none is
/// found and starting it will say so.
pub(super) fn program(
    word: &str,
    environment: &BTreeMap<String, String>,
    folder: &Path,
) -> PathBuf {
    let Some(path) = environment.get("PATH").filter(|_| !word.contains('/')) else {
        return word.into();
    };
    let sought = [word.to_owned(), path.clone()];
    let Ok(mut last) = LAST.lock() else {
        return word.into();
    };
    if let Some((_, found)) = last.as_ref().filter(|last| last.0 == sought)
        && is_program(found)
    {
        return found.clone();
    }
    // A place that is relative depends on the folder: nothing to remember.
    let mut places = path.split(':').map(|place| folder.join(place).join(word));
    let Some(found) = places.find(|place| is_program(place)) else {
        return word.into();
    };
    if !found.starts_with(folder) {
        *last = Some((sought, found.clone()));
    }
    found
}

fn is_program(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_program_along_the_path_is_meant() {
        let place = tempfile::tempdir().unwrap();
        let make = |name: &str, mode: u32| {
            let path = place.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            path
        };
        make("a/tool", 0o644);
        let second = make("b/tool", 0o755);
        let third = make("c/tool", 0o755);
        let own = make("work/bin/tool", 0o755);
        let folder = place.path().join("work");
        let root = place.path().display();
        let look = |word: &str, path: String| {
            let environment = BTreeMap::from([("PATH".to_owned(), path)]);
            program(word, &environment, &folder)
        };
        let path = format!("{root}/none:{root}/a:{root}/b:{root}/c");
        for _ in 0..2 {
            assert_eq!(look("tool", path.clone()), second);
        }
        fs::remove_file(&second).unwrap();
        assert_eq!(look("tool", path.clone()), third);
        // An earlier place that comes later is found when the last one is gone.
        assert_eq!(look("tool", format!("bin:{path}")), own);
        assert_eq!(look("tool", path), third);
        assert_eq!(look("none", format!("{root}/a")), Path::new("none"));
        assert_eq!(look("./tool", format!("{root}/c")), Path::new("./tool"));
        assert_eq!(
            program("tool", &BTreeMap::new(), &folder),
            Path::new("tool")
        );
    }
}

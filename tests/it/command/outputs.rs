//! What is taken from a command and what is refused: edge case 31 and rows
//! 19 to 21 of the fault matrix.
use std::fs;

use vgh::digest::Digest;

use crate::command::{Bench, names};

fn shell(line: &str, outputs: &str) -> Bench {
    Bench::new(&format!(
        "[stages.s]\nkind = \"command\"\nshell = '''{line}'''\noutputs = {{ {outputs} }}\n"
    ))
}

/// The one failure of a shell line.
fn refused(line: &str, outputs: &str) -> String {
    let bench = shell(line, outputs);
    let did = bench.run();
    assert_eq!(did.code, Some(1), "{did:#?}");
    let [failure] = did.failures.as_slice() else {
        panic!("{did:#?}")
    };
    // Nothing of it is kept.
    assert_eq!(bench.cache().records().unwrap().count(), 0);
    failure.clone()
}

#[test]
fn what_is_no_plain_file_or_folder_is_refused_by_name() {
    for (line, outputs, expected) in [
        (
            "true",
            "a = \"a.txt\"",
            "s: output `a`: the command made no `a.txt`",
        ),
        (
            "echo > b.txt; mkdir c",
            "a = \"a.txt\"",
            "s: output `a`: the command made no `a.txt` (it left `b.txt`, `c`)",
        ),
        (
            "ln -s /etc/passwd a",
            "a = \"a\"",
            "s: output `a`: `a` is a symbolic link to `/etc/passwd`; only files and folders are taken, copy it",
        ),
        (
            "mkdir a; ln -s ../../../x a/l",
            "a = \"a\"",
            "s: output `a`: `a/l` is a symbolic link to `../../../x`; only files and folders are taken, copy it",
        ),
        (
            "rmdir d; ln -s /etc d",
            "a = \"d/passwd\"",
            "s: output `a`: `d` is a symbolic link to `/etc`; only files and folders are taken, copy it",
        ),
        (
            "mkfifo a",
            "a = \"a\"",
            "s: output `a`: `a` is a named pipe; only plain files and folders are taken",
        ),
        (
            "mkdir -p a/b; mkfifo a/b/p",
            "a = \"a\"",
            "s: output `a`: `a/b/p` is a named pipe; only plain files and folders are taken",
        ),
        (
            "echo > a; chmod u+s a",
            "a = \"a\"",
            "s: output `a`: `a` is set-user-id or set-group-id; only plain files and folders are taken",
        ),
        (
            "mkdir a; touch a/$(printf '\\377')",
            "a = \"a\"",
            "s: output `a`: the name `a/\u{fffd}` is not UTF-8",
        ),
        (
            "rmdir a; echo > a",
            "a = \"a/\"",
            "s: output `a`: `a/` is a file where a folder was expected",
        ),
        (
            "echo > a; echo > b; exit 3",
            "a = \"a\"",
            "s: `/bin/sh` ended with exit code 3: it said nothing",
        ),
        (
            "echo one; printf 'tw\\033[0mo\\n\\n' >&2; exit 1",
            "a = \"a\"",
            "s: `/bin/sh` ended with exit code 1: tw\\u{1b}[0mo",
        ),
        (
            "kill -SEGV $$",
            "a = \"a\"",
            "s: `/bin/sh` was killed by signal 11: it said nothing",
        ),
    ] {
        assert_eq!(refused(line, outputs), expected, "{line}");
    }
}

#[test]
fn devices_and_sockets_are_refused() {
    // SAFETY: the call has no arguments and cannot fail.
    if unsafe { libc::geteuid() } == 0 {
        assert_eq!(
            refused("mknod a c 1 3", "a = \"a\""),
            "s: output `a`: `a` is a device; only plain files and folders are taken"
        );
    }
    let socket = "python3 -c \"import socket; socket.socket(socket.AF_UNIX).bind('a')\"";
    if crate::skip::python_with("devices_and_sockets_are_refused", &["socket"]) {
        assert_eq!(
            refused(socket, "a = \"a\""),
            "s: output `a`: `a` is a socket; only plain files and folders are taken"
        );
    }
}

/// Edge case 31: names and contents of all kinds come through.
#[test]
fn case_31_odd_names_and_empty_things_are_kept() {
    let line = r#"
mkdir -p "o/a b/ü" o/empty/folder
printf nfc > "o/é.txt"
printf nfd > "$(printf 'o/e\314\201.txt')"
printf n > "o/new
line"
: > o/none
ln o/none "o/hard link"
printf h > o/.hidden
printf x > "o/a b/ü/CASE"
printf y > "o/a b/ü/case"
: > "$(printf 'o/%0250d' 0)"
"#;
    let bench = Bench::new(&format!(
        "[stages.s]\nkind = \"command\"\nshell = '''{line}'''\noutputs = {{ o = \"o/\", e = \"e/\", f = \"f\" }}\n\
         [stages.t]\nkind = \"command\"\ninputs = {{ o = \"s\", e = \"s\", f = \"s\" }}\n\
         shell = '''cd {{inputs.o}}; find . -type f -print0 | LC_ALL=C sort -z | xargs -0 cat > ../../work/all\n\
         cd ../e; ls -a >> ../../work/all; wc -c < ../f >> ../../work/all'''\noutputs = {{ all = \"all\" }}\n"
    ));
    let text = fs::read_to_string(bench.path("p.toml")).unwrap();
    bench.write(
        "p.toml",
        text.replace("mkdir -p \"o", ": > f; mkdir -p \"o"),
    );
    let did = bench.succeed();
    assert_eq!(did.executed, ["s", "t"]);
    // .hidden, the zeros (empty), `a b`, e + accent, hard link, new line, none, é
    assert_eq!(bench.result("t/all"), "hxynfdnnfc.\n..\n0\n");
    let folder = bench.path("results/p/s/o");
    assert_eq!(
        fs::read_to_string(folder.join("e\u{301}.txt")).unwrap(),
        "nfd"
    );
    assert_eq!(
        fs::read_to_string(folder.join("\u{e9}.txt")).unwrap(),
        "nfc"
    );
    assert_eq!(names(&folder.join("a b/ü")), ["CASE", "case"]);
    assert!(!folder.join("empty").exists());
    assert_eq!(bench.succeed().executed, Vec::<String>::new());
}

#[test]
fn what_no_output_declares_is_told_and_goes() {
    let line = "echo > kept; mkdir -p d e/f; echo > d/kept; for i in 1 2 3 4; do echo > d/$i; done; echo > \"$(printf 'x\\033')\"";
    let bench = shell(line, "a = \"kept\", b = \"d/kept\"");
    let did = bench.succeed();
    assert_eq!(
        did.log,
        [
            "warning: the command also left `d/1`, `d/2`, `d/3`, `d/4`, `e` and 1 more, which no output declares: not kept"
        ]
    );
    assert_eq!(names(&bench.path("results/p/s")), ["a", "b"]);
}

/// Edge case 16: the copy for people is gone, and so nobody but the run that
/// restores it finds out that the bytes in the cache are spoiled.
#[test]
fn a_spoiled_result_whose_copy_is_gone_is_made_again_in_the_same_run() {
    let bench = Bench::new(
        "[stages.a]\nkind = \"command\"\nshell = \"echo 1 > a\"\noutputs = { a = \"a\" }\n\
         [stages.b]\nkind = \"command\"\nshell = \"cat {inputs.a} {inputs.a} > b\"\n\
         inputs = { a = \"a\" }\noutputs = { b = \"b\" }\n",
    );
    bench.succeed();
    let spoil = |text: &str| {
        let path = bench.cache().blob_path(&Digest::of(text.as_bytes()));
        let size = fs::metadata(&path).unwrap().len();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "7".repeat(size as usize)).unwrap();
    };
    for (spoiled, remade) in [
        (&["1\n1\n"][..], &["b"][..]),
        (&["1\n1\n", "1\n"], &["a", "b"]),
    ] {
        for text in spoiled {
            spoil(text);
        }
        // The copy still stands: nothing has to be read.
        assert_eq!(bench.succeed().executed, Vec::<String>::new());
        fs::remove_file(bench.path("results/p/b/b")).unwrap();
        let did = bench.succeed();
        assert_eq!(did.executed, remade);
        let found = did
            .warnings
            .iter()
            .filter(|said| said.contains(" is corrupt: "));
        assert_eq!(found.count(), spoiled.len(), "{did:?}");
        assert_eq!(bench.result("b/b"), "1\n1\n");
        assert_eq!(bench.succeed().executed, Vec::<String>::new());
    }
    assert!(bench.cache().verify(true).unwrap().is_sound());
}

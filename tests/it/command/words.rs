//! What a command says: row 44 of the fault matrix.
use crate::command::Bench;

#[test]
fn no_output_steers_a_terminal_or_blocks() {
    let bench = Bench::new(
        r"
[stages.s]
kind = 'command'
shell = '''
printf '\033[31mred\000\tnul \342\200\256bidi\n'
printf '\377\376 bytes\n' >&2
printf '10%%\r50%%\r100%%\n'
printf 'no line feed'
: > a
'''
outputs = { a = 'a' }
",
    );
    let did = bench.succeed();
    assert_eq!(
        did.log,
        [
            "\\u{1b}[31mred\\u{0} nul \\u{202e}bidi",
            "\u{fffd}\u{fffd} bytes",
            "100%",
            "no line feed",
        ]
    );
}

#[test]
fn a_line_without_end_takes_little_memory() {
    let bench = Bench::new(
        r"
[stages.s]
kind = 'command'
shell = 'head -c 1000000000 /dev/zero; echo; seq 100000; echo end; grep VmHWM /proc/$PPID/status > a'
outputs = { a = 'a' }
",
    );
    let did = bench.succeed();
    assert_eq!(did.log.len(), 5101);
    assert!(did.log[0].ends_with(" ... (999995904 more bytes)"));
    assert!(did.log[0].starts_with("\\u{0}\\u{0}"));
    assert_eq!(did.log[1], "1");
    assert_eq!(did.log[5000], "... (94902 lines left out)");
    assert_eq!(did.log[5100], "end");
    // The worker is the command's parent: `VmHWM:  12345 kB`.
    let peak = bench.result("s/a");
    let kib: u64 = peak.split_whitespace().nth(1).unwrap().parse().unwrap();
    assert!(kib << 10 < 100 << 20, "{peak}");
}

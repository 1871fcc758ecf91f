//! Pipelines of many small commands, and how many files each reads.

const HEAD: &str = "[pipeline]\nformat = 1\nname = \"p\"\n";
/// Fails on a file without `ok`, takes its time on one with `slow`.
const FIRST: &str = "shell = \"grep ok {files.x} > {outputs.y} && ! grep -q slow {files.x} \
                     || (sleep 0.1; grep ok {files.x} && sleep 60)\"\noutputs = { y = \"y\" }\n";

pub(super) fn flat() -> (String, usize) {
    let stage = |i: usize| {
        format!("[stages.s{i}]\nkind = \"command\"\n{FIRST}files = {{ x = \"in/{i}\" }}\n")
    };
    (
        HEAD.to_owned() + &(0..40).map(stage).collect::<String>(),
        40,
    )
}

pub(super) fn chain() -> (String, usize) {
    let mut text = format!("{HEAD}[axes]\ni = {{ from = 0, to = 7, by = 1 }}\n");
    for k in 0..5 {
        let about =
            format!("[stages.s{k}]\nkind = \"command\"\nover = [\"i\"]\nenv = {{ K = \"{k}\" }}\n");
        text += &about;
        text += &match k {
            0 => format!("{FIRST}files = {{ x = \"in/{{i}}\" }}\n"),
            _ => format!(
                "argv = [\"cp\", \"{{inputs.x}}\", \"{{outputs.y}}\"]\noutputs = {{ y = \"y\" }}\n\
                 inputs = {{ x = \"s{}\" }}\n",
                k - 1
            ),
        };
    }
    (text, 8)
}

/// Many into one, with something behind it and something beside it.
pub(super) fn gather() -> (String, usize) {
    let text = format!(
        "{HEAD}[params]\nword = \"w\"\n[axes]\ni = {{ from = 0, to = 39, by = 1 }}\n\
         [stages.one]\nkind = \"command\"\nover = [\"i\"]\n{FIRST}files = {{ x = \"in/{{i}}\" }}\n\
         [stages.beside]\nkind = \"command\"\nshell = \"echo {{word}} > w\"\noutputs = {{ w = \"w\" }}\n\
         files = {{ x = \"in/40\" }}\n\
         [stages.all]\nkind = \"command\"\nshell = \"cat ../inputs/ones/*/* > all\"\n\
         inputs = {{ ones = \"one\" }}\noutputs = {{ all = \"all\" }}\n\
         [stages.tail]\nkind = \"command\"\nargv = [\"cp\", \"{{inputs.all}}\", \"t/all\"]\n\
         inputs = {{ all = \"all\" }}\noutputs = {{ t = \"t/\" }}\n"
    );
    (text, 41)
}

/// Along axes of numbers and words, of which others read some values.
pub(super) fn picks() -> (String, usize) {
    let text = format!(
        "{HEAD}[axes]\ni = {{ from = 0, to = 39, by = 1 }}\nk = [2.5, 1]\nw = [\"b\", \"a\"]\n\
         [stages.one]\nkind = \"command\"\nover = [\"i\", \"k\"]\nenv = {{ K = \"{{k}}\" }}\n{FIRST}\
         files = {{ x = \"in/{{i}}\" }}\n\
         [stages.last]\nkind = \"command\"\nover = [\"w\"]\nshell = \"cat ../inputs/x/*/*/* > {{w}}\"\n\
         inputs = {{ x = \"one@i=last,k=2.5\" }}\noutputs = {{ y = \"{{w}}\" }}\n\
         [stages.some]\nkind = \"command\"\nover = [\"k\"]\nenv = {{ K = \"{{k}}\" }}\n\
         shell = \"cat ../inputs/ones/*/* > all\"\n\
         inputs = {{ ones = \"one@i=0..4\" }}\noutputs = {{ all = \"all\" }}\n"
    );
    (text, 40)
}

/// One that many read, each with a file of its own.
pub(super) fn shared(temp: bool) -> (String, usize) {
    let text = format!(
        "{HEAD}[axes]\ni = {{ from = 0, to = 39, by = 1 }}\n\
         [stages.a]\nkind = \"copy-corpus\"\ntemp = {temp}\ndocuments = 20\n\
         [stages.b]\nkind = \"command\"\nover = [\"i\"]\nshell = \"test -e {{inputs.a}} && cat {{files.x}} > y\"\n\
         inputs = {{ a = \"a\" }}\nfiles = {{ x = \"in/{{i}}\" }}\noutputs = {{ y = \"y\" }}\n"
    );
    (text, 40)
}

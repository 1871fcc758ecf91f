//! An artifact in a few numbers: small enough to commit, telling enough that
//! a changed formula moves them. Compares nothing.
use std::{collections::BTreeMap, fmt, fs, path::Path};

use candle_core::{DType, Device};
use vgh::{
    artifact::{
        ArtifactType,
        schema::{Dtype, Schema, named},
        table::{bools, f64s, i64s, read, texts},
    },
    cache::{Cache, Content},
    digest::Digest,
};

/// What is known of one column, tensor or text file.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// Such as `scores.value`.
    pub(super) name: String,
    /// What has to be the same to the letter.
    pub(super) exact: String,
    /// Mean, mean weighted by place, root mean square; empty where there are no
    /// numbers. No single one of them: those of a weight move most by rounding.
    pub(super) numbers: Vec<f64>,
}

impl Line {
    fn of(name: String, exact: String, values: &[f64]) -> Line {
        if values.is_empty() {
            let numbers = Vec::new();
            return Line {
                name,
                exact,
                numbers,
            };
        }
        let n = values.len() as f64;
        let over = |term: &dyn Fn(usize, f64) -> f64| -> f64 {
            values.iter().enumerate().map(|(i, &x)| term(i, x)).sum()
        };
        let by_place = over(&|i, x| (i + 1) as f64 * x) / (n * (n + 1.0) / 2.0);
        let rms = (over(&|_, x| x * x) / n).sqrt();
        Line {
            name,
            exact,
            numbers: vec![over(&|_, x| x) / n, by_place, rms],
        }
    }

    /// From the form in which it is shown.
    pub(super) fn parse(text: &str) -> Line {
        let mut parts = text.splitn(3, '|');
        let mut part = || parts.next().unwrap_or_default().trim();
        let (name, exact) = (part().to_owned(), part().to_owned());
        let numbers = part().split_whitespace();
        Line {
            name,
            exact,
            numbers: numbers.map(|word| word.parse().unwrap()).collect(),
        }
    }

    /// The size of the numbers, against which a difference is large or small.
    pub(super) fn scale(&self) -> f64 {
        self.numbers.last().copied().unwrap_or(0.0)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} | {} |", self.name, self.exact)?;
        let mut numbers = self.numbers.iter();
        numbers.try_for_each(|number| write!(f, " {number:e}"))
    }
}

/// The lines of one output.
pub(super) fn lines(
    port: &str,
    artifact: ArtifactType,
    content: &Content,
    cache: &Cache,
) -> Vec<Line> {
    let file = |digest: &Digest, size| cache.verified(digest, size).unwrap();
    let schema = match artifact {
        ArtifactType::Table(name) => named(name),
        ArtifactType::Prompts => named("prompts"),
        _ => None,
    };
    if let Some(schema) = schema {
        return of_table(port, &file(&content.digest, content.size), schema);
    }
    let tree = cache.tree(&content.digest).unwrap();
    let entries = tree.files.iter().flat_map(|(name, entry)| {
        let path = file(&entry.digest, entry.size);
        let name = format!("{port}/{name}");
        if name.ends_with(".safetensors") {
            of_tensors(&name, &path)
        } else {
            vec![of_text(name, &fs::read_to_string(&path).unwrap())]
        }
    });
    entries.collect()
}

fn of_table(port: &str, path: &Path, schema: &Schema) -> Vec<Line> {
    let frame = read(path, schema).unwrap();
    let column = |name: &str| {
        let dtype = schema.place(name).unwrap().2.dtype;
        let (values, missing) = match dtype {
            Dtype::Float => present(f64s(&frame, name).unwrap(), |x| x),
            Dtype::Int => present(i64s(&frame, name).unwrap(), |i| i as f64),
            Dtype::Bool => present(bools(&frame, name).unwrap(), f64::from),
            Dtype::Text => {
                let words = texts(&frame, name).unwrap();
                let words = words.into_iter().map(|word| word.unwrap_or("-".into()));
                let text = words.collect::<Vec<String>>().join("\n");
                return of_text(format!("{port}.{name}"), &text);
            }
        };
        let exact = format!("{} rows, {missing} missing", frame.height());
        Line::of(format!("{port}.{name}"), exact, &values)
    };
    let columns = frame.columns().iter();
    columns.map(|values| column(values.name())).collect()
}

fn present<T>(values: Vec<Option<T>>, number: impl Fn(T) -> f64) -> (Vec<f64>, usize) {
    let all = values.len();
    let values: Vec<f64> = values.into_iter().flatten().map(number).collect();
    let missing = all - values.len();
    (values, missing)
}

fn of_tensors(name: &str, path: &Path) -> Vec<Line> {
    let tensors = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let sorted: BTreeMap<_, _> = tensors.into_iter().collect();
    let line = |(tensor, values): (String, candle_core::Tensor)| {
        let exact = format!("{:?} {:?}", values.dtype(), values.dims());
        let values = values.to_dtype(DType::F64).unwrap().flatten_all().unwrap();
        let values: Vec<f64> = values.to_vec1().unwrap();
        Line::of(format!("{name}:{tensor}"), exact, &values)
    };
    sorted.into_iter().map(line).collect()
}

/// Text apart from the numbers in it, which may differ by rounding.
fn of_text(name: String, text: &str) -> Line {
    let (mut frame, mut numbers) = (String::new(), Vec::new());
    let in_word = |c: char| c.is_alphanumeric() || "._#%+-".contains(c);
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let end = rest.find(|c| !in_word(c)).unwrap_or(rest.len());
        let end = if end == 0 { c.len_utf8() } else { end };
        let (word, after) = rest.split_at(end);
        match number(word) {
            Some(number) => {
                numbers.push(number);
                frame.push('\u{0}');
            }
            None => frame.push_str(word),
        }
        rest = after;
    }
    let digest = Digest::of(frame.as_bytes());
    let exact = format!("text {}, {} numbers", digest.short(), numbers.len());
    Line::of(name, exact, &numbers)
}

/// A plain number: no colour, no length in `ex`, no end of a sentence.
fn number(word: &str) -> Option<f64> {
    let unsigned = word.trim_start_matches(['+', '-']);
    if !unsigned.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let number: f64 = word.trim_end_matches('.').parse().ok()?;
    number.is_finite().then_some(number)
}

#[test]
fn numbers_are_told_from_words() {
    let line = of_text("t".into(), "rho 0.50 at #009E73, 0.5ex; -1e-2, n=3.");
    let (mean, by_place) = ((0.5 - 0.01 + 3.0) / 3.0, (0.5 - 0.02 + 9.0) / 6.0);
    assert!((line.numbers[0] - mean).abs() < 1e-15, "{line}");
    assert!((line.numbers[1] - by_place).abs() < 1e-15, "{line}");
    assert!(line.exact.ends_with(", 3 numbers"), "{line}");
    let other = of_text("t".into(), "rho 0.51 at #009E73, 0.5ex; -2e-2, n=4.");
    assert_eq!(line.exact, other.exact);
    let other = of_text("t".into(), "rho 0.50 at #009E74, 0.5ex; -1e-2, n=3.");
    assert_ne!(line.exact, other.exact);
    for line in [line, of_text("t".into(), "no numbers")] {
        assert_eq!(Line::parse(&line.to_string()), line);
    }
}

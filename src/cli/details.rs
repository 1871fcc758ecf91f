//! What a run leaves of each instance for whoever does a part again: a table of
//! small numbers, and beside it the lines of the results. The table is read in
//! one pass and written by putting new rows in the place of old ones.
use std::{borrow::Cow, fmt::Write, fs::File, ops::Range};

use crate::runs::{KeptLines, Piece};

/// The instances, in the order of the pipeline.
#[derive(Debug)]
pub(super) struct Details<'a> {
    text: &'a str,
    kept: KeptLines,
    targets: Vec<bool>,
    /// Where rows, lines, files and producers of each instance begin, and where
    /// the last ones end.
    rows: Vec<usize>,
    lines: Vec<u64>,
    files: Vec<usize>,
    reads: Vec<usize>,
    producers: Vec<usize>,
}

/// What the table says of one instance.
pub(super) struct Row<'a> {
    /// Whether the run asked for it.
    pub(super) target: bool,
    /// How many files of the proof are its own, in the order of the instances.
    pub(super) files: usize,
    /// Bytes of its line among the results.
    pub(super) line: usize,
    /// Positions of the instances that it reads.
    pub(super) producers: &'a [usize],
}

impl Row<'_> {
    pub(super) fn write(&self, text: &mut String) {
        text.push_str(if self.target { "t" } else { "" });
        write!(text, "{} {}", self.files, self.line).expect("a string takes all");
        for producer in self.producers {
            write!(text, " {producer}").expect("a string takes all");
        }
        text.push('\n');
    }
}

impl<'a> Details<'a> {
    /// `lines` must be as long as the table says.
    pub(super) fn read(text: &'a str, lines: File) -> Option<Details<'a>> {
        let (mut targets, mut rows, mut ends) = (Vec::new(), vec![0], vec![0]);
        let (mut all_files, mut reads, mut producers) = (vec![0], vec![0], Vec::new());
        let mut rest = Unread(text.as_bytes());
        let (mut files, mut line) = (0_usize, 0_u64);
        while !rest.0.is_empty() {
            targets.push(rest.takes(b't'));
            files = files.checked_add(rest.number()?)?;
            all_files.push(files);
            let length = rest.takes(b' ').then(|| rest.number())??;
            line = line.checked_add(length as u64)?;
            ends.push(line);
            while rest.takes(b' ') {
                producers.push(rest.number()?);
            }
            reads.push(producers.len());
            rest.takes(b'\n')
                .then(|| rows.push(text.len() - rest.0.len()))?;
        }
        Some(Details {
            text,
            kept: KeptLines::new(lines, line)?,
            targets,
            rows,
            lines: ends,
            files: all_files,
            reads,
            producers,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    pub(super) fn is_target(&self, instance: usize) -> bool {
        self.targets[instance]
    }

    /// Places among the files of the proof, the record first.
    pub(super) fn files(&self, instance: usize) -> Range<usize> {
        self.files[instance]..self.files[instance + 1]
    }

    /// How many files of the proof belong to instances.
    pub(super) fn all_files(&self) -> usize {
        self.files[self.len()]
    }

    pub(super) fn producers(&self, instance: usize) -> &[usize] {
        &self.producers[self.reads[instance]..self.reads[instance + 1]]
    }

    /// The line among the results, JSON; none where it cannot be read.
    pub(super) fn line(&self, instance: usize) -> Option<String> {
        self.kept.line(self.place_of_line(instance))
    }

    /// All lines, with others in the place of some.
    pub(super) fn lines_with<'b>(&'b self, others: &[(usize, &'b str)]) -> Vec<Piece<'b>> {
        let (mut next, mut all) = (0, Vec::new());
        for (instance, line) in others {
            let place = self.place_of_line(*instance);
            all.push(Piece::Old(&self.kept, next..place.start));
            all.push(Piece::New(line));
            next = place.end;
        }
        let end = self.lines[self.len()];
        all.push(Piece::Old(&self.kept, next..end));
        all
    }

    /// The table, with other rows in the place of some.
    pub(super) fn rows_with(&self, others: Vec<(usize, String)>) -> Vec<Cow<'a, str>> {
        let (mut next, mut all) = (0, Vec::new());
        for (instance, row) in others {
            all.push(Cow::Borrowed(&self.text[next..self.rows[instance]]));
            all.push(Cow::Owned(row));
            next = self.rows[instance + 1];
        }
        all.push(Cow::Borrowed(&self.text[next..]));
        all
    }

    fn place_of_line(&self, instance: usize) -> Range<u64> {
        self.lines[instance]..self.lines[instance + 1]
    }
}

/// What is not read yet.
struct Unread<'a>(&'a [u8]);

impl Unread<'_> {
    fn takes(&mut self, byte: u8) -> bool {
        let rest = self.0.strip_prefix(&[byte]);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn number(&mut self) -> Option<usize> {
        let mut number = None;
        while let [digit @ b'0'..=b'9', rest @ ..] = self.0 {
            let value = number.unwrap_or(0_usize).checked_mul(10)?;
            number = Some(value.checked_add(usize::from(digit - b'0'))?);
            self.0 = rest;
        }
        number
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::fs;

    use super::*;
    use crate::runs::write_results;

    /// A file of these lines.
    fn file(lines: &[&str]) -> File {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("lines");
        let pieces: Vec<Piece<'_>> = lines.iter().copied().map(Piece::New).collect();
        write_results(&path, &pieces).unwrap();
        File::open(path).unwrap()
    }

    /// The table of instances that read these, all asked for, with a file and an
    /// empty line each, and the lines.
    pub(in crate::cli) fn written(producers: &[&[usize]]) -> (String, File) {
        let mut text = String::new();
        for producers in producers {
            let row = Row {
                target: true,
                files: 1,
                line: 2,
                producers,
            };
            row.write(&mut text);
        }
        (text, file(&vec![",\n"; producers.len()]))
    }

    fn read<'a>(text: &'a str, lines: &[&str]) -> Option<Details<'a>> {
        Details::read(text, file(lines))
    }

    #[test]
    fn details_return_as_they_were() {
        let text = "t2 7 0 17\n1 4\nt0 4 1\n";
        let details = read(text, &["{\"a\"},\n", "{},\n", "[],\n"]).unwrap();
        assert_eq!(details.len(), 3);
        assert_eq!(
            (details.files(0), details.files(1), details.all_files()),
            (0..2, 2..3, 3)
        );
        assert_eq!(
            (details.producers(0), details.producers(1)),
            (&[0, 17][..], &[][..])
        );
        assert_eq!(details.producers(2), [1]);
        let lines = [0, 1, 2].map(|i| details.line(i).unwrap());
        assert_eq!(lines, ["{\"a\"}", "{}", "[]"]);
        let targets = [0, 1, 2].map(|i| details.is_target(i));
        assert_eq!(targets, [true, false, true]);
        let mut table = String::new();
        for (i, target) in targets.into_iter().enumerate() {
            let row = Row {
                target,
                files: details.files(i).len(),
                line: lines[i].len() + 2,
                producers: details.producers(i),
            };
            row.write(&mut table);
        }
        assert_eq!(text, table);
        assert_eq!(details.rows_with(Vec::new()).concat(), text);
    }

    #[test]
    fn rows_and_lines_are_put_in_the_place_of_others() {
        let text = "t1 3\nt1 3\nt1 3\n";
        let details = read(text, &["a,\n", "b,\n", "c,\n"]).unwrap();
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("now");
        let lines = |others: &[(usize, &str)]| {
            write_results(&path, &details.lines_with(others)).unwrap();
            fs::read_to_string(&path).unwrap()
        };
        assert_eq!(lines(&[]), "{\"instances\":[\na,\nb,\nc\n]}\n");
        let now = lines(&[(0, "A,\n"), (2, "see,\n")]);
        assert_eq!(now, "{\"instances\":[\nA,\nb,\nsee\n]}\n");
        lines(&[(1, "bee,\n")]);
        let row = (1, "2 5 0\n".to_owned());
        let table = details.rows_with(vec![row]).concat();
        assert_eq!(table, "t1 3\n2 5 0\nt1 3\n");
        let now = Details::read(&table, File::open(&path).unwrap()).unwrap();
        assert_eq!([0, 1, 2].map(|i| now.line(i).unwrap()), ["a", "bee", "c"]);
    }

    #[test]
    fn garbage_is_none() {
        for text in [
            "\n",
            "t\n",
            "1\n",
            "1 3",
            "1 3 \n",
            "1 3 x\n",
            "1 2\n",
            "1 4\n",
            "1 3\nab",
            "1 3\n1 99999999999999999999999\n",
            "1 3\n1 18446744073709551615\n",
            "99999999999999999999999 3\n",
        ] {
            assert!(read(text, &["a,\n"]).is_none(), "{text:?}");
        }
        assert!(read("1 3\n", &["a,\n"]).is_some());
        assert_eq!(read("", &[]).map(|details| details.len()), Some(0));
    }
}

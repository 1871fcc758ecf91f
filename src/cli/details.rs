//! What a run leaves of each instance for whoever does a part again: a table of
//! small numbers, an empty line, and the lines of the results. Read in one pass,
//! written by putting new rows and lines in the place of old ones.
use std::{borrow::Cow, fmt::Write, ops::Range};

/// The instances, in the order of the pipeline.
#[derive(Debug, PartialEq)]
pub(super) struct Details<'a> {
    text: &'a str,
    targets: Vec<bool>,
    /// Where rows, lines, files and producers of each instance begin, and where
    /// the last ones end.
    rows: Vec<usize>,
    lines: Vec<usize>,
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
    pub(super) fn read(text: &'a str) -> Option<Details<'a>> {
        let mut details = Details {
            text,
            targets: Vec::new(),
            rows: vec![0],
            lines: vec![0],
            files: vec![0],
            reads: vec![0],
            producers: Vec::new(),
        };
        let mut rest = Unread(text.as_bytes());
        let (mut files, mut line) = (0_usize, 0_usize);
        while !rest.takes(b'\n') {
            details.targets.push(rest.takes(b't'));
            files = files.checked_add(rest.number()?)?;
            details.files.push(files);
            line = line.checked_add(rest.takes(b' ').then(|| rest.number())??)?;
            details.lines.push(line);
            while rest.takes(b' ') {
                details.producers.push(rest.number()?);
            }
            details.reads.push(details.producers.len());
            rest.takes(b'\n')
                .then(|| details.rows.push(text.len() - rest.0.len()))?;
        }
        let start = text.len() - rest.0.len();
        for line in &mut details.lines {
            *line = line
                .checked_add(start)
                .filter(|place| text.is_char_boundary(*place))?;
        }
        (details.lines.last() == Some(&text.len())).then_some(details)
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

    /// The line among the results of a run that did not execute it.
    pub(super) fn line(&self, instance: usize) -> &'a str {
        &self.text[self.lines[instance]..self.lines[instance + 1]]
    }

    /// All lines, with others in the place of some.
    pub(super) fn lines_with<'b>(&self, others: &[(usize, &'b str)]) -> Vec<Cow<'b, str>>
    where
        'a: 'b,
    {
        let places = others
            .iter()
            .map(|(i, line)| (self.place_of_line(*i), Cow::Borrowed(*line)));
        splice(self.text, self.lines[0], places)
    }

    /// The whole text, with other rows and lines in the place of some.
    pub(super) fn text_with(&self, others: Vec<(usize, String, String)>) -> Vec<Cow<'a, str>> {
        let (mut rows, mut lines) = (Vec::new(), Vec::new());
        for (i, row, line) in others {
            rows.push((self.rows[i]..self.rows[i + 1], Cow::Owned(row)));
            lines.push((self.place_of_line(i), Cow::Owned(line)));
        }
        splice(self.text, 0, rows.into_iter().chain(lines))
    }

    fn place_of_line(&self, instance: usize) -> Range<usize> {
        self.lines[instance]..self.lines[instance + 1]
    }
}

/// The text from `start` on, with pieces in the place of some that follow each other.
fn splice<'a>(
    text: &'a str,
    start: usize,
    pieces: impl IntoIterator<Item = (Range<usize>, Cow<'a, str>)>,
) -> Vec<Cow<'a, str>> {
    let (mut next, mut all) = (start, Vec::new());
    for (place, piece) in pieces {
        all.push(Cow::Borrowed(&text[next..place.start]));
        all.push(piece);
        next = place.end;
    }
    all.push(Cow::Borrowed(&text[next..]));
    all
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

/// The line of an instance among the results of a run that did not execute it.
pub(super) fn unexecuted(line: &str) -> String {
    line.replacen("\"executed\":true", "\"executed\":false", 1)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The text of instances that read these, all asked for, with a file each.
    pub(in crate::cli) fn written(producers: &[&[usize]]) -> String {
        let mut text = String::new();
        for producers in producers {
            let row = Row {
                target: true,
                files: 1,
                line: 0,
                producers,
            };
            row.write(&mut text);
        }
        text.push('\n');
        text
    }

    fn whole(pieces: &[Cow<'_, str>]) -> String {
        pieces.concat()
    }

    #[test]
    fn details_return_as_they_were() {
        let text = "t2 7 0 17\n1 4\nt0 0 1\n\n{\"a\"},\n{},\n";
        let details = Details::read(text).unwrap();
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
        assert_eq!(
            [details.line(0), details.line(1), details.line(2)],
            ["{\"a\"},\n", "{},\n", ""]
        );
        let targets = [0, 1, 2].map(|i| details.is_target(i));
        assert_eq!(targets, [true, false, true]);
        let mut table = String::new();
        for (i, target) in targets.into_iter().enumerate() {
            let row = Row {
                target,
                files: details.files(i).len(),
                line: details.line(i).len(),
                producers: details.producers(i),
            };
            row.write(&mut table);
        }
        assert!(text.starts_with(&format!("{table}\n")));
        assert_eq!(whole(&details.text_with(Vec::new())), text);
    }

    #[test]
    fn rows_and_lines_are_put_in_the_place_of_others() {
        let text = "t1 2\nt1 2\nt1 2\n\na\nb\nc\n";
        let details = Details::read(text).unwrap();
        assert_eq!(whole(&details.lines_with(&[])), "a\nb\nc\n");
        let lines = details.lines_with(&[(0, "A\n"), (2, "see\n")]);
        assert_eq!(whole(&lines), "A\nb\nsee\n");
        let other = (1, "2 4 0\n".to_owned(), "bee\n".to_owned());
        let now = whole(&details.text_with(vec![other]));
        assert_eq!(now, "t1 2\n2 4 0\nt1 2\n\na\nbee\nc\n");
        assert_eq!(Details::read(&now).unwrap().line(1), "bee\n");
    }

    #[test]
    fn garbage_is_none() {
        for text in [
            "",
            "\n\n",
            "t\n\n",
            "1\n\n",
            "1 2\n\n",
            "1 2\n\nabc",
            "1 1\n\n\u{e9}",
            "1 2 x\n\nab",
            "1 2\nab",
            "1 2 99999999999999999999999\n\nab",
            "99999999999999999999999 2\n\nab",
        ] {
            assert_eq!(Details::read(text), None, "{text:?}");
        }
        assert_eq!(Details::read("\n").map(|details| details.len()), Some(0));
    }

    #[test]
    fn only_the_word_executed_changes() {
        let line = r#"{"instance":"\"executed\":true","executed":true}"#;
        let expected = r#"{"instance":"\"executed\":true","executed":false}"#;
        assert_eq!(unexecuted(line), expected);
        assert_eq!(unexecuted(expected), expected);
    }
}

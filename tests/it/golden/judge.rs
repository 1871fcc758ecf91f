//! Compares what a kind gives now with what was committed, and says whose
//! VERSION has to be raised.
use super::summary::Line;

/// Relative to the root mean square of a column's numbers.
const TOLERANCE: f64 = 1e-5;

/// The same behind a model that was trained on the way, and behind RL on such a
/// model. Adam turns rounding into steps: a float32 run of the open fixture's
/// GRPO is off by 6e-5 in the norm of a gradient, and other processors sum in
/// another order. Between two generations of Xeon, gains of the second kind
/// (small differences of rewards) were 2e-3 apart and their deviations 1e-2.
const TOLERANCE_TRAINED: [f64; 2] = [1e-4, 3e-2];
const TRAINING: [&str; 2] = ["grpo", "pretrain"];

/// What a kind's example gives.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Golden {
    /// The kind and all that feed it: name, VERSION, `lm::VERSION`, shape.
    /// Everything that may change numbers stands here, or is a fault.
    pub(super) from: Vec<String>,
    pub(super) lines: Vec<Line>,
}

impl Golden {
    pub(super) fn show(&self, kind: &str) -> String {
        let mut text =
            format!("# What examples/{kind}.toml gives; see tests/it/golden/judge.rs.\n");
        for from in &self.from {
            text += &format!("from {from}\n");
        }
        for line in &self.lines {
            text += &format!("{line}\n");
        }
        text
    }

    fn parse(text: &str) -> Golden {
        let mut golden = Golden {
            from: Vec::new(),
            lines: Vec::new(),
        };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            match line.strip_prefix("from ") {
                Some(from) => golden.from.push(from.to_owned()),
                None => golden.lines.push(Line::parse(line)),
            }
        }
        golden
    }

    /// Whether a kind has a part in this.
    pub(super) fn comes_from(&self, kind: &str) -> bool {
        let names = self.from.iter().filter_map(|from| from.split(' ').next());
        names.into_iter().any(|name| name == kind)
    }
}

#[derive(Debug, PartialEq)]
pub(super) enum Verdict {
    Same,
    /// Other numbers are to be expected: why.
    Outdated(String),
    /// Other numbers from the same versions and parameters: where.
    Broken(String),
}

pub(super) fn judge(committed: Option<&str>, now: &Golden) -> Verdict {
    let Some(committed) = committed.map(Golden::parse) else {
        return Verdict::Outdated("nothing is committed".to_owned());
    };
    let lacks = |all: &[String], from: &String| !all.contains(from);
    let news = now.from.iter().find(|from| lacks(&committed.from, from));
    let lost = committed.from.iter().find(|from| lacks(&now.from, from));
    if let Some(from) = news.or(lost) {
        return Verdict::Outdated(format!("committed from other stages, see `{from}`"));
    }
    if committed.lines.len() != now.lines.len() {
        let counts = (now.lines.len(), committed.lines.len());
        return Verdict::Broken(format!("{} lines instead of {}", counts.0, counts.1));
    }
    let trained = TRAINING.iter().filter(|kind| now.comes_from(kind));
    let tolerance = match trained.count() {
        0 => TOLERANCE,
        times => TOLERANCE_TRAINED[times - 1],
    };
    let pairs = committed.lines.iter().zip(&now.lines);
    let broken = pairs.filter(|(old, new)| !near(old, new, tolerance));
    let broken: Vec<String> = broken
        .map(|(old, new)| format!("    {new}\n    instead of\n    {old}"))
        .collect();
    match broken.as_slice() {
        [] => Verdict::Same,
        [first, rest @ ..] => {
            Verdict::Broken(format!("first of {} lines:\n{first}", rest.len() + 1))
        }
    }
}

fn near(old: &Line, new: &Line, tolerance: f64) -> bool {
    let allowed = tolerance * old.scale();
    let numbers = old.numbers.iter().zip(&new.numbers);
    (&old.name, &old.exact, old.numbers.len()) == (&new.name, &new.exact, new.numbers.len())
        && numbers.into_iter().all(|(a, b)| (a - b).abs() <= allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn golden(version: u32, value: f64) -> Golden {
        Golden {
            from: vec![
                "corpus VERSION 1".into(),
                format!("scores VERSION {version}"),
            ],
            lines: vec![Line {
                name: "scores.value".into(),
                exact: "2 rows, 0 missing".into(),
                numbers: vec![value, 0.5, 0.5],
            }],
        }
    }

    #[test]
    fn other_numbers_need_another_version() {
        let committed = golden(1, 0.375).show("scores");
        let verdict = |now: &Golden| judge(Some(&committed), now);
        assert_eq!(verdict(&golden(1, 0.375)), Verdict::Same);
        assert_eq!(verdict(&golden(1, 0.375 + 4.9e-6)), Verdict::Same);
        assert!(matches!(
            verdict(&golden(1, 0.375 + 5.1e-6)),
            Verdict::Broken(_)
        ));
        assert!(matches!(verdict(&golden(1, f64::NAN)), Verdict::Broken(_)));
        let fewer = Golden {
            lines: Vec::new(),
            ..golden(1, 0.375)
        };
        assert!(matches!(verdict(&fewer), Verdict::Broken(_)));
        assert_eq!(
            verdict(&golden(2, 0.5)),
            Verdict::Outdated("committed from other stages, see `scores VERSION 2`".into())
        );
        assert!(matches!(judge(None, &golden(1, 0.5)), Verdict::Outdated(_)));
        let mut more = golden(1, 0.375);
        more.from.remove(0);
        assert!(matches!(verdict(&more), Verdict::Outdated(_)));
    }

    #[test]
    fn training_on_the_way_widens_the_tolerance() {
        let with = |trained: &[&str], value| {
            let mut golden = golden(1, value);
            let trained = trained.iter().map(|kind| format!("{kind} VERSION 1"));
            golden.from.extend(trained);
            golden
        };
        for (trained, near, far) in [
            (&["pretrain"][..], 4.9e-5, 5.1e-5),
            (&["grpo"], 4.9e-5, 5.1e-5),
            (&["pretrain", "grpo"], 1.49e-2, 1.51e-2),
        ] {
            let committed = with(trained, 0.375).show("impact");
            let verdict = |value| judge(Some(&committed), &with(trained, value));
            assert_eq!(verdict(0.375 + near), Verdict::Same);
            assert!(matches!(verdict(0.375 + far), Verdict::Broken(_)));
        }
    }
}

//! A random pipeline: a few numbers that are read so that every value of them
//! means a valid text. So shrinking and editing never leave the valid ones.
use std::fmt::Write as _;

use proptest::{collection::vec, prelude::any, prop_oneof, strategy::Strategy};

pub(crate) const AXES: usize = 3;
pub(crate) const FILES: usize = 3;

/// A stage as drawn. What it means depends on the stages before it.
#[derive(Debug, Clone)]
pub(crate) struct Drawn {
    /// Its name is `s` and this.
    pub(crate) name: u32,
    pub(crate) kind: u8,
    pub(crate) picks: Vec<u16>,
    pub(crate) over: u8,
    pub(crate) value: u8,
    pub(crate) by_axis: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) stages: Vec<Drawn>,
    pub(crate) axes: [Vec<u8>; AXES],
    /// An axis is called `a`, its place and this.
    pub(crate) axis_names: [u8; AXES],
    pub(crate) files: [u8; FILES],
    /// The text begins with this stage.
    pub(crate) first: u16,
    pub(crate) next_name: u32,
}

/// A stage as meant.
pub(crate) struct Meant {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) over: Vec<usize>,
    pub(crate) inputs: Vec<String>,
    pub(crate) params: String,
    /// Its outputs are numbers, one or two.
    number: bool,
    pub(crate) outputs: &'static [&'static str],
}

const KINDS: [&str; 10] = [
    "number", "double", "floor", "total", "collect", "lines", "climb", "count", "split", "join",
];
/// Which axes a stage without inputs lies over, as bits.
const MASKS: [u8; 8] = [0, 0, 0, 1, 2, 4, 3, 5];

impl Drawn {
    pub(crate) fn any() -> impl Strategy<Value = Drawn> {
        let drawn = (
            any::<u8>(),
            vec(any::<u16>(), 1..=3),
            any::<u8>(),
            any::<u8>(),
            any::<bool>(),
        );
        drawn.prop_map(|(kind, picks, over, value, by_axis)| Drawn {
            name: 0,
            kind,
            picks,
            over,
            value,
            by_axis,
        })
    }
}

impl World {
    pub(crate) fn any() -> impl Strategy<Value = World> {
        let stages = prop_oneof![
            8 => vec(Drawn::any(), 1..=8),
            3 => vec(Drawn::any(), 9..=24),
            1 => vec(Drawn::any(), 25..=60),
        ];
        let axes = [
            vec(1..=5u8, 1..=3),
            vec(1..=5u8, 1..=2),
            vec(1..=5u8, 1..=2),
        ];
        (stages, axes, any::<[u8; FILES]>()).prop_map(|(mut stages, axes, files)| {
            for (at, stage) in stages.iter_mut().enumerate() {
                stage.name = at as u32;
            }
            World {
                next_name: stages.len() as u32,
                stages,
                axes,
                axis_names: [0; AXES],
                files,
                first: 0,
            }
        })
    }

    pub(crate) fn axis(&self, at: usize) -> String {
        format!("a{at}_{}", self.axis_names[at])
    }

    /// The distinct values of an axis in the order drawn.
    pub(crate) fn values(&self, at: usize) -> Vec<u8> {
        let mut values: Vec<u8> = Vec::new();
        for value in &self.axes[at] {
            if !values.contains(value) {
                values.push(*value);
            }
        }
        values
    }

    /// A number, now and then with another comment.
    pub(crate) fn file(&self, at: usize) -> String {
        let value = self.files[at];
        format!("# {}\n{}", value / 4 % 3, value % 4)
    }

    fn meant(&self) -> Vec<Meant> {
        let mut all: Vec<Meant> = Vec::new();
        for drawn in &self.stages {
            let meant = self.mean(drawn, &all);
            all.push(meant);
        }
        all
    }

    fn mean(&self, drawn: &Drawn, before: &[Meant]) -> Meant {
        let kind = KINDS[drawn.kind as usize % KINDS.len()];
        let numbers_only = !matches!(kind, "collect" | "number" | "lines");
        let sources: Vec<(usize, &str)> = before
            .iter()
            .enumerate()
            .filter(|(_, meant)| meant.number || !numbers_only)
            .flat_map(|(at, meant)| meant.outputs.iter().map(move |output| (at, *output)))
            .collect();
        let kind = match kind {
            "lines" => kind,
            _ if sources.is_empty() => "number",
            kind => kind,
        };
        let wanted = match kind {
            "number" | "lines" => 0,
            "total" | "collect" => drawn.picks.len(),
            "join" => 2,
            _ => 1,
        };
        let mut picked: Vec<(usize, &str)> = Vec::new();
        for pick in drawn.picks.iter().cycle().take(wanted) {
            picked.push(sources[*pick as usize % sources.len()]);
        }
        let mask = MASKS[drawn.over as usize % MASKS.len()];
        let masked = |axis: &usize| mask & (1 << axis) != 0;
        if matches!(kind, "total" | "collect") {
            // Two sources that lie over the same gathered axes are a fault.
            let mut seen: Vec<Vec<usize>> = Vec::new();
            picked.retain(|(at, _)| {
                let gathered = before[*at].over.iter().copied();
                let gathered: Vec<usize> = gathered.filter(|axis| !masked(axis)).collect();
                let new = !seen.contains(&gathered);
                seen.push(gathered);
                new
            });
        }
        let inputs = picked.iter().map(|(at, output)| {
            let name = &before[*at].name;
            if before[*at].outputs.len() > 1 {
                format!("{name}.{output}")
            } else {
                name.clone()
            }
        });
        let inputs = inputs.collect();
        let below: Vec<usize> = (0..AXES)
            .filter(|axis| picked.iter().any(|(at, _)| before[*at].over.contains(axis)))
            .collect();
        let over: Vec<usize> = match kind {
            "total" | "collect" => below.iter().copied().filter(masked).collect(),
            _ if below.is_empty() => (0..AXES).filter(masked).collect(),
            _ => below.clone(),
        };
        let along = below.iter().filter(|axis| !over.contains(axis));
        let along: Vec<String> = along
            .map(|axis| format!("\"{}\"", self.axis(*axis)))
            .collect();
        Meant {
            name: format!("s{}", drawn.name),
            kind,
            params: self.params(drawn, kind, &over, &along.join(", ")),
            over,
            inputs,
            number: !matches!(kind, "collect" | "count"),
            outputs: if kind == "split" {
                &["n", "rest"]
            } else {
                &["n"]
            },
        }
    }

    fn params(&self, drawn: &Drawn, kind: &str, over: &[usize], along: &str) -> String {
        let axis = over.first().filter(|_| drawn.by_axis);
        let value = |from: u8| match axis {
            Some(axis) => format!("\"{{{}}}\"", self.axis(*axis)),
            None => (from + drawn.value % 4).to_string(),
        };
        match kind {
            "number" => format!("value = {}", value(0)),
            "double" => format!("add = {}", value(0)),
            "floor" | "split" => format!("by = {}", value(2)),
            "climb" | "count" => format!("to = {}", value(1)),
            "lines" => format!("path = \"f{}.txt\"", drawn.value as usize % FILES),
            "join" => String::new(),
            _ => format!("along = [{along}]"),
        }
    }

    /// The stages in the order of the text.
    pub(crate) fn meant_in_order(&self) -> Vec<Meant> {
        let mut meant = self.meant();
        let first = self.first as usize % meant.len();
        meant.rotate_left(first);
        meant
    }

    /// Axes that no stage lies over would be a fault.
    pub(crate) fn axes_text(&self) -> String {
        let meant = self.meant();
        let mut text = String::from("[axes]\n");
        for axis in 0..AXES {
            if meant.iter().any(|stage| stage.over.contains(&axis)) {
                writeln!(text, "{} = {:?}", self.axis(axis), self.values(axis)).unwrap();
            }
        }
        text
    }

    /// The pipeline of toy kinds, without its `[pipeline]` table.
    pub(crate) fn text(&self) -> String {
        let mut text = self.axes_text();
        for stage in self.meant_in_order() {
            writeln!(
                text,
                "[stages.{}]\nkind = \"{}\"\n{}",
                stage.name, stage.kind, stage.params
            )
            .unwrap();
            if !stage.over.is_empty() {
                let over: Vec<String> = stage.over.iter().map(|axis| self.axis(*axis)).collect();
                writeln!(text, "over = {over:?}").unwrap();
            }
            match (stage.kind, stage.inputs.as_slice()) {
                (_, []) => {}
                ("total" | "collect", all) => writeln!(text, "inputs = {{ n = {all:?} }}").unwrap(),
                ("join", [one, two, ..]) => {
                    writeln!(text, "inputs = {{ n = {one:?}, m = {two:?} }}").unwrap();
                }
                (_, [one, ..]) => writeln!(text, "inputs = {{ n = {one:?} }}").unwrap(),
            }
        }
        text
    }
}

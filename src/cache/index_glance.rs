//! What the index's file says of shapes and costs, without reading every line of
//! it: enough for estimates, which are never the truth.
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ops::ControlFlow,
    sync::atomic::Ordering,
};

use memchr::memchr;

use crate::{
    cache::{
        index::{IndexEntry, RecordIndex},
        index_file::{FAMILY, SHAPE},
    },
    digest::Digest,
};

/// What results cost: time in milliseconds, bytes of all outputs.
pub type Costs = Vec<(u64, u64)>;

/// Of so many results the middle one tells enough.
const ENOUGH: usize = 21;

/// So many lines back, and further, [`ENOUGH_FAR`] results tell enough: a stage that
/// is edited again and again has them near, and thousands of others lie before them.
const NEAR: usize = 512;

/// See [`NEAR`].
const ENOUGH_FAR: usize = 5;

/// So many shapes are looked for one by one, before all are gathered.
const FEW: usize = 16;

/// What earlier results cost, by what they have in common with others.
#[derive(Debug, Default)]
pub struct EarlierCosts {
    pub shapes: BTreeMap<Digest, Costs>,
    pub families: BTreeMap<Digest, Costs>,
}

/// A result as it is seen in passing.
enum Seen<'a> {
    Entry(&'a IndexEntry),
    Line(Line<'a>),
}

/// A line of the file, of which only what is asked for is read.
struct Line<'a> {
    shape: &'a [u8],
    family: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Line<'a> {
    fn read(line: &'a [u8]) -> Option<Line<'a>> {
        Some(Line {
            shape: line.get(SHAPE)?,
            family: line.get(FAMILY)?,
            rest: line.get(FAMILY.end + 1..)?,
        })
    }

    /// Duration, size and time of the record's file, kind; then name, digest,
    /// size and form of each output; the check.
    fn fields(&self) -> Fields<'a> {
        Fields(Some(self.rest))
    }

    fn kind(&self) -> Option<&'a str> {
        self.fields().nth(3)
    }

    fn cost(&self) -> Option<(u64, u64)> {
        let mut fields = self.fields();
        let ms = fields.next()?.parse().ok()?;
        let mut bytes = 0_u64;
        // Over the three that follow and two of the first output.
        let mut size = fields.nth(5);
        while let Some(next) = size.and_then(|size| size.parse::<u64>().ok()) {
            bytes = bytes.saturating_add(next);
            size = fields.nth(3);
        }
        Some((ms, bytes))
    }
}

/// Pieces with tabs between.
struct Fields<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Fields<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let rest = self.0?;
        let end = memchr(b'\t', rest);
        self.0 = end.map(|end| &rest[end + 1..]);
        std::str::from_utf8(&rest[..end.unwrap_or(rest.len())]).ok()
    }
}

impl Seen<'_> {
    /// Shape and family as lines spell them.
    fn names(&self) -> (Cow<'_, [u8]>, Cow<'_, [u8]>) {
        let spelled = |digest: &Digest| Cow::Owned(digest.to_string().into_bytes());
        match self {
            Seen::Entry(entry) => (spelled(&entry.shape), spelled(&entry.family)),
            Seen::Line(line) => (line.shape.into(), line.family.into()),
        }
    }

    fn kind(&self) -> Option<&str> {
        match self {
            Seen::Entry(entry) => Some(&entry.kind),
            Seen::Line(line) => line.kind(),
        }
    }

    fn cost(&self) -> Option<(u64, u64)> {
        match self {
            Seen::Entry(entry) => Some((entry.duration_ms, entry.bytes())),
            Seen::Line(line) => line.cost(),
        }
    }
}

/// Groups of results, by how lines spell what each has in common.
struct Sought<N> {
    groups: BTreeMap<Vec<u8>, (N, Costs)>,
    /// How many results were seen.
    passed: usize,
    /// How many groups lack some.
    open: usize,
}

impl<N: Ord> Sought<N> {
    fn new(names: impl Iterator<Item = N>, spelled: impl Fn(&N) -> Vec<u8>) -> Sought<N> {
        let groups: BTreeMap<_, _> = names
            .map(|name| (spelled(&name), (name, Costs::new())))
            .collect();
        Sought {
            open: groups.len(),
            groups,
            passed: 0,
        }
    }

    /// Takes what a result cost to the group that it belongs to, unless that has enough.
    fn take(&mut self, spelled: &[u8], seen: &Seen<'_>) {
        let enough = if self.passed < NEAR {
            ENOUGH
        } else {
            ENOUGH_FAR
        };
        if let Some((_, costs)) = self.groups.get_mut(spelled)
            && costs.len() < enough
            && let Some(cost) = seen.cost()
        {
            costs.push(cost);
            self.open -= usize::from(costs.len() == enough);
        }
        self.passed += 1;
        if self.passed == NEAR {
            let groups = self.groups.values();
            let open = groups.filter(|(_, costs)| costs.len() < ENOUGH_FAR);
            self.open = open.count();
        }
    }

    fn found(self) -> BTreeMap<N, Costs> {
        let groups = self.groups.into_values();
        groups.filter(|(_, costs)| !costs.is_empty()).collect()
    }
}

impl Sought<Digest> {
    fn of(names: &BTreeSet<Digest>) -> Sought<Digest> {
        Sought::new(names.iter().copied(), |name| name.to_string().into_bytes())
    }
}

/// Goes on while something is open.
fn go_on_while(open: usize) -> ControlFlow<()> {
    match open {
        0 => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    }
}

impl IndexEntry {
    /// The size of all outputs.
    pub fn bytes(&self) -> u64 {
        self.outputs.values().map(|content| content.size).sum()
    }
}

impl RecordIndex {
    /// The kinds, among these, of which there are results.
    pub fn known_kinds<'k>(&self, among: &BTreeSet<&'k str>) -> BTreeSet<&'k str> {
        let mut known = BTreeSet::new();
        let _ = self.each(&mut |seen| {
            known.extend(seen.kind().and_then(|kind| among.get(kind)).copied());
            if known.len() == among.len() {
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        });
        known
    }

    /// What the last results of these shapes and families cost.
    pub fn costs(&self, shapes: &BTreeSet<Digest>, families: &BTreeSet<Digest>) -> EarlierCosts {
        let (mut shapes, mut families) = (Sought::of(shapes), Sought::of(families));
        let _ = self.each(&mut |seen| {
            let (shape, family) = seen.names();
            shapes.take(&shape, seen);
            families.take(&family, seen);
            go_on_while(shapes.open + families.open)
        });
        EarlierCosts {
            shapes: shapes.found(),
            families: families.found(),
        }
    }

    /// What the last results of these kinds cost.
    pub fn costs_of_kinds<'k>(&self, kinds: &BTreeSet<&'k str>) -> BTreeMap<&'k str, Costs> {
        let spelled = |kind: &&str| kind.as_bytes().to_vec();
        let mut kinds = Sought::new(kinds.iter().copied(), spelled);
        let _ = self.each(&mut |seen| {
            kinds.take(seen.kind().unwrap_or_default().as_bytes(), seen);
            go_on_while(kinds.open)
        });
        kinds.found()
    }

    /// All results, the last one first; some twice.
    fn each(&self, tell: &mut dyn FnMut(&Seen<'_>) -> ControlFlow<()>) -> ControlFlow<()> {
        if let Some(whole) = self.whole.get() {
            let mut entries = whole.latest().into_iter();
            return entries.try_for_each(|entry| tell(&Seen::Entry(entry)));
        }
        let mut noted = self.noted.values();
        noted.try_for_each(|entry| tell(&Seen::Entry(entry)))?;
        self.stored.latest(&mut |line| match Line::read(line) {
            Some(line) => tell(&Seen::Line(line)),
            None => ControlFlow::Continue(()),
        })
    }

    /// Whether the file names a record of this shape that stands; where not,
    /// there may be one nevertheless.
    pub(super) fn glance_shape(&self, shape: &Digest) -> bool {
        if self.whole.get().is_some() {
            return false;
        }
        if self.glances.fetch_add(1, Ordering::Relaxed) < FEW {
            return self.stored.has_shape(shape, &|key| self.stands(&key));
        }
        let shapes = self.shapes.get_or_init(|| self.stored.shapes());
        let key = shapes.get(shape);
        key.is_some_and(|key| self.stands(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line as it is seen, of this shape and this duration.
    fn line(shape: &str, ms: u64) -> String {
        format!("{shape}\t{ms}\t9\t9\tkind\tout\tdigest\t4\tfile\tcheck")
    }

    /// What is found of these results, the last one first; and of how many lines.
    fn found(sought: &[&str], results: &[(&str, u64)]) -> (Vec<Vec<u64>>, usize) {
        let spelled = |name: &&str| name.as_bytes().to_vec();
        let mut groups = Sought::new(sought.iter().copied(), spelled);
        let mut looked = 0;
        for (shape, ms) in results {
            let text = line(shape, *ms);
            let (shape, rest) = text.as_bytes().split_at(shape.len());
            let (family, rest) = (&shape[..0], &rest[1..]);
            let line = Line {
                shape,
                family,
                rest,
            };
            groups.take(shape, &Seen::Line(line));
            looked += 1;
            if go_on_while(groups.open).is_break() {
                break;
            }
        }
        let found = groups.found();
        let times = sought.iter().map(|name| {
            let costs = found.get(name).into_iter().flatten();
            costs.map(|(ms, _)| *ms).collect()
        });
        let times = times.collect();
        (times, looked)
    }

    #[test]
    fn of_what_was_often_made_the_last_are_found() {
        let results: Vec<(&str, u64)> = (0..60)
            .map(|ms| (["a", "b"][ms as usize % 2], ms))
            .collect();
        let (times, looked) = found(&["a", "b"], &results);
        let every_other =
            |first: u64| -> Vec<u64> { (0..ENOUGH as u64).map(|i| first + 2 * i).collect() };
        assert_eq!(times, [every_other(0), every_other(1)]);
        assert_eq!(looked, 2 * ENOUGH);
        assert_eq!(found(&["c"], &results), (vec![vec![]], 60));
    }

    #[test]
    fn further_back_fewer_are_enough() {
        let mut results = vec![("x", 1); NEAR - 2];
        results.splice(3..3, [("a", 1), ("b", 2)]);
        for ms in 10..30 {
            results.extend([("a", ms), ("b", ms), ("c", ms)]);
        }
        let (times, looked) = found(&["a", "c"], &results);
        assert_eq!(times, [vec![1, 10, 11, 12, 13], vec![10, 11, 12, 13, 14]]);
        assert_eq!(looked, NEAR + 5 * 3);
        // Those that have enough by then are no reason to go on.
        let (times, looked) = found(&["x"], &results);
        assert_eq!((times[0].len(), looked), (ENOUGH, ENOUGH + 2));
        let few: Vec<(&str, u64)> = [vec![("a", 3); 6], vec![("x", 1); NEAR]].concat();
        assert_eq!(found(&["a"], &few), (vec![vec![3; 6]], NEAR));
    }
}

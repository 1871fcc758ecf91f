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

/// Results of some shapes or families, as lines spell those.
struct Sought {
    groups: BTreeMap<Vec<u8>, (Digest, Costs)>,
    /// How many groups have fewer than [`ENOUGH`].
    open: usize,
}

impl Sought {
    fn new(names: &BTreeSet<Digest>) -> Sought {
        let group = |name: &Digest| (name.to_string().into_bytes(), (*name, Costs::new()));
        Sought {
            groups: names.iter().map(group).collect(),
            open: names.len(),
        }
    }

    /// Takes what a result cost to the group that it belongs to, unless that has enough.
    fn take(&mut self, spelled: &[u8], seen: &Seen<'_>) {
        if let Some((_, costs)) = self.groups.get_mut(spelled)
            && costs.len() < ENOUGH
            && let Some(cost) = seen.cost()
        {
            costs.push(cost);
            self.open -= usize::from(costs.len() == ENOUGH);
        }
    }

    fn found(self) -> BTreeMap<Digest, Costs> {
        let groups = self.groups.into_values();
        groups.filter(|(_, costs)| !costs.is_empty()).collect()
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
        let (mut shapes, mut families) = (Sought::new(shapes), Sought::new(families));
        let _ = self.each(&mut |seen| {
            let (shape, family) = seen.names();
            shapes.take(&shape, seen);
            families.take(&family, seen);
            match shapes.open + families.open {
                0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        EarlierCosts {
            shapes: shapes.found(),
            families: families.found(),
        }
    }

    /// What the last results of these kinds cost.
    pub fn costs_of_kinds<'k>(&self, kinds: &BTreeSet<&'k str>) -> BTreeMap<&'k str, Costs> {
        let mut costs: BTreeMap<&str, Costs> = BTreeMap::new();
        let mut left = kinds.len();
        let _ = self.each(&mut |seen| {
            let kind = seen.kind().and_then(|kind| kinds.get(kind));
            let found = kind.map(|kind| costs.get(kind).map_or(0, Vec::len));
            if let (Some(kind), Some(0..ENOUGH)) = (kind, found)
                && let Some(cost) = seen.cost()
            {
                let costs = costs.entry(kind).or_default();
                costs.push(cost);
                left -= usize::from(costs.len() == ENOUGH);
            }
            match left {
                0 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            }
        });
        costs
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

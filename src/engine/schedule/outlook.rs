//! What is still to come, as the disk sees it: instances one after another, in
//! an order that holds little at a time. Sizes in, an order and a peak out;
//! knows no clock, no queue and no other resource.
//!
//! The order: what needs no disk at once; then what reads temporary bytes,
//! since it brings their end nearer; then what is read together with them;
//! then the rest. Among equals that of the file. The same state always gives
//! the same order, so that whoever follows it never meets a worse one.
use std::collections::BTreeSet;

use crate::pipeline::InstanceId;

/// An instance as the disk sees it.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Item {
    pub(in crate::engine) id: InstanceId,
    /// Bytes while it runs.
    pub(in crate::engine) needs: u64,
    /// Bytes that stay of it afterwards; never more than it needs.
    pub(in crate::engine) leaves: u64,
    /// What it leaves goes once its last consumer is done.
    pub(in crate::engine) temp: bool,
    /// Positions of other items, all before its own.
    pub(in crate::engine) producers: Vec<usize>,
}

/// How far an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Stand {
    Open,
    /// Has a result, of which so many bytes are on the disk.
    Done(u64),
    /// Will have none.
    Never,
}

/// The first item for which there is not enough room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Short {
    pub(in crate::engine) id: InstanceId,
    pub(in crate::engine) needs: u64,
    /// What others hold then beyond what is held now, if that is more.
    pub(in crate::engine) beside: u64,
    /// Who else must read what is held then, if somebody must.
    pub(in crate::engine) reader: Option<InstanceId>,
}

/// One way through all that is open.
pub(in crate::engine) struct Walk {
    /// What needs disk, in order, up to the first for which there is no room.
    pub(in crate::engine) order: Vec<InstanceId>,
    /// The most that was used at once beyond what is held now.
    pub(in crate::engine) peak: u64,
    pub(in crate::engine) short: Option<Short>,
}

#[derive(Debug, Default)]
pub(in crate::engine) struct Outlook {
    items: Vec<Item>,
    consumers: Vec<Vec<usize>>,
}

impl Outlook {
    pub(in crate::engine) fn new(items: Vec<Item>) -> Outlook {
        let mut consumers = vec![Vec::new(); items.len()];
        for (at, item) in items.iter().enumerate() {
            for producer in &item.producers {
                consumers[*producer].push(at);
            }
        }
        Outlook { items, consumers }
    }

    /// Whether all that is open fits into `room`, one after another.
    pub(super) fn fits(&self, stands: &[Stand], room: i128) -> bool {
        let open = self.items.iter().zip(stands);
        let open = open.filter(|(_, stand)| **stand == Stand::Open);
        let all: i128 = open.map(|(item, _)| i128::from(item.needs)).sum();
        all <= room || self.walk(stands, room).short.is_none()
    }

    /// Goes through all that is open; ends where `room` is too small.
    pub(in crate::engine) fn walk(&self, stands: &[Stand], room: i128) -> Walk {
        let mut walker = Walker::new(self, stands);
        let mut walk = Walk {
            order: Vec::new(),
            peak: 0,
            short: None,
        };
        while let Some(at) = walker.next() {
            let item = &self.items[at];
            if item.needs > 0 {
                let used = walker.used + i128::from(item.needs);
                if used > room {
                    walk.short = Some(walker.short(at));
                    break;
                }
                walk.peak = walk
                    .peak
                    .max(u64::try_from(used.max(0)).unwrap_or(u64::MAX));
                walk.order.push(item.id);
            }
            walker.finish(at);
        }
        walk
    }
}

struct Walker<'a> {
    outlook: &'a Outlook,
    open: Vec<bool>,
    /// What is on the disk of each.
    left: Vec<u64>,
    /// Producers that are open.
    waits: Vec<usize>,
    /// Consumers that are open.
    readers: Vec<usize>,
    /// Is read together with temporary bytes that are there, or leads to such.
    near: Vec<bool>,
    /// Open items that could be next: those that need no disk, then by line.
    light: Vec<usize>,
    lines: [BTreeSet<usize>; 3],
    /// Bytes beyond those at the beginning.
    used: i128,
}

const READS: usize = 0;
const NEAR: usize = 1;
const OTHER: usize = 2;

impl<'a> Walker<'a> {
    fn new(outlook: &'a Outlook, stands: &[Stand]) -> Walker<'a> {
        let count = outlook.items.len();
        let mut never = vec![false; count];
        let mut walker = Walker {
            outlook,
            open: vec![false; count],
            left: vec![0; count],
            waits: vec![0; count],
            readers: vec![0; count],
            near: vec![false; count],
            light: Vec::new(),
            lines: Default::default(),
            used: 0,
        };
        for (at, item) in outlook.items.iter().enumerate() {
            let producers = &item.producers;
            never[at] = match stands[at] {
                Stand::Never => true,
                Stand::Open => producers.iter().any(|producer| never[*producer]),
                Stand::Done(left) => {
                    walker.left[at] = left;
                    false
                }
            };
            walker.open[at] = stands[at] == Stand::Open && !never[at];
            if walker.open[at] {
                let open = producers.iter().filter(|producer| walker.open[**producer]);
                walker.waits[at] = open.count();
                for producer in producers {
                    walker.readers[*producer] += 1;
                }
            }
        }
        for at in 0..count {
            if walker.left[at] > 0 {
                walker.settle_bytes(at);
            }
        }
        for at in 0..count {
            if walker.open[at] && walker.waits[at] == 0 {
                walker.offer(at);
            }
        }
        walker
    }

    fn next(&mut self) -> Option<usize> {
        let light = self.light.pop();
        light.or_else(|| self.lines.iter_mut().find_map(BTreeSet::pop_first))
    }

    /// Bytes of an item have come to stay: until when?
    fn settle_bytes(&mut self, at: usize) {
        if !self.outlook.items[at].temp {
            return;
        }
        if self.readers[at] == 0 {
            self.used -= i128::from(self.left[at]);
            return;
        }
        for consumer in &self.outlook.consumers[at] {
            if self.open[*consumer] {
                self.bring_near(*consumer);
            }
        }
    }

    /// All that an open item still waits for is wanted soon.
    fn bring_near(&mut self, at: usize) {
        let mut stack = vec![at];
        while let Some(at) = stack.pop() {
            for &producer in &self.outlook.items[at].producers {
                if self.open[producer] && !std::mem::replace(&mut self.near[producer], true) {
                    if self.lines[OTHER].remove(&producer) {
                        self.lines[NEAR].insert(producer);
                    }
                    stack.push(producer);
                }
            }
        }
    }

    fn offer(&mut self, at: usize) {
        let item = &self.outlook.items[at];
        let holds =
            |producer: &usize| self.outlook.items[*producer].temp && self.left[*producer] > 0;
        if item.needs == 0 {
            self.light.push(at);
        } else if item.producers.iter().any(holds) {
            self.lines[READS].insert(at);
        } else {
            self.lines[if self.near[at] { NEAR } else { OTHER }].insert(at);
        }
    }

    fn finish(&mut self, at: usize) {
        let item = &self.outlook.items[at];
        self.open[at] = false;
        self.left[at] = item.leaves;
        self.used += i128::from(item.leaves);
        for &producer in &item.producers {
            self.readers[producer] -= 1;
            if self.outlook.items[producer].temp && self.readers[producer] == 0 {
                self.used -= i128::from(self.left[producer]);
            }
        }
        if item.leaves > 0 {
            self.settle_bytes(at);
        }
        for &consumer in &self.outlook.consumers[at] {
            if self.open[consumer] {
                self.waits[consumer] -= 1;
                if self.waits[consumer] == 0 {
                    self.offer(consumer);
                }
            }
        }
    }

    fn short(&self, at: usize) -> Short {
        let items = self.outlook.items.iter().enumerate();
        let mut held = items
            .filter(|(held, item)| item.temp && self.left[*held] > 0 && self.readers[*held] > 0);
        let reader = held.find_map(|(held, _)| {
            let readers = &self.outlook.consumers[held];
            readers
                .iter()
                .find(|reader| self.open[**reader] && **reader != at)
        });
        Short {
            id: self.outlook.items[at].id,
            needs: self.outlook.items[at].needs,
            beside: u64::try_from(self.used.max(0)).unwrap_or(u64::MAX),
            reader: reader.map(|reader| self.outlook.items[*reader].id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Needs, whether what it leaves is temporary (else nothing stays), producers.
    fn outlook(items: &[(u64, bool, &[usize])]) -> Outlook {
        let item = |(at, (needs, temp, producers)): (usize, &(u64, bool, &[usize]))| Item {
            id: InstanceId(at),
            needs: *needs,
            leaves: if *temp { *needs } else { 0 },
            temp: *temp,
            producers: producers.to_vec(),
        };
        Outlook::new(items.iter().enumerate().map(item).collect())
    }

    fn order(walk: &Walk) -> Vec<usize> {
        walk.order.iter().map(|id| id.0).collect()
    }

    #[test]
    fn a_ladder_goes_rung_by_rung() {
        // Three rungs, their readers, one that gathers the readers' results.
        let ladder = outlook(&[
            (7, true, &[]),
            (7, true, &[]),
            (7, true, &[]),
            (0, false, &[0]),
            (1, false, &[1]),
            (0, false, &[2]),
            (0, false, &[3, 4, 5]),
        ]);
        let open = [Stand::Open; 7];
        let walk = ladder.walk(&open, i128::MAX);
        assert_eq!((order(&walk), walk.peak), (vec![0, 1, 4, 2], 8));
        assert!(ladder.fits(&open, 8) && !ladder.fits(&open, 7));
        let mut begun = open;
        begun[2] = Stand::Done(7);
        // What is there is read first, and gives its room back.
        let walk = ladder.walk(&begun, 1);
        assert_eq!((order(&walk), walk.peak), (vec![0, 1, 4], 1));
    }

    #[test]
    fn what_is_read_together_comes_together() {
        let crossing = outlook(&[
            (5, true, &[]),
            (5, true, &[]),
            (5, true, &[]),
            (5, true, &[]),
            (0, false, &[0, 2]),
            (0, false, &[1, 3]),
        ]);
        let open = [Stand::Open; 6];
        let walk = crossing.walk(&open, 10);
        assert_eq!((order(&walk), walk.peak), (vec![0, 2, 1, 3], 10));
        let short = crossing.walk(&open, 9).short.unwrap();
        let expected = Short {
            id: InstanceId(2),
            needs: 5,
            beside: 5,
            reader: Some(InstanceId(4)),
        };
        assert_eq!(short, expected);
    }

    #[test]
    fn what_nobody_will_read_counts_as_gone() {
        let two = outlook(&[
            (5, true, &[]),
            (5, true, &[]),
            (0, false, &[0]),
            (0, false, &[1]),
        ]);
        let stands = [Stand::Done(5), Stand::Open, Stand::Never, Stand::Open];
        let walk = two.walk(&stands, 0);
        assert_eq!((order(&walk), walk.peak, walk.short), (vec![1], 0, None));
    }
}

//! Random graphs on random machines, with random luck: nothing is given out
//! twice, nothing starts before what it needs, and everything comes to an end.
//! Results stay on the disk, and go when they were read: if one order of one
//! instance after another fits, then no order of many at once gets stuck.
use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::seed::{Seed, Stream};

const GRAPHS: u64 = 3000;

struct World {
    total: Amounts,
    takes: Vec<Amounts>,
    /// What each leaves on the disk at most, and whether that goes again.
    leaves: Vec<(u64, bool)>,
    /// Of the disk, for passes and results together.
    budget: u64,
    producers: Vec<Vec<usize>>,
    /// Instances of one family run as one pass.
    families: Vec<usize>,
    keep_going: bool,
    /// Out of 10.
    hits: usize,
    failures: usize,
}

fn world(draw: &mut Stream) -> World {
    let count = 1 + draw.below(40);
    let total = Amounts {
        cpu: 1 + draw.below(6) as u32,
        gpu: draw.below(4) as u32,
        memory_bytes: draw.below(100) as u64,
        disk_bytes: draw.below(100) as u64,
        network: draw.below(3) as u32,
    };
    let part = 1 + draw.below(6);
    let takes = |draw: &mut Stream| Amounts {
        cpu: draw.below(8) as u32,
        gpu: draw.below(total.gpu as usize + 1) as u32,
        memory_bytes: draw.below(total.memory_bytes as usize + 1) as u64,
        disk_bytes: draw.below(total.disk_bytes as usize / part + 1) as u64,
        network: draw.below(total.network as usize + 1) as u32,
    };
    let leaves = |takes: &Amounts, draw: &mut Stream| {
        let temp = draw.below(3) > 0;
        let most = if temp || draw.below(8) == 0 {
            takes.disk_bytes
        } else {
            0
        };
        (draw.below(most as usize + 1) as u64, temp)
    };
    let mut producers: Vec<Vec<usize>> = Vec::new();
    for id in 0..count {
        let wanted = if id == 0 { 0 } else { draw.below(4) };
        let some: BTreeSet<usize> = (0..wanted).map(|_| draw.below(id)).collect();
        producers.push(some.into_iter().collect());
    }
    let takes: Vec<Amounts> = (0..count).map(|_| takes(draw)).collect();
    World {
        total,
        leaves: takes.iter().map(|takes| leaves(takes, draw)).collect(),
        takes,
        budget: [u64::MAX, total.disk_bytes, total.disk_bytes / 2][draw.below(3)],
        producers,
        families: (0..count).map(|_| draw.below(count)).collect(),
        keep_going: draw.below(2) == 0,
        hits: [0, 0, 3][draw.below(3)],
        failures: [0, 0, 2][draw.below(3)],
    }
}

fn of(family: usize) -> Digest {
    Digest::of(&family.to_le_bytes())
}

impl World {
    fn outlook(&self) -> Outlook {
        let item = |id: usize| Item {
            id: InstanceId(id),
            needs: self.takes[id].disk_bytes,
            leaves: self.leaves[id].0,
            temp: self.leaves[id].1,
            producers: self.producers[id].clone(),
        };
        Outlook::new((0..self.takes.len()).map(item).collect())
    }

    /// Bytes that results and passes may have.
    fn room(&self) -> u64 {
        self.total.disk_bytes.min(self.budget)
    }

    /// Whether all of it fits, one after another, and whether not all at once.
    fn fits_in_turn(&self) -> (bool, bool) {
        let open = vec![Stand::Open; self.takes.len()];
        let needs: u64 = self.takes.iter().map(|takes| takes.disk_bytes).sum();
        let room = self.room();
        (self.outlook().fits(&open, room.into()), needs > room)
    }
}

struct Watch<'a> {
    world: &'a World,
    schedule: Schedule,
    running: BTreeMap<u64, Start>,
    settled: BTreeSet<InstanceId>,
    failed: BTreeSet<InstanceId>,
    delayed: Vec<InstanceId>,
    /// Attempts that failed; the third is for good.
    attempts: BTreeMap<InstanceId, usize>,
    lost: BTreeSet<InstanceId>,
    /// Bytes of results.
    on_disk: BTreeMap<InstanceId, u64>,
    /// Instances that never found room, and how often one was let go on blindly.
    given_up: usize,
    pressed: usize,
}

impl Watch<'_> {
    fn consider(&mut self, id: InstanceId, draw: &mut Stream) {
        let producers = &self.world.producers[id.0];
        for producer in producers {
            assert!(self.settled.contains(&InstanceId(*producer)), "too early");
        }
        self.schedule.temporary(id, draw.below(50) as u64);
        if !self.schedule.must_remake(id) && draw.below(10) < self.world.hits {
            self.schedule.hit(id);
            self.settled.insert(id);
            // Its bytes may be found to be gone by whoever needs them.
            if draw.below(3) == 0 {
                self.lost.insert(id);
            } else if self.world.leaves[id.0].1 {
                self.leave(id, draw);
                self.measure_disk();
            }
            return;
        }
        let producers = producers.iter().map(|producer| InstanceId(*producer));
        let lost: Vec<InstanceId> = producers.filter(|id| self.lost.contains(id)).collect();
        let family = self.world.families[id.0];
        self.schedule.keeps(id, Some(of(family % 3)));
        self.schedule.miss(id, of(family), id.0 as u64, &lost);
    }

    fn leave(&mut self, id: InstanceId, draw: &mut Stream) {
        let bytes = draw.below(self.world.leaves[id.0].0 as usize + 1) as u64;
        self.schedule.leave(id, bytes);
        self.on_disk.insert(id, bytes);
    }

    fn measure_disk(&mut self) {
        let used = self.on_disk.values().sum();
        let free = self.world.total.disk_bytes.saturating_sub(used);
        self.schedule.set_disk(free);
    }

    /// Removes temporary results that were read by all that can; whether there were any.
    fn remove_some(&mut self, hopeless: &BTreeSet<InstanceId>) -> bool {
        let world = self.world;
        let reads = |id: usize, of: InstanceId| world.producers[id].contains(&of.0);
        let over = |id: usize| {
            let id = InstanceId(id);
            self.schedule.is_settled(id) || hopeless.contains(&id)
        };
        let mut held = self.on_disk.keys().copied().collect::<Vec<_>>();
        held.retain(|id| {
            let mut readers = (0..world.takes.len()).filter(|reader| reads(*reader, *id));
            world.leaves[id.0].1 && self.schedule.is_settled(*id) && readers.all(over)
        });
        for id in &held {
            self.on_disk.remove(id);
            self.lost.insert(*id);
            self.schedule.removed(*id);
        }
        self.measure_disk();
        !held.is_empty()
    }

    /// Nothing runs and nothing starts; false at the end of it all.
    fn unblock(&mut self) -> bool {
        let starved = self.schedule.starved();
        if starved.is_empty() {
            return false;
        }
        if self.remove_some(&BTreeSet::new()) || self.remove_some(&self.schedule.hopeless()) {
            return true;
        }
        if self.schedule.press() {
            self.pressed += 1;
            return true;
        }
        for id in starved {
            let needs = self.schedule.takes(id).disk_bytes;
            let held: u64 = self.on_disk.values().sum();
            assert!(needs + held > self.world.room(), "fits and does not start");
            self.schedule.give_up(id);
            self.failed.insert(id);
            self.given_up += 1;
        }
        true
    }

    fn start(&mut self, start: Start) {
        let producers = |id: &InstanceId| self.world.producers[id.0].iter();
        for producer in start.members.iter().flat_map(producers) {
            assert!(
                !self.lost.contains(&InstanceId(*producer)),
                "needs lost bytes"
            );
        }
        let family = |id: &InstanceId| self.world.families[id.0];
        for other in self.running.values() {
            assert_ne!(other.place.slot, start.place.slot, "two in one slot");
            assert_ne!(family(&other.members[0]), family(&start.members[0]));
        }
        let on_disk = start
            .members
            .iter()
            .map(|id| self.world.takes[id.0].disk_bytes);
        let on_disk = on_disk.max() > Some(0);
        self.running.insert(start.pass, start);
        let mut held = Amounts::default();
        let mut devices = BTreeSet::new();
        for Start { members, place, .. } in self.running.values() {
            let asked = |id: &InstanceId| self.schedule.takes(*id);
            let takes = members
                .iter()
                .map(asked)
                .find(|takes| takes.gpu as usize == place.gpus.len());
            let takes = takes.expect("a pass gets as many devices as one of its members asks for");
            held.cpu += members
                .iter()
                .map(asked)
                .map(|takes| takes.cpu)
                .min()
                .unwrap();
            held.memory_bytes += members
                .iter()
                .map(asked)
                .map(|takes| takes.memory_bytes)
                .min()
                .unwrap();
            held.network += members
                .iter()
                .map(asked)
                .map(|takes| takes.network)
                .min()
                .unwrap();
            let asked = members.iter().map(asked).map(|takes| takes.disk_bytes);
            let leaves = members.iter().map(|id| self.world.leaves[id.0].0).sum();
            held.disk_bytes += asked.min().unwrap().max(leaves);
            held.gpu += takes.gpu;
            for gpu in &place.gpus {
                assert!(*gpu < self.world.total.gpu as usize && devices.insert(*gpu));
            }
        }
        if on_disk {
            held.disk_bytes += self.on_disk.values().sum::<u64>();
        }
        let total = Amounts {
            disk_bytes: self.world.room(),
            ..self.world.total
        };
        assert!(held.within(&total), "{held:?} of {total:?}");
    }

    fn end_some(&mut self, draw: &mut Stream) {
        let passes: Vec<u64> = self.running.keys().copied().collect();
        let pass = passes[draw.below(passes.len())];
        let start = self.running.remove(&pass).unwrap();
        if draw.below(20) == 0 && !self.running.is_empty() {
            return self.schedule.put_back(pass);
        }
        let fails = draw.below(10) < self.world.failures;
        let reach = if fails {
            draw.below(start.members.len())
        } else {
            start.members.len()
        };
        for id in &start.members[..reach] {
            self.leave(*id, draw);
            self.schedule.reached(*id);
            self.settled.insert(*id);
            self.lost.remove(id);
        }
        let rest = &start.members[reach..];
        assert_eq!(self.schedule.unfinished(pass), rest);
        let tries = rest.iter().map(|id| {
            let count = self.attempts.entry(*id).or_default();
            *count += 1;
            *count
        });
        if tries.max().is_some_and(|tries| tries < 3) && !self.schedule.is_closed() {
            self.delayed.extend(self.schedule.again(pass));
        } else {
            let failed = self.schedule.finished(pass);
            assert_eq!(failed, rest);
            // What is made again and fails is settled no more.
            self.settled.retain(|id| !failed.contains(id));
            self.failed.extend(failed);
        }
        self.measure_disk();
    }
}

/// Whether the disk was what mattered.
fn run(seed: u64) -> bool {
    let draw = &mut Seed(seed).stream("schedule", &[]);
    let world = world(draw);
    let specs = (0..world.takes.len()).map(|id| NodeSpec {
        id: InstanceId(id),
        producers: world.producers[id]
            .iter()
            .copied()
            .map(InstanceId)
            .collect(),
        weight: id as u64 % 5,
        takes: world.takes[id],
        leaves: world.leaves[id].0,
        temp: world.leaves[id].1,
    });
    let mut watch = Watch {
        schedule: Schedule::new(specs.collect(), world.total, world.keep_going)
            .with_budget(world.budget),
        world: &world,
        running: BTreeMap::new(),
        settled: BTreeSet::new(),
        failed: BTreeSet::new(),
        delayed: Vec::new(),
        attempts: BTreeMap::new(),
        lost: BTreeSet::new(),
        on_disk: BTreeMap::new(),
        given_up: 0,
        pressed: 0,
    };
    for step in 0.. {
        assert!(step < 100_000, "no end");
        match watch.schedule.next() {
            Some(Ask::Consider(id)) => watch.consider(id, draw),
            Some(Ask::Start(start)) => watch.start(start),
            None if !watch.delayed.is_empty()
                && (watch.running.is_empty() || draw.below(3) == 0) =>
            {
                let due = std::mem::take(&mut watch.delayed);
                if watch.schedule.is_closed() {
                    watch.schedule.fail(&due);
                    watch.failed.extend(due);
                } else {
                    watch.schedule.due(&due);
                }
            }
            None if !watch.running.is_empty() => watch.end_some(draw),
            None if !watch.unblock() => break,
            None => {}
        }
        if draw.below(3) == 0 {
            watch.remove_some(&BTreeSet::new());
        }
    }
    let (fits, tight) = world.fits_in_turn();
    if fits && world.hits == 0 && world.failures == 0 {
        assert_eq!((watch.given_up, watch.pressed), (0, 0), "stuck on the disk");
    }
    assert_eq!((watch.schedule.running(), watch.schedule.delayed()), (0, 0));
    let skipped = watch.schedule.skip_rest().len();
    if watch.failed.is_empty() {
        assert_eq!((watch.settled.len(), skipped), (world.takes.len(), 0));
    }
    // Made again and failed, an instance had settled before.
    assert!(watch.settled.len() + watch.failed.len() + skipped >= world.takes.len());
    fits && tight && world.hits == 0 && world.failures == 0
}

#[test]
fn resources_order_and_progress_hold_on_random_graphs() {
    let mut tight = 0;
    for seed in 0..GRAPHS {
        let outcome = std::panic::catch_unwind(|| run(seed));
        tight += u64::from(outcome.unwrap_or_else(|_| panic!("graph of seed {seed}")));
    }
    assert!(
        tight > GRAPHS / 20,
        "only {tight} graphs had too little disk for all at once"
    );
}

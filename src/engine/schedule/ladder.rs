//! The disk over a ladder of temporary checkpoints, driven by hand.
use super::*;

/// Rungs of 10 bytes each that are downloaded one at a time; of each two
/// readers, which take a processor.
fn ladder(rungs: usize) -> Vec<NodeSpec> {
    let spec = |id, producers: &[usize], takes, leaves| NodeSpec {
        id: InstanceId(id),
        producers: producers.iter().copied().map(InstanceId).collect(),
        weight: 1,
        takes,
        leaves,
        temp: leaves > 0,
    };
    let download = Amounts {
        network: 1,
        disk_bytes: 10,
        ..Amounts::default()
    };
    let compute = Amounts {
        cpu: 1,
        ..Amounts::default()
    };
    let rung = |id| spec(id, &[], download, 10);
    let reader = |at| spec(at, &[(at - rungs) % rungs], compute, 0);
    (0..rungs)
        .map(rung)
        .chain((rungs..3 * rungs).map(reader))
        .collect()
}

fn machine(cpu: u32) -> Amounts {
    Amounts {
        cpu,
        network: 1,
        disk_bytes: 1000,
        ..Amounts::default()
    }
}

/// What starts now, by pass.
fn starts(schedule: &mut Schedule) -> Vec<(u64, usize)> {
    let mut starts = Vec::new();
    while let Some(ask) = schedule.next() {
        match ask {
            Ask::Consider(id) => schedule.miss(id, Digest::of(&id.0.to_le_bytes()), 0, &[]),
            Ask::Start(start) => starts.push((start.pass, start.members[0].0)),
        }
    }
    starts
}

fn end(schedule: &mut Schedule, (pass, id): (u64, usize), bytes: u64) {
    if bytes > 0 {
        schedule.temporary(InstanceId(id), bytes);
        schedule.leave(InstanceId(id), bytes);
    }
    schedule.reached(InstanceId(id));
    assert!(schedule.finished(pass).is_empty());
}

fn ids(starts: &[(u64, usize)]) -> Vec<usize> {
    starts.iter().map(|(_, id)| *id).collect()
}

#[test]
fn the_next_rung_comes_while_this_one_is_read_and_no_further() {
    let mut schedule = Schedule::new(ladder(4), machine(1), false).with_budget(20);
    let first = starts(&mut schedule);
    assert_eq!(ids(&first), [0]);
    end(&mut schedule, first[0], 10);
    // Rung 1 comes while 0 is read; one processor, so one reader.
    let two = starts(&mut schedule);
    assert_eq!(ids(&two), [4, 1]);
    end(&mut schedule, two[1], 10);
    assert_eq!(
        (ids(&starts(&mut schedule)), schedule.of_budget()),
        (vec![], 20)
    );
    end(&mut schedule, two[0], 0);
    // The other reader of rung 0 comes before those of rung 1.
    let reader = starts(&mut schedule);
    assert_eq!(ids(&reader), [8]);
    end(&mut schedule, reader[0], 0);
    let reader = starts(&mut schedule);
    assert_eq!(ids(&reader), [5]);
    // Rung 2 when the bytes of rung 0 are gone, not before.
    schedule.removed(InstanceId(0));
    assert_eq!(schedule.of_budget(), 10);
    assert_eq!(ids(&starts(&mut schedule)), [2]);
}

#[test]
fn without_a_budget_the_free_space_is_the_bound() {
    let mut schedule = Schedule::new(ladder(3), machine(1), false);
    schedule.set_disk(20);
    let first = starts(&mut schedule);
    end(&mut schedule, first[0], 10);
    // Its bytes are on the disk: they are missing from what is free, once.
    schedule.set_disk(10);
    assert_eq!(ids(&starts(&mut schedule)), [3, 1]);
}

#[test]
fn what_is_read_together_is_held_together() {
    // 0 and 2 are read by 4, 1 and 3 by 5: 0 and 1 together would be stuck.
    let mut specs = ladder(2);
    specs.truncate(2);
    specs.extend(ladder(4).split_off(2));
    specs.truncate(6);
    specs[4].producers = vec![InstanceId(0), InstanceId(2)];
    specs[5].producers = vec![InstanceId(1), InstanceId(3)];
    let mut schedule = Schedule::new(specs, machine(4), false).with_budget(20);
    let mut order = Vec::new();
    for _ in 0..6 {
        let started = starts(&mut schedule);
        order.extend(ids(&started));
        for one in started {
            end(&mut schedule, one, if one.1 < 4 { 10 } else { 0 });
            if one.1 >= 4 {
                for producer in [one.1 - 4, one.1 - 2] {
                    schedule.removed(InstanceId(producer));
                }
            }
        }
    }
    assert_eq!(order, [0, 2, 4, 1, 3, 5]);
}

#[test]
fn what_is_larger_than_foretold_does_not_stop_the_rest() {
    // A reader that asks for disk itself finds too little left.
    let mut specs = ladder(2);
    specs[2].takes.disk_bytes = 10;
    let mut schedule = Schedule::new(specs, machine(1), false).with_budget(20);
    let first = starts(&mut schedule);
    end(&mut schedule, first[0], 12);
    // Not rung 1: the reader could never start beside it.
    let reader = starts(&mut schedule);
    assert_eq!(ids(&reader), [4]);
    end(&mut schedule, reader[0], 0);
    assert_eq!(schedule.starved(), [InstanceId(2), InstanceId(1)]);
    assert!(!schedule.press());
    // Somebody makes room after all.
    schedule.leave(InstanceId(0), 10);
    let reader = starts(&mut schedule);
    assert_eq!(ids(&reader), [2]);
}

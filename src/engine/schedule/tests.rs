//! The schedule, driven by hand.
use super::*;

fn spec(id: usize, producers: &[usize]) -> NodeSpec {
    NodeSpec {
        id: InstanceId(id),
        producers: producers.iter().copied().map(InstanceId).collect(),
        weight: 1,
        takes: cpus(1),
        leaves: 0,
        temp: false,
    }
}

fn cpus(cpu: u32) -> Amounts {
    Amounts {
        cpu,
        ..Amounts::default()
    }
}

fn family(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

/// Answers every lookup with a miss of a family of its own.
fn start_all(schedule: &mut Schedule) -> Vec<Start> {
    let mut starts = Vec::new();
    while let Some(ask) = schedule.next() {
        match ask {
            Ask::Consider(id) => schedule.miss(id, family(&id.0.to_string()), 0, &[]),
            Ask::Start(start) => starts.push(start),
        }
    }
    starts
}

fn members(starts: &[Start]) -> Vec<Vec<usize>> {
    starts
        .iter()
        .map(|start| start.members.iter().map(|id| id.0).collect())
        .collect()
}

#[test]
fn consumers_wait_for_their_producers_and_slots_are_counted() {
    let specs = vec![spec(0, &[]), spec(1, &[]), spec(2, &[]), spec(3, &[0, 1])];
    let mut schedule = Schedule::new(specs, cpus(2), false);
    let starts = start_all(&mut schedule);
    // The two that something waits for come first; two slots, no third.
    assert_eq!(members(&starts), [[0], [1]]);
    for start in starts {
        schedule.reached(start.members[0]);
        assert!(schedule.finished(start.pass).is_empty());
    }
    assert_eq!(members(&start_all(&mut schedule)), [[2], [3]]);
}

#[test]
fn a_family_runs_as_one_pass_by_ascending_mark() {
    let mut schedule = Schedule::new(
        vec![spec(0, &[]), spec(1, &[]), spec(2, &[])],
        cpus(2),
        false,
    );
    let marks = [30, 10, 20];
    let mut starts = Vec::new();
    while let Some(ask) = schedule.next() {
        match ask {
            Ask::Consider(id) => schedule.miss(id, family("one"), marks[id.0], &[]),
            Ask::Start(start) => starts.push(start),
        }
    }
    assert_eq!(members(&starts), [[1, 2, 0]]);
}

#[test]
fn a_latecomer_of_a_running_family_is_considered_again_afterwards() {
    let mut schedule = Schedule::new(
        vec![spec(0, &[]), spec(1, &[]), spec(2, &[1])],
        cpus(4),
        false,
    );
    assert_eq!(schedule.next(), Some(Ask::Consider(InstanceId(0))));
    schedule.miss(InstanceId(0), family("same"), 1, &[]);
    assert_eq!(schedule.next(), Some(Ask::Consider(InstanceId(1))));
    schedule.hit(InstanceId(1));
    assert_eq!(schedule.next(), Some(Ask::Consider(InstanceId(2))));
    schedule.miss(InstanceId(2), family("other"), 1, &[]);
    let Some(Ask::Start(first)) = schedule.next() else {
        panic!("a start")
    };
    let Some(Ask::Start(second)) = schedule.next() else {
        panic!("a start")
    };
    assert_eq!((first.members[0].0, second.members[0].0), (0, 2));
    schedule.reached(InstanceId(0));
    assert!(schedule.finished(first.pass).is_empty());
    schedule.reached(InstanceId(2));
    assert!(schedule.finished(second.pass).is_empty());
    assert_eq!((schedule.next(), schedule.running()), (None, 0));
}

#[test]
fn lost_bytes_are_made_again_before_their_consumer_runs() {
    let mut schedule = Schedule::new(vec![spec(0, &[]), spec(1, &[0])], cpus(1), false);
    assert_eq!(schedule.next(), Some(Ask::Consider(InstanceId(0))));
    schedule.hit(InstanceId(0));
    assert_eq!(schedule.next(), Some(Ask::Consider(InstanceId(1))));
    schedule.miss(InstanceId(1), family("b"), 0, &[InstanceId(0)]);
    assert_eq!(schedule.next(), Some(Ask::Consider(InstanceId(0))));
    assert!(schedule.must_remake(InstanceId(0)));
    schedule.miss(InstanceId(0), family("a"), 0, &[]);
    let Some(Ask::Start(start)) = schedule.next() else {
        panic!("a start")
    };
    schedule.reached(InstanceId(0));
    schedule.finished(start.pass);
    // Considered anew: the bytes made again may differ, and so its key.
    assert_eq!(schedule.next(), Some(Ask::Consider(InstanceId(1))));
}

#[test]
fn after_a_failure_nothing_starts_unless_told_to_keep_going() {
    for (keep_going, expected) in [(false, vec![]), (true, vec![vec![1]])] {
        let mut schedule = Schedule::new(
            vec![spec(0, &[]), spec(1, &[]), spec(2, &[0])],
            cpus(1),
            keep_going,
        );
        let starts = start_all(&mut schedule);
        let first = &starts[0];
        assert_eq!(first.members, [InstanceId(0)]);
        assert_eq!(schedule.finished(first.pass), [InstanceId(0)]);
        let more = start_all(&mut schedule);
        assert_eq!(members(&more), expected);
        for start in &more {
            schedule.reached(start.members[0]);
            schedule.finished(start.pass);
        }
        let rest = schedule.skip_rest();
        let skipped: Vec<usize> = rest.iter().map(|(id, _)| id.0).collect();
        assert_eq!(skipped, if keep_going { vec![2] } else { vec![1, 2] });
        assert_eq!(
            rest.last().and_then(|(_, because)| *because),
            Some(InstanceId(0))
        );
    }
}

/// Answers lookups with a miss that uses `model`, and runs one after another.
fn order(mut schedule: Schedule, model: impl Fn(usize) -> Option<Digest>) -> Vec<usize> {
    let mut order = Vec::new();
    while let Some(ask) = schedule.next() {
        match ask {
            Ask::Consider(id) => {
                schedule.keeps(id, model(id.0));
                schedule.miss(id, family(&id.0.to_string()), 0, &[]);
            }
            Ask::Start(start) => {
                order.push(start.members[0].0);
                schedule.reached(start.members[0]);
                schedule.finished(start.pass);
            }
        }
    }
    order
}

#[test]
fn what_a_worker_holds_comes_before_the_order_of_the_file() {
    let specs = || vec![spec(0, &[]), spec(1, &[]), spec(2, &[]), spec(3, &[])];
    let even = |id: usize| Some(family(if id.is_multiple_of(2) { "even" } else { "odd" }));
    let schedule = Schedule::new(specs(), cpus(1), false);
    assert_eq!(order(schedule, even), [0, 2, 1, 3]);
    let schedule = Schedule::new(specs(), cpus(1), false);
    assert_eq!(order(schedule, |_| None), [0, 1, 2, 3]);
}

#[test]
fn the_longer_way_to_the_end_comes_first() {
    let specs = vec![spec(0, &[]), spec(1, &[]), spec(2, &[1]), spec(3, &[2])];
    let schedule = Schedule::new(specs, cpus(1), false);
    assert_eq!(order(schedule, |_| None), [1, 2, 0, 3]);
}

#[test]
fn what_frees_temporary_bytes_comes_before_everything() {
    // 0 is temporary and feeds 3 and 4; 1 begins a long chain.
    let specs = vec![
        spec(0, &[]),
        spec(1, &[]),
        spec(2, &[1]),
        spec(3, &[0]),
        spec(4, &[0]),
        spec(5, &[2]),
        spec(6, &[5]),
    ];
    let mut schedule = Schedule::new(specs, cpus(1), false);
    schedule.temporary(InstanceId(0), 1 << 20);
    let held = |_| Some(family("one"));
    // Without it the chain would go on: 1, 2, 0, 5, 3, 4, 6.
    assert_eq!(order(schedule, held), [1, 2, 0, 3, 4, 5, 6]);
}

fn on_devices(id: usize, gpu: u32) -> NodeSpec {
    NodeSpec {
        takes: Amounts { gpu, ..cpus(1) },
        ..spec(id, &[])
    }
}

fn two_devices() -> Amounts {
    Amounts { gpu: 2, ..cpus(4) }
}

#[test]
fn devices_are_given_out_once_and_workers_stay_bound() {
    let specs = vec![on_devices(0, 1), on_devices(1, 1), on_devices(2, 1)];
    let mut schedule = Schedule::new(specs, two_devices(), false);
    let starts = start_all(&mut schedule);
    let places: Vec<(usize, Vec<usize>)> = starts
        .iter()
        .map(|start| (start.place.slot, start.place.gpus.clone()))
        .collect();
    assert_eq!(places, [(0, vec![0]), (1, vec![1])]);
    schedule.reached(InstanceId(1));
    schedule.finished(starts[1].pass);
    let third = start_all(&mut schedule);
    assert_eq!((third[0].place.slot, &third[0].place.gpus), (1, &vec![1]));
}

#[test]
fn an_idle_worker_makes_room_on_its_device() {
    let specs = vec![on_devices(0, 1), on_devices(1, 2)];
    let mut schedule = Schedule::new(specs, two_devices(), false);
    let first = start_all(&mut schedule);
    assert_eq!(members(&first), [[0]]);
    schedule.reached(InstanceId(0));
    schedule.finished(first[0].pass);
    let second = start_all(&mut schedule);
    assert_eq!(second[0].place.gpus, [0, 1]);
    assert_eq!(second[0].place.evict, [first[0].place.slot]);
}

#[test]
fn a_failed_attempt_comes_back_when_it_is_due() {
    let mut schedule = Schedule::new(vec![spec(0, &[]), spec(1, &[0])], cpus(1), false);
    let starts = start_all(&mut schedule);
    assert_eq!(schedule.again(starts[0].pass), [InstanceId(0)]);
    assert_eq!((schedule.next(), schedule.delayed()), (None, 1));
    schedule.due(&[InstanceId(0)]);
    // Looked up anew: another run may have made it meanwhile.
    assert_eq!(schedule.next(), Some(Ask::Consider(InstanceId(0))));
    schedule.miss(InstanceId(0), family("0"), 0, &[]);
    let again = start_all(&mut schedule);
    assert_eq!(members(&again), [[0]]);
    schedule.reached(InstanceId(0));
    schedule.finished(again[0].pass);
    assert_eq!(members(&start_all(&mut schedule)), [[1]]);
}

#[test]
fn what_never_fits_is_named_once_nothing_runs() {
    let big = NodeSpec {
        takes: Amounts {
            disk_bytes: 10,
            ..cpus(1)
        },
        ..spec(0, &[])
    };
    let total = Amounts {
        disk_bytes: 20,
        ..cpus(1)
    };
    let mut schedule = Schedule::new(vec![big, spec(1, &[])], total, true);
    schedule.set_disk(5);
    let starts = start_all(&mut schedule);
    assert_eq!(members(&starts), [[1]]);
    assert_eq!(schedule.starved(), []);
    schedule.reached(InstanceId(1));
    schedule.finished(starts[0].pass);
    assert_eq!(start_all(&mut schedule), []);
    assert_eq!(schedule.starved(), [InstanceId(0)]);
    schedule.give_up(InstanceId(0));
    assert_eq!((schedule.starved(), schedule.next()), (vec![], None));
}

//! Executes tasks in this very thread, one after another: no processes, so
//! the engine can be exercised with toy kinds in milliseconds.
use std::{cell::RefCell, collections::VecDeque, thread, time::Duration};

use anyhow::Result;

use crate::{
    cache::Cache,
    engine::{
        executor::{Begun, Executor, Placement, perform},
        task::{Report, Task},
    },
    stage::{Held, Kind},
};

pub struct Inline<'a> {
    kinds: &'a [Kind],
    cache: &'a Cache,
    held: Held,
    reports: VecDeque<Report>,
}

impl<'a> Inline<'a> {
    pub fn new(kinds: &'a [Kind], cache: &'a Cache) -> Inline<'a> {
        Inline {
            kinds,
            cache,
            held: Held::default(),
            reports: VecDeque::new(),
        }
    }
}

impl Executor for Inline<'_> {
    fn start(&mut self, task: Task, _place: Placement) -> Result<Begun> {
        let reports = RefCell::new(&mut self.reports);
        perform(
            &task,
            self.kinds,
            self.cache,
            &self.held,
            &|| false,
            &|report| {
                reports.borrow_mut().push_back(report);
            },
        );
        Ok(Begun::Yes)
    }

    fn wait(&mut self, patience: Duration) -> Result<Option<Report>> {
        let report = self.reports.pop_front();
        if report.is_none() {
            // Nothing runs: only another attempt can be what is waited for.
            thread::sleep(patience);
        }
        Ok(report)
    }

    fn stop(&mut self) {}
}

//! Executes tasks in this very thread, one after another: no processes, so
//! the engine can be exercised with toy kinds in milliseconds.
use std::{cell::RefCell, collections::VecDeque, time::Duration};

use anyhow::Result;

use crate::{
    cache::Cache,
    engine::{
        executor::{Executor, perform},
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
    fn start(&mut self, task: Task) -> Result<usize> {
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
        Ok(0)
    }

    fn wait(&mut self, _patience: Duration) -> Result<Option<Report>> {
        Ok(self.reports.pop_front())
    }

    fn stop(&mut self) {}
}

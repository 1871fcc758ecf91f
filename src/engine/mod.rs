//! Meaning to work: keys, plan, schedule, execution, events.

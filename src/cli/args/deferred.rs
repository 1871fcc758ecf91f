//! Arguments that are described only to who asks for their command: describing
//! all of them takes longer than many a command does.
use std::ops::Deref;

use clap::{
    ArgMatches, Args, Command, Error, FromArgMatches,
    builder::{Resettable, StyledStr},
};

/// The arguments `T` of a subcommand.
#[derive(Debug)]
pub(in crate::cli) struct Deferred<T>(T);

impl<T> Deref for Deferred<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: FromArgMatches> FromArgMatches for Deferred<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(Deferred)
    }

    fn from_arg_matches_mut(matches: &mut ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches_mut(matches).map(Deferred)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}

impl<T: Args> Args for Deferred<T> {
    fn augment_args(command: Command) -> Command {
        command.defer(|command| worded(command, T::augment_args))
    }

    fn augment_args_for_update(command: Command) -> Command {
        command.defer(|command| worded(command, T::augment_args_for_update))
    }
}

/// Adds arguments, and leaves the words that the command has: groups of arguments
/// have words of their own, which would take that place, since they come later here.
fn worded(command: Command, arguments: fn(Command) -> Command) -> Command {
    let kept = |text: Option<&StyledStr>| match text {
        Some(text) => Resettable::Value(text.clone()),
        None => Resettable::Reset,
    };
    let about = kept(command.get_about());
    let long_about = kept(command.get_long_about());
    let after_help = kept(command.get_after_help());
    arguments(command)
        .about(about)
        .long_about(long_about)
        .after_help(after_help)
}

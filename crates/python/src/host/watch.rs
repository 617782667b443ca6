//! What the host does for whoever watches over its requests from outside: it tells what they are, where they are, and interrupts them.
//!
//! Nothing here is called on a request thread. All functions but those that say so may wait for the interpreter's lock.

#![forbid(unsafe_code)]

use super::Host;
pub(crate) use super::board::Ticket;
use crate::group::Group;
use crate::module::events;
use crate::python::{Attached, Exception, ThreadIdent, attach};
use std::sync::Arc;
use std::time::Duration;
use sys::nix::sys::signal::Signal;
use wire::log::Level;

/// How long an exchange may be in use before a request is given up without a word to its client.
const IN_USE: Duration = Duration::from_secs(5);

/// How often signals may come while their meaning is being set.
const ATTEMPTS: usize = 5;

impl Host {
    /// The requests that are being executed. Does not wait.
    pub(crate) fn running(&self) -> Vec<Ticket> {
        self.board.tickets()
    }

    /// Method and URL of a request, if it is still being executed. Does not wait.
    pub(crate) fn describe(&self, ticket: Ticket) -> Option<String> {
        self.board.describe(ticket)
    }

    /// Raises `mod_wsgi.RequestTimeout` in the thread of a request. It is met at the next step in Python: code that waits in C goes on
    /// waiting.
    pub(crate) fn interrupt(&self, ticket: Ticket) {
        let Some(inside) = self.board.inside(ticket) else { return };
        attach(&inside.group.interpreter, |py| self.board.interrupt(py, ticket));
    }

    /// Answers the client of a request that has taken too long, and sends nothing of what comes later. Needs no interpreter.
    pub(crate) fn cut_off(&self, ticket: Ticket) {
        if let Some(request) = self.board.request(ticket) {
            // The place is not locked meanwhile. Should the request end and its thread begin another, this one's way is gone.
            request.lent.outside_within(IN_USE, |exchange| exchange.cut_off());
        }
    }

    /// The stacks of all threads in all interpreters, line by line.
    pub(crate) fn stacks(&self) -> Vec<String> {
        self.all_groups().iter().flat_map(|group| stacks_in(group, None)).collect()
    }

    /// The stack of a request's thread, line by line.
    pub(crate) fn stack_of(&self, ticket: Ticket) -> Vec<String> {
        self.board.inside(ticket).map_or_else(Vec::new, |inside| stacks_in(&inside.group, Some(inside.ident)))
    }

    /// Enters each interpreter and leaves it again: returns when each lock could be had.
    pub(crate) fn probe(&self) {
        for group in self.all_groups() {
            attach(&group.interpreter, |_| ());
        }
    }

    /// Lets Python write all stacks of the main interpreter to a descriptor when the process gets the signal `number`, which works while
    /// somebody holds the interpreter's lock and does not give it back.
    pub(crate) fn dump_on(&self, number: i32, descriptor: i32) -> bool {
        let register = |py: Attached<'_>| {
            let arguments = py.dict()?;
            arguments.dict_set_name(py, c"file", &py.int(descriptor.into())?)?;
            arguments.dict_set_name(py, c"all_threads", &py.bool(true))?;
            let register = py.import(c"faulthandler")?.attr(py, c"register")?;
            register.call_with(py, &[&py.int(number.into())?], &arguments)
        };
        attach(&self.main, |py| register(py).is_ok()).unwrap_or(false)
    }

    /// Tells the subscribers in all interpreters of a signal.
    pub(crate) fn tell_signal(&self, number: i32, name: &str) {
        for group in self.all_groups() {
            attach(&group.interpreter, |py| events::process_signal(py, &group.state, number, name));
        }
    }

    /// Says on Python's main thread what signals mean to a service script: whether they end it, or nothing any more.
    pub(crate) fn signals_end(&self, signals: &[Signal], ends: bool) {
        let say = |py: Attached<'_>| {
            let numbers = signals.iter().map(|signal| py.int(sys::signals::number(*signal).into())).collect::<Result<Vec<_>, _>>()?;
            let globals = py.dict()?;
            globals.dict_set_name(py, c"signals", &py.list(&numbers.iter().collect::<Vec<_>>())?)?;
            globals.dict_set_name(py, c"ends", &py.bool(ends))?;
            py.execute(&py.compile(&py.text(include_str!("signals.py"))?, &py.text("<mod_wsgi signals.py>")?)?, &globals)
        };
        // A signal that came just before is met here, instead of in the script.
        let said = (0..ATTEMPTS).any(|_| attach(&self.main, |py| say(py).is_ok()).unwrap_or(false));
        if !said {
            self.settings.log.log(Level::Info, "The meaning of signals could not be set.");
        }
    }

    fn all_groups(&self) -> Vec<Arc<Group>> {
        std::iter::once(&self.main_group).chain(self.groups.read().values()).map(Arc::clone).collect()
    }
}

fn stacks_in(group: &Group, only: Option<ThreadIdent>) -> Vec<String> {
    let tell = |py: Attached<'_>| -> Result<Vec<String>, Exception> {
        let globals = py.dict()?;
        let thread = only.map_or_else(|| Ok(py.none()), |ident| py.int(ident.number()))?;
        globals.dict_set_name(py, c"only", &thread)?;
        let code = py.compile(&py.text(include_str!("stacks.py"))?, &py.text("<mod_wsgi stacks.py>")?)?;
        py.execute(&code, &globals)?;
        let lines = globals.dict_get(py, &py.text("lines")?)?.and_then(|lines| lines.items(py)).unwrap_or_default();
        Ok(lines.iter().map(|line| line.to_text(py)).collect())
    };
    let told = attach(&group.interpreter, |py| tell(py).unwrap_or_else(|exception| exception.report(py).lines)).unwrap_or_default();
    if told.is_empty() || only.is_some() {
        return told;
    }
    std::iter::once(format!("In the {}:", group.state.place)).chain(told).collect()
}

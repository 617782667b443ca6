//! Interpreters: the main one and its sub-interpreters, from their creation to their end.
//!
//! `Py_EndInterpreter` may only be called when nobody is inside and no thread state is left but the caller's, so an interpreter
//! counts its visitors and keeps the states that were made for it. A state is deleted by the thread it belongs to: from 3.12 on that
//! thread remembers the state it used last (for PyGILState), and touches it when it enters another interpreter.
//! See <https://docs.python.org/3/c-api/init.html#sub-interpreter-support>.

use super::ffi;
use super::line::Line;
use super::runtime;
use super::thread::{self, Attached, Origin};
use parking_lot::Mutex;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

/// An interpreter of this process.
///
/// # Invariants
///
/// `raw` is live until `ended` is set and no visit is left.
pub(crate) struct Interpreter {
    raw: NonNull<ffi::PyInterpreterState>,
    main: Option<Arc<Interpreter>>,
    /// Where threads wait for its lock.
    line: Arc<Line>,
    states: Mutex<Vec<State>>,
    visitors: AtomicUsize,
    ended: AtomicBool,
}

// SAFETY: the pointers are used only as CPython allows from any thread, or by the thread that they belong to.
unsafe impl Send for Interpreter {}
// SAFETY: as above; all else is behind a lock or atomic.
unsafe impl Sync for Interpreter {}

/// A thread state, for comparison.
struct State {
    raw: NonNull<ffi::PyThreadState>,
    /// Whether it belongs to no thread of ours, to be deleted with the interpreter.
    stays: bool,
}

// SAFETY: the pointer is only compared, or given to CPython under the interpreter's lock.
unsafe impl Send for State {}

/// How long threads of the application's own that are just ending are waited for.
const LAST_THREADS: Duration = Duration::from_millis(200);

/// Which lock a sub-interpreter has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gil {
    /// That of the main interpreter.
    Shared,
    /// One of its own: isolated, without fork, exec and daemon threads, for extension modules that say that they can live so.
    Own,
}

impl Gil {
    /// The first version in which extension modules in common use survive it: 3.12 crashes with Flask.
    pub(crate) const OWN_SINCE: (u32, u32) = (3, 13);
}

/// A sub-interpreter could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InterpreterError {
    /// Python runs no more.
    #[error("Python is being stopped")]
    Stopped,
    /// CPython refused.
    #[error("CPython could not create a sub-interpreter")]
    Refused,
}

/// An interpreter cannot be ended; its threads go with the process.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EndError {
    /// Threads of ours execute requests in it, or may come back.
    #[error("{0} threads have not left it")]
    Occupied(usize),
    /// The application has threads that do not end.
    #[error("threads of the application are still running in it")]
    Threads,
}

/// The proof that somebody is inside, or waits to be.
pub(super) struct Visit<'i>(&'i Interpreter);

impl Drop for Visit<'_> {
    fn drop(&mut self) {
        self.0.visitors.fetch_sub(1, SeqCst);
    }
}

impl Interpreter {
    /// The main interpreter, whose thread state `state` is the calling thread's.
    pub(super) fn main(raw: NonNull<ffi::PyInterpreterState>, state: NonNull<ffi::PyThreadState>) -> Arc<Self> {
        let interpreter = Arc::new(Self::new(raw, None, Arc::new(Line::new())));
        thread::adopt(&interpreter, state, Origin::Initial);
        interpreter
    }

    /// A new sub-interpreter of `main`. Creations must not overlap: the caller holds a lock, and is in no interpreter.
    pub(crate) fn create(main: &Arc<Self>, gil: Gil) -> Result<Arc<Self>, InterpreterError> {
        let _visit = main.visit().ok_or(InterpreterError::Stopped)?;
        let main_state = thread::state_for(main).ok_or(InterpreterError::Refused)?;
        // SAFETY: the main state is live and of this thread. Both functions leave the new state current, or on failure the one that was;
        // SaveThread leaves whichever it is.
        let (raw, state) = unsafe {
            ffi::PyEval_RestoreThread(main_state.as_ptr());
            let state = match gil {
                Gil::Shared => ffi::Py_NewInterpreter(),
                Gil::Own => ffi::new_interpreter_with_own_gil(),
            };
            let raw = if state.is_null() { std::ptr::null_mut() } else { ffi::PyThreadState_GetInterpreter(state) };
            if state.is_null() {
                ffi::PyErr_Clear();
            }
            ffi::PyEval_SaveThread();
            // The thread is to remember a state of its own, not the first one of the interpreter.
            ffi::PyEval_RestoreThread(main_state.as_ptr());
            ffi::PyEval_SaveThread();
            (raw, state)
        };
        let (Some(raw), Some(state)) = (NonNull::new(raw), NonNull::new(state)) else { return Err(InterpreterError::Refused) };
        let line = match gil {
            Gil::Shared => Arc::clone(&main.line),
            Gil::Own => Arc::new(Line::new()),
        };
        let interpreter = Arc::new(Self::new(raw, Some(Arc::clone(main)), line));
        // The first state stays, unused, to the end: CPython 3.11 aborts when an interpreter without any state gets a new one, and 3.12
        // and 3.13 do if that happens at the moment when the last one goes.
        interpreter.keep(state, true);
        Ok(interpreter)
    }

    fn new(raw: NonNull<ffi::PyInterpreterState>, main: Option<Arc<Self>>, line: Arc<Line>) -> Self {
        Self { raw, main, line, states: Mutex::new(Vec::new()), visitors: AtomicUsize::new(0), ended: AtomicBool::new(false) }
    }

    /// The main interpreter, if this is another one.
    pub(super) fn parent(&self) -> Option<&Arc<Self>> {
        self.main.as_ref()
    }

    /// Where threads wait for its lock.
    pub(super) fn line(&self) -> &Arc<Line> {
        &self.line
    }

    pub(super) fn raw(&self) -> *mut ffi::PyInterpreterState {
        self.raw.as_ptr()
    }

    /// Enters the visitors' book; `None` when the interpreter has ended or is about to.
    pub(super) fn visit(&self) -> Option<Visit<'_>> {
        let visit = self.visit_to_leave();
        (!self.ended.load(SeqCst)).then_some(visit)
    }

    /// Enters the visitors' book to give a thread state back, for which an end waits.
    pub(super) fn visit_to_leave(&self) -> Visit<'_> {
        self.visitors.fetch_add(1, SeqCst);
        Visit(self)
    }

    /// Remembers a thread state made for this interpreter; `stays` says that it is not given back when its thread ends.
    pub(super) fn keep(&self, raw: NonNull<ffi::PyThreadState>, stays: bool) {
        self.states.lock().push(State { raw, stays });
    }

    /// Forgets a thread state; `false` when it was not known any more.
    pub(super) fn forget(&self, raw: NonNull<ffi::PyThreadState>) -> bool {
        let mut states = self.states.lock();
        let before = states.len();
        states.retain(|known| known.raw != raw);
        states.len() < before
    }

    /// Refuses new visitors, and waits until nobody is inside and all other threads have given their states back.
    pub(super) fn close(&self, own: NonNull<ffi::PyThreadState>, patience: Duration) -> Result<(), EndError> {
        let deadline = Instant::now() + patience;
        self.ended.store(true, SeqCst);
        loop {
            // A thread that gives its state back is a visitor before its state is forgotten, so that one of the two is seen.
            let others = self.states.lock().iter().filter(|state| state.raw != own && !state.stays).count();
            match others.max(self.visitors.load(SeqCst)) {
                0 => return Ok(()),
                occupants if Instant::now() >= deadline => {
                    // It is left to the end of the process: whoever comes to give a state back is not to wait for the interpreter.
                    self.states.lock().clear();
                    return Err(EndError::Occupied(occupants));
                }
                _ => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Ends a sub-interpreter: joins its non-daemon threads, calls its `atexit` functions and frees it. Where that is impossible, the
    /// `atexit` functions are called all the same.
    pub(crate) fn end(self: &Arc<Self>, patience: Duration) -> Result<(), EndError> {
        let Some(main) = self.main.as_ref() else { return Ok(()) };
        // The states are made while visits are still possible.
        let (Some(state), Some(main_state)) = (thread::state_for(self), thread::state_for(main)) else { return Err(EndError::Threads) };
        let until = Instant::now() + patience;
        let closed = self.close(state, patience);
        let alone = thread::with_state(&self.line, state, |py| {
            if closed.is_ok() {
                self.delete_kept_states(state);
                runtime::join_threads(py);
                if self.wait_until_alone(py, state, LAST_THREADS.min(until.saturating_duration_since(Instant::now()))) {
                    return true;
                }
            }
            runtime::run_exit_functions(py);
            false
        });
        closed?;
        if !alone {
            return Err(EndError::Threads);
        }
        // SAFETY: nobody visits, `state` is the only thread state left, and it is made current as Py_EndInterpreter wants. Before 3.12
        // the lock is still held when it returns, and Swap installs a state under it; later the lock is gone with the interpreter.
        unsafe {
            ffi::PyEval_RestoreThread(state.as_ptr());
            ffi::Py_EndInterpreter(state.as_ptr());
            if runtime::version() >= (3, 12) {
                ffi::PyEval_RestoreThread(main_state.as_ptr());
            } else {
                ffi::PyThreadState_Swap(main_state.as_ptr());
            }
            ffi::PyEval_SaveThread();
        }
        Ok(())
    }

    /// Deletes the states that belong to no thread.
    fn delete_kept_states(&self, own: NonNull<ffi::PyThreadState>) {
        let states = std::mem::take(&mut *self.states.lock());
        for state in states.into_iter().filter(|state| state.raw != own) {
            // SAFETY: no visitor is left and none can come, so no thread uses the state; its interpreter is the current one.
            unsafe {
                ffi::PyThreadState_Clear(state.raw.as_ptr());
                ffi::PyThreadState_Delete(state.raw.as_ptr());
            }
        }
    }

    /// Whether no thread of the application is left, after a moment for those that are just ending.
    fn wait_until_alone(&self, py: Attached<'_>, own: NonNull<ffi::PyThreadState>, patience: Duration) -> bool {
        let (Some(head), Some(next)) = (ffi::interpreter_thread_head(), ffi::thread_state_next()) else { return false };
        // By the clock: threads that never rest make each turn take as long as they like.
        let deadline = Instant::now() + patience;
        loop {
            // No state but our own is looked into: its thread may just be ending. New ones come before the others.
            // SAFETY: the interpreter and our state are live.
            let alone = unsafe { head(self.raw()) == own.as_ptr() && next(own.as_ptr()).is_null() };
            if alone {
                return true;
            }
            if Instant::now() >= deadline {
                return false;
            }
            py.detach(|| std::thread::sleep(Duration::from_millis(2)));
        }
    }
}

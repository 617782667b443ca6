//! Which interpreter a thread has entered, and the thread states with which it does.
//!
//! CPython wants one `PyThreadState` per thread and interpreter. We make it when a thread first enters an interpreter and keep it, so
//! that `threading.local` lives from request to request. A thread's state for the *main* interpreter is made by `PyGILState_Ensure`,
//! before any other: extension modules that use that API then find the state we entered with.
//! See <https://docs.python.org/3/c-api/init.html#thread-state-and-the-global-interpreter-lock>.

use super::ffi;
use super::interpreter::Interpreter;
use super::line::Line;
use std::cell::{Cell, RefCell};
use std::marker::PhantomData;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Proof that the calling thread has entered an interpreter.
///
/// # Invariants
///
/// While a value exists and no [`Attached::detach`] of this thread runs, a thread state of the calling thread is current. The raw
/// pointer keeps the value on its thread.
#[derive(Clone, Copy)]
pub(crate) struct Attached<'py>(PhantomData<(&'py (), *mut ())>);

/// Enters `interpreter` for the time of `work`; `None` when it has ended.
pub(crate) fn attach<R>(interpreter: &Arc<Interpreter>, work: impl FnOnce(Attached<'_>) -> R) -> Option<R> {
    let _visit = interpreter.visit()?;
    let state = state_for(interpreter)?;
    Some(with_state(interpreter.line(), state, work))
}

impl Attached<'_> {
    /// The token of a function that CPython calls.
    ///
    /// # Safety
    ///
    /// A thread state of the calling thread is current, and stays so while the token is used.
    pub(super) unsafe fn assume<'py>() -> Attached<'py> {
        // INVARIANT: the caller says so.
        Attached(PhantomData)
    }

    /// Leaves the interpreter for the time of `work`, which may wait.
    pub(crate) fn detach<R>(self, work: impl FnOnce() -> R + Send) -> R {
        struct Back {
            state: *mut ffi::PyThreadState,
            ours: *mut ffi::PyThreadState,
            line: Option<Arc<Line>>,
        }
        impl Drop for Back {
            fn drop(&mut self) {
                // SAFETY: this is the state that SaveThread gave on this thread, and the interpreter waits for its visitors.
                wait(self.line.as_deref(), || unsafe { ffi::PyEval_RestoreThread(self.state) });
                THREAD.with(|thread| thread.attached.set(self.ours));
            }
        }
        let ours = THREAD.with(|thread| thread.attached.replace(ptr::null_mut()));
        // SAFETY: the token says that a thread state is current; no token reaches `work`, because tokens are not Send.
        let state = unsafe { ffi::PyEval_SaveThread() };
        let _back = Back { state, ours, line: left(state) };
        work()
    }
}

/// How often a thread has entered an interpreter, and how long it has waited for the lock on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct GilWaits {
    /// How often.
    pub(crate) count: u64,
    nanos: u64,
}

impl GilWaits {
    /// Those of the calling thread so far.
    pub(crate) fn of_thread() -> Self {
        THREAD.with(|thread| thread.waits.get())
    }

    /// Those that have come since.
    pub(crate) fn since(self, before: Self) -> Self {
        Self { count: self.count - before.count, nanos: self.nanos - before.nanos }
    }

    /// How long, in microseconds.
    pub(crate) fn micros(self) -> u64 {
        self.nanos / 1_000
    }

    fn add(self, waited: Duration) -> Self {
        Self { count: self.count + 1, nanos: self.nanos + u64::try_from(waited.as_nanos()).unwrap_or(0) }
    }
}

/// Calls `enter`, which waits for the lock, when it is the turn of the calling thread, and counts how long that takes.
fn wait(line: Option<&Line>, enter: impl FnOnce()) {
    let start = Instant::now();
    match line {
        Some(line) => line.wait(start, THREAD.with(|thread| thread.left.get()), enter),
        None => enter(),
    }
    THREAD.with(|thread| thread.waits.set(thread.waits.get().add(start.elapsed())));
}

/// Notes that the calling thread has left `state`; gives the line in which it is to wait when it comes back, if the state is one of ours.
fn left(state: *mut ffi::PyThreadState) -> Option<Arc<Line>> {
    THREAD.with(|thread| {
        thread.left.set(Some(Instant::now()));
        let states = thread.states.borrow();
        states.iter().find(|cached| cached.state.as_ptr() == state).map(|cached| Arc::clone(cached.interpreter.line()))
    })
}

/// Makes `state` current for the time of `work`, and what was current before current again.
/// `line` is that of its interpreter.
pub(super) fn with_state<R>(line: &Line, state: NonNull<ffi::PyThreadState>, work: impl FnOnce(Attached<'_>) -> R) -> R {
    struct Leave {
        previous: *mut ffi::PyThreadState,
    }
    impl Drop for Leave {
        fn drop(&mut self) {
            THREAD.with(|thread| {
                thread.attached.set(self.previous);
                thread.left.set(Some(Instant::now()));
                thread.depth.set(thread.depth.get() - 1);
            });
            // SAFETY: our state is current until here. The previous one belongs to an outer `with_state` of this thread.
            unsafe {
                ffi::PyEval_SaveThread();
                if !self.previous.is_null() {
                    ffi::PyEval_RestoreThread(self.previous);
                }
            }
        }
    }
    let previous = THREAD.with(|thread| {
        thread.depth.set(thread.depth.get() + 1);
        thread.attached.replace(state.as_ptr())
    });
    // SAFETY: a previous state was made current by an outer `with_state` of this thread; `state` is a live one of this thread.
    unsafe {
        if !previous.is_null() {
            ffi::PyEval_SaveThread();
        }
        wait(Some(line), || ffi::PyEval_RestoreThread(state.as_ptr()));
    }
    let _leave = Leave { previous };
    // INVARIANT: `state` is current, and `_leave` outlives the token.
    work(Attached(PhantomData))
}

/// Keeps a thread state that CPython made for this thread: the initial one, or that of a new sub-interpreter.
pub(super) fn adopt(interpreter: &Arc<Interpreter>, state: NonNull<ffi::PyThreadState>, origin: Origin) {
    interpreter.keep(state, origin == Origin::Initial);
    THREAD.with(|thread| thread.states.borrow_mut().push(Cached { interpreter: Arc::clone(interpreter), state, origin }));
}

/// Notes that the calling thread was inside with `state` before we came, and is again when we go.
pub(super) fn note_attached(_py: Attached<'_>, state: NonNull<ffi::PyThreadState>) {
    THREAD.with(|thread| thread.attached.set(state.as_ptr()));
}

/// The thread state of this thread for `interpreter`, made on first use.
pub(super) fn state_for(interpreter: &Arc<Interpreter>) -> Option<NonNull<ffi::PyThreadState>> {
    let cached = THREAD.with(|thread| {
        let states = thread.states.borrow();
        states.iter().find(|cached| Arc::ptr_eq(&cached.interpreter, interpreter)).map(|cached| cached.state)
    });
    if cached.is_some() {
        return cached;
    }
    match interpreter.parent() {
        None => {
            let previous = THREAD.with(|thread| thread.attached.get());
            // SAFETY: the main interpreter runs (the caller visits it). The state is left with a count of one, so that a nested
            // Ensure and Release of an extension module does not delete it, and what was current is current again.
            let state = unsafe {
                if !previous.is_null() {
                    ffi::PyEval_SaveThread();
                }
                ffi::PyGILState_Ensure();
                let state = NonNull::new(ffi::PyEval_SaveThread())?;
                if !previous.is_null() {
                    ffi::PyEval_RestoreThread(previous);
                }
                state
            };
            adopt(interpreter, state, Origin::GilState);
            Some(state)
        }
        Some(main) => {
            // The main interpreter's state comes first: PyGILState remembers the first state of a thread.
            state_for(main)?;
            // SAFETY: the interpreter runs (the caller visits it); a lock need not be held.
            let state = NonNull::new(unsafe { ffi::PyThreadState_New(interpreter.raw()) })?;
            adopt(interpreter, state, Origin::New);
            Some(state)
        }
    }
}

/// Gives back all thread states of the calling thread, for threads that end without running thread-local destructors.
pub(crate) fn release_this_thread() {
    let mut states = THREAD.with(|thread| std::mem::take(&mut *thread.states.borrow_mut()));
    // The main interpreter's state was made first and goes last.
    while let Some(cached) = states.pop() {
        cached.release();
    }
}

/// The same for a thread that goes on, unless it is in the midst of something in Python: a signal may have interrupted it there.
pub(crate) fn release_idle_thread() {
    if THREAD.with(|thread| thread.depth.get()) == 0 {
        release_this_thread();
    }
}

thread_local! {
    static THREAD: Thread = const { Thread {
        attached: Cell::new(ptr::null_mut()),
        waits: Cell::new(GilWaits { count: 0, nanos: 0 }),
        left: Cell::new(None),
        depth: Cell::new(0),
        states: RefCell::new(Vec::new()),
    } };
}

/// What a thread of ours knows of its place in Python.
struct Thread {
    /// The state that [`with_state`] made current on this thread, if any.
    attached: Cell<*mut ffi::PyThreadState>,
    waits: Cell<GilWaits>,
    /// When it was inside last.
    left: Cell<Option<Instant>>,
    /// How many calls of [`with_state`] have not returned, of which one may be detached.
    depth: Cell<u32>,
    states: RefCell<Vec<Cached>>,
}

impl Drop for Thread {
    fn drop(&mut self) {
        while let Some(cached) = self.states.get_mut().pop() {
            cached.release();
        }
    }
}

struct Cached {
    interpreter: Arc<Interpreter>,
    state: NonNull<ffi::PyThreadState>,
    origin: Origin,
}

/// Who made a thread state, which decides how it ends.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// The initialisation of CPython: it ends with it.
    Initial,
    /// `PyGILState_Ensure`.
    GilState,
    /// `PyThreadState_New`.
    New,
}

impl Cached {
    fn release(self) {
        let _visit = self.interpreter.visit_to_leave();
        if self.origin == Origin::Initial || !self.interpreter.forget(self.state) {
            return;
        }
        // SAFETY: the state belongs to this thread, is not current, and was known until now: the interpreter waits for it and for us.
        unsafe {
            ffi::PyEval_RestoreThread(self.state.as_ptr());
            match self.origin {
                Origin::GilState => ffi::PyGILState_Release(ffi::PyGILState_STATE::PyGILState_UNLOCKED),
                Origin::New | Origin::Initial => {
                    ffi::PyThreadState_Clear(self.state.as_ptr());
                    ffi::PyEval_SaveThread();
                    ffi::PyThreadState_Delete(self.state.as_ptr());
                }
            }
        }
    }
}

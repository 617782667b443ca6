//! A reference lent to objects that may outlive it.
//!
//! Python code may keep `wsgi.input` or `write` for ever, and use them from any thread; the exchange behind them ends with the
//! request. A [`Lent`] is what they keep: it leads to the exchange until [`lend`] returns, and nowhere afterwards.

use crate::python::Attached;
use crate::wsgi::exchange::Exchange;
use parking_lot::Mutex;
use std::ptr::NonNull;
use std::sync::Arc;
use std::time::Duration;

/// The way to an exchange, while it lasts.
#[derive(Clone)]
pub(crate) struct Lent(Arc<Mutex<Option<Pointer>>>);

/// # Invariants
///
/// The exchange is live and lent to us exclusively for as long as the pointer stands in its mutex.
struct Pointer(NonNull<dyn Exchange>);

// SAFETY: an Exchange is Send, and the pointer is followed only under the mutex around it.
unsafe impl Send for Pointer {}

/// Lends `exchange` for the time of `work`. The calling thread is in no interpreter: at the end this waits for others that use it.
pub(crate) fn lend<'e, R>(exchange: &'e mut (dyn Exchange + 'e), work: impl FnOnce(&Lent) -> R) -> R {
    struct Recall<'l>(&'l Lent);
    impl Drop for Recall<'_> {
        fn drop(&mut self) {
            *self.0.0.lock() = None;
        }
    }
    // SAFETY: only the lifetime is changed. `_recall` removes the pointer before this function, and with it the loan, ends.
    let pointer = unsafe { std::mem::transmute::<NonNull<dyn Exchange + 'e>, NonNull<dyn Exchange + 'static>>(NonNull::from(exchange)) };
    // INVARIANT: the exchange is ours until we return.
    let lent = Lent(Arc::new(Mutex::new(Some(Pointer(pointer)))));
    let _recall = Recall(&lent);
    work(&lent)
}

impl Lent {
    /// Uses the exchange for something that does not wait; `None` when the request is over. The interpreter is left only if another
    /// thread is using the exchange.
    pub(crate) fn quickly<R: Send>(&self, py: Attached<'_>, work: impl FnOnce(&mut dyn Exchange) -> R + Send) -> Option<R> {
        match self.0.try_lock() {
            Some(mut guard) => guard.as_mut().map(|pointer| work(pointer.exchange())),
            None => py.detach(|| self.outside(work)),
        }
    }

    /// Uses the exchange for something that may wait: the interpreter is left.
    pub(crate) fn waiting<R: Send>(&self, py: Attached<'_>, work: impl FnOnce(&mut dyn Exchange) -> R + Send) -> Option<R> {
        py.detach(|| self.outside(work))
    }

    /// Uses the exchange from a thread that is in no interpreter, unless another one uses it for longer than `patience`.
    pub(crate) fn outside_within<R>(&self, patience: Duration, work: impl FnOnce(&mut dyn Exchange) -> R) -> Option<R> {
        self.0.try_lock_for(patience)?.as_mut().map(|pointer| work(pointer.exchange()))
    }

    /// Uses the exchange from a thread that is in no interpreter.
    pub(crate) fn outside<R>(&self, work: impl FnOnce(&mut dyn Exchange) -> R) -> Option<R> {
        self.0.lock().as_mut().map(|pointer| work(pointer.exchange()))
    }
}

impl Pointer {
    fn exchange(&mut self) -> &mut dyn Exchange {
        // SAFETY: by its invariant the pointer is live and exclusive, and `&mut self` comes from the mutex.
        unsafe { self.0.as_mut() }
    }
}

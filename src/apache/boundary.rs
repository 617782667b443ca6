//! The last Rust frame before C: a panic must not pass it (it would end the process), so it becomes one log line and a failure.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs `body`; a panic gives `fallback`. The panic hook of [`install_panic_hook`] has logged it by then.
pub(crate) fn guard<T>(fallback: T, body: impl FnOnce() -> T) -> T {
    // What a caught panic leaves half done belongs to the request or directive that failed, which is given up as a whole.
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(fallback)
}

/// Makes a panic one line of the error log instead of text on stderr.
pub(crate) fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| payload.downcast_ref::<String>().cloned());
        let text = text.unwrap_or_else(|| "no text".to_owned());
        super::log::main_server(wire::codes::INTERNAL.level, &wire::codes::INTERNAL.line(format!("internal error at {place}: {text}")));
    }));
}

//! PEP 3333 (<https://peps.python.org/pep-3333/>), once for both modes.

pub(crate) mod exchange;

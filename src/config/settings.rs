//! Settings as resolved: no Option is left that a default would fill.

//! Lets the code see which Python it is compiled for: `cfg(Py_GIL_DISABLED)` for a free-threaded one, which `PYO3_PYTHON` names.

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
}

//! The supervisor as a process, with fake workers (`examples/fake_worker.rs`): the tests are httpd's parent and its children.

mod ending;
mod failing;
mod identity;
mod reloading;
mod serving;
mod settings;
mod site;

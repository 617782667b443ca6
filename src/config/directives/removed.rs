//! Directives of earlier versions of mod_wsgi: refused, with what to do instead.

use super::{Apply, Context, Definition, DirectiveError, Effect, Site};
use crate::config::options::{Global, ServerOptions};

pub(super) const LAZY_INITIALIZATION: Definition = Definition {
    name: c"WSGILazyInitialization",
    context: Context::Server,
    help: c"Removed: Python always starts in the processes that run applications.",
    effect: Effect::Works,
    apply: Apply::Server(lazy_initialization),
};

pub(super) const NEW_RELIC_CONFIG_FILE: Definition = Definition {
    name: c"WSGINewRelicConfigFile",
    context: Context::Server,
    help: c"Removed: start the agent in the WSGI script.",
    effect: Effect::Works,
    apply: Apply::Server(new_relic),
};

pub(super) const NEW_RELIC_ENVIRONMENT: Definition = Definition {
    name: c"WSGINewRelicEnvironment",
    context: Context::Server,
    help: c"Removed: start the agent in the WSGI script.",
    effect: Effect::Works,
    apply: Apply::Server(new_relic),
};

fn lazy_initialization(site: &Site<'_>, _: &[u8], _: &mut ServerOptions, _: &mut Global) -> Result<(), DirectiveError> {
    let detail = "delete the line, Python always starts in the processes that run applications";
    Err(site.error("This directive was removed in mod_wsgi 6.", detail))
}

fn new_relic(site: &Site<'_>, _: &[u8], _: &mut ServerOptions, _: &mut Global) -> Result<(), DirectiveError> {
    let detail =
        "delete the line and start the agent at the top of the WSGI script, with newrelic.agent.initialize(config_file, environment)";
    Err(site.error("This directive was removed in mod_wsgi 6.", detail))
}

#[cfg(test)]
mod tests {
    use super::super::testing::Reader;

    #[test]
    fn a_removed_directive_says_what_to_do() {
        let mut reader = Reader::new();
        assert_eq!(
            reader.error("WSGILazyInitialization On"),
            "This directive was removed in mod_wsgi 6. WSGILazyInitialization: delete the line, Python always starts in the processes \
             that run applications"
        );
        for name in ["WSGINewRelicConfigFile", "WSGINewRelicEnvironment"] {
            assert!(reader.error(&format!("{name} x")).contains("start the agent at the top of the WSGI script"));
        }
    }
}

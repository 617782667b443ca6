//! What is measured and told: server metrics, slow requests, and mod_wsgi's telemetry, which is not sent.

use super::{Apply, Context, Definition, DirectiveError, Effect, Site};
use crate::config::options::{Global, TelemetryService};
use crate::config::value::{Arguments, number, text};

/// Sending figures would be a protocol and a thread in each process, for a receiver that few have.
const NOT_SENT: Effect =
    Effect::Never("telemetry", "nothing is sent; WSGISlowRequests logs slow requests, and mod_wsgi.request_metrics() is for applications");

pub(super) const SERVER_METRICS: Definition = Definition {
    name: c"WSGIServerMetrics",
    context: Context::Global,
    help: c"Let applications in embedded mode ask for the server's figures.",
    effect: Effect::Works,
    apply: Apply::Global(|site, raw, global| {
        global.server_metrics = Some(site.flag(raw)?);
        Ok(())
    }),
};

pub(super) const TELEMETRY_SERVICE: Definition = Definition {
    name: c"WSGITelemetryService",
    context: Context::Global,
    help: c"Where mod_wsgi reports figures, unix:/path [interval=seconds]: nothing is sent, and applications get none.",
    effect: NOT_SENT,
    apply: Apply::Global(telemetry_service),
};

pub(super) const SLOW_REQUESTS: Definition = Definition {
    name: c"WSGISlowRequests",
    context: Context::Global,
    help: c"Seconds from which on a request is logged as slow; 0 logs none.",
    effect: Effect::Works,
    apply: Apply::Global(slow_requests),
};

pub(super) const TELEMETRY_OPTIONS: Definition = Definition {
    name: c"WSGITelemetryOptions",
    context: Context::Global,
    help: c"What else mod_wsgi would report: [+|-]CaptureUserAgent, None, All.",
    effect: NOT_SENT,
    apply: Apply::Global(telemetry_options),
};

fn telemetry_service(_: &Site<'_>, raw: &[u8], global: &mut Global) -> Result<(), DirectiveError> {
    let rule = |text: String| DirectiveError::Rule(format!("WSGITelemetryService {text}"));
    let mut arguments = Arguments::new(raw);
    let Some(target) = arguments.word() else {
        return Err(rule("target required, such as unix:/run/telemetry.sock".to_owned()));
    };
    let Some(path) = target.strip_prefix(b"unix:").filter(|path| path.starts_with(b"/")) else {
        let given = text(&target);
        return Err(rule(format!("target must be unix:/path, the absolute path of a socket; '{given}' is not, and udp: is gone")));
    };
    let mut service = TelemetryService { path: path.to_vec(), interval: 1.0 };
    if !arguments.is_empty() {
        let form = || rule("second argument must be 'interval=N'".to_owned());
        let (name, value) = arguments.option().and_then(Result::ok).ok_or_else(form)?;
        if name != "interval" || !arguments.is_empty() {
            return Err(form());
        }
        let what = "a number from 0.5 on";
        service.interval = number(&value, |seconds| seconds >= 0.5, what)
            .map_err(|not_a| rule(format!("interval must be at least 0.5 seconds. '{}' {not_a}", text(&value))))?;
    }
    global.telemetry_service = Some(service);
    Ok(())
}

fn slow_requests(site: &Site<'_>, raw: &[u8], global: &mut Global) -> Result<(), DirectiveError> {
    let given = site.one(raw, "one argument, a number of seconds")?;
    let seconds = number(&given, |seconds| seconds >= 0.0, "a number from 0 on")
        .map_err(|not_a| DirectiveError::Rule(format!("WSGISlowRequests threshold must be non-negative. '{}' {not_a}", text(&given))))?;
    global.slow_requests = Some(seconds);
    Ok(())
}

fn telemetry_options(_: &Site<'_>, raw: &[u8], global: &mut Global) -> Result<(), DirectiveError> {
    let rule = |text: String| DirectiveError::Rule(format!("WSGITelemetryOptions: {text}"));
    let mut arguments = Arguments::new(raw);
    let words: Vec<_> = std::iter::from_fn(|| arguments.word()).map(|word| text(&word).into_owned()).collect();
    if words.is_empty() {
        return Err(rule("no flag; write CaptureUserAgent, None or All".to_owned()));
    }
    let is_signed = |word: &String| word.starts_with(['+', '-']);
    if words.iter().any(is_signed) && !words.iter().all(is_signed) {
        return Err(rule("flags with and without + or - cannot be mixed".to_owned()));
    }
    // Flags without a sign say all; with a sign they change what was said before.
    let mut captures = global.capture_user_agent.filter(|_| is_signed(&words[0])).unwrap_or(false);
    for word in &words {
        let flag = word.trim_start_matches(['+', '-']);
        match flag.to_ascii_lowercase().as_str() {
            "" => return Err(rule("bare '+' / '-' is not a flag".to_owned())),
            "none" | "all" if is_signed(word) => return Err(rule(format!("'{word}': {flag} takes no + or -"))),
            "none" => captures = false,
            "all" => captures = true,
            "captureuseragent" => captures = !word.starts_with('-'),
            _ => return Err(rule(format!("unknown flag '{flag}', expected CaptureUserAgent, None or All"))),
        }
    }
    global.capture_user_agent = Some(captures);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Reader;
    use super::*;

    #[test]
    fn a_service_has_a_path_and_an_interval() {
        let mut reader = Reader::new();
        reader.read("WSGITelemetryService unix:/run/t.sock");
        assert_eq!(reader.global.telemetry_service, Some(TelemetryService { path: b"/run/t.sock".to_vec(), interval: 1.0 }));
        reader.read("WSGITelemetryService unix:/run/t.sock interval=0.5").read("WSGISlowRequests 2.5").read("WSGIServerMetrics On");
        assert_eq!(reader.global.telemetry_service.as_ref().map(|service| service.interval), Some(0.5));
        assert_eq!((reader.global.slow_requests, reader.global.server_metrics), (Some(2.5), Some(true)));
    }

    #[test]
    fn flags_are_absolute_or_signed() {
        let mut reader = Reader::new();
        for (line, captures) in
            [("CaptureUserAgent", true), ("none", false), ("+captureuseragent", true), ("-CaptureUserAgent", false), ("ALL", true)]
        {
            reader.read(&format!("WSGITelemetryOptions {line}"));
            assert_eq!(reader.global.capture_user_agent, Some(captures), "{line}");
        }
    }

    #[test]
    fn nonsense_is_refused() {
        let mut reader = Reader::new();
        let refused = [
            ("WSGITelemetryService", "WSGITelemetryService target required"),
            ("WSGITelemetryService udp:host:1", "WSGITelemetryService target must be unix:/path"),
            ("WSGITelemetryService unix:/t interval=0.4", "WSGITelemetryService interval must be at least 0.5 seconds"),
            ("WSGITelemetryService unix:/t interval=fast", "WSGITelemetryService interval must be at least 0.5 seconds"),
            ("WSGITelemetryService unix:/t 5", "WSGITelemetryService second argument must be 'interval=N'"),
            ("WSGITelemetryService unix:/t interval=5 x", "WSGITelemetryService second argument must be 'interval=N'"),
            ("WSGISlowRequests -1", "WSGISlowRequests threshold must be non-negative"),
            ("WSGISlowRequests soon", "WSGISlowRequests threshold must be non-negative"),
            ("WSGITelemetryOptions", "WSGITelemetryOptions: no flag"),
            ("WSGITelemetryOptions +", "WSGITelemetryOptions: bare '+' / '-' is not a flag"),
            ("WSGITelemetryOptions +CaptureUserAgent All", "WSGITelemetryOptions: flags with and without + or - cannot be mixed"),
            ("WSGITelemetryOptions +All", "WSGITelemetryOptions: '+All': All takes no + or -"),
            ("WSGITelemetryOptions Everything", "WSGITelemetryOptions: unknown flag 'Everything'"),
        ];
        for (line, text) in refused {
            let error = reader.error(line);
            assert!(error.starts_with(text), "{line}: {error}");
        }
    }
}

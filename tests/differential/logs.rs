//! What is asked for the sake of the lines that it leaves in the log: which file, level and text.

use std::time::Duration;

use super::case::Case;
use crate::harness::{ErrorLog, Httpd};

/// A log that has not grown for so long holds what there is to say.
const QUIET: Duration = Duration::from_millis(100);

/// The logs of a server, and how much they held when this was made.
pub(super) struct Logs([(&'static str, ErrorLog, usize); 2]);

impl Logs {
    /// From here on.
    pub(super) fn here(httpd: &Httpd) -> Self {
        let from = |name, log: ErrorLog| {
            let length = log.text().len();
            (name, log, length)
        };
        Self([from("main", httpd.log().clone()), from("own", httpd.other_log("own.log"))])
    }

    /// The lines that have come, without what is another at each request.
    pub(super) fn news(&self, httpd: &Httpd) -> Vec<String> {
        let size = || httpd.log().text().len() + httpd.other_log("own.log").text().len();
        let mut before = 0;
        while before != size() {
            before = size();
            std::thread::sleep(QUIET);
        }
        self.0
            .iter()
            .flat_map(|(name, log, from)| log.text()[*from..].lines().filter_map(|line| plain(name, line)).collect::<Vec<_>>())
            .collect()
    }
}

/// A line with its file, module, level and text; `None` for what httpd and the modules tell of their own doings.
fn plain(log: &str, line: &str) -> Option<String> {
    let Some((tag, rest)) = line.split_once("] [").and_then(|(_date, rest)| rest.split_once("] ")) else {
        return Some(format!("{log} log, without format: {line}"));
    };
    let mut text = rest;
    let mut request = "";
    while let Some((field, behind)) = text.strip_prefix('[').and_then(|text| text.split_once("] ")) {
        match field.split(' ').next() {
            Some("pid" | "tid") => {}
            Some("client" | "remote") => request = " of a request",
            _ => break,
        }
        text = behind;
    }
    // A complaint is told by its code; how it is worded is each module's own business. Tracebacks have their words in common.
    let code = text.split("WSGI").nth(1).and_then(|text| text.get(..4)).filter(|code| !code.starts_with("017"));
    let text = code.map_or_else(|| text.trim_end_matches('.').to_owned(), |code| format!("WSGI{code}"));
    let is_own_doing = tag.starts_with("wsgi:") && !tag.ends_with(":error") && !text.contains("said") || text.starts_with("AH");
    // httpd cuts a line at a length that counts the date and the numbers before it.
    let text: String = text.chars().take(5000).collect();
    (!is_own_doing).then(|| format!("{log} log, {tag}{request}: {text}"))
}

/// All of them: what an application writes, and how it fails.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let answer = "; start_response('200 OK', []); result = [b'answered']";
    for (name, code) in [
        ("errors", "environ['wsgi.errors'].write('said\\n')"),
        ("errors-two-lines", "environ['wsgi.errors'].write('said one\\nsaid two\\n')"),
        ("errors-unfinished", "environ['wsgi.errors'].write('said')"),
        ("errors-unfinished-flushed", "e = environ['wsgi.errors']; e.write('said'); e.flush(); e.write(' more\\n')"),
        ("errors-tail", "e = environ['wsgi.errors']; e.write('said one\\nsaid'); e.write(' two\\n')"),
        ("errors-pieces", "e = environ['wsgi.errors']; e.write('sa'); e.write('id'); e.write('\\n')"),
        ("errors-lines", "environ['wsgi.errors'].writelines(['said one\\n', 'said', ' two\\n'])"),
        ("errors-empty-line", "environ['wsgi.errors'].write('said\\n\\nsaid\\n')"),
        ("errors-nothing", "environ['wsgi.errors'].write('')"),
        ("errors-blanks", "environ['wsgi.errors'].write('  said  \\n')"),
        ("errors-tab", "environ['wsgi.errors'].write('said\\tthis\\n')"),
        ("errors-control", "environ['wsgi.errors'].write('said \\x1b[1m\\x07\\n')"),
        ("errors-return", "environ['wsgi.errors'].write('said\\rthis\\n')"),
        ("errors-return-newline", "environ['wsgi.errors'].write('said\\r\\nsaid\\r\\n')"),
        ("errors-nul", "environ['wsgi.errors'].write('said\\0this\\n')"),
        ("errors-unicode", "environ['wsgi.errors'].write('said caf\\xe9 \\u20ac\\n')"),
        ("errors-surrogate", "environ['wsgi.errors'].write('said \\udc80\\n')"),
        ("errors-backslash", "environ['wsgi.errors'].write('said \\\\n %s %d\\n')"),
        ("errors-long", "environ['wsgi.errors'].write('said ' + 'x' * 3000 + '\\n')"),
        ("errors-very-long", "environ['wsgi.errors'].write('said ' + 'x' * 20000 + '\\n')"),
        ("errors-bytes", "environ['wsgi.errors'].buffer.write(b'said \\xff\\n')"),
        ("errors-print", "print('said', 'this', file=environ['wsgi.errors'])"),
        ("errors-close", "e = environ['wsgi.errors']; e.write('said'); e.close()"),
        ("errors-after-close", "e = environ['wsgi.errors']; e.close(); print('said', attempt(lambda: e.write('x')))"),
        ("print", "print('said')"),
        ("print-unfinished", "print('said', end='')"),
        ("print-many", "print('said', 'one', sep='\\n')"),
        ("stderr", "sys.stderr.write('said\\n')"),
        ("stderr-and-errors", "sys.stderr.write('said '); environ['wsgi.errors'].write('both\\n')"),
        ("stdout-and-stderr", "sys.stdout.write('said '); sys.stderr.write('both\\n')"),
        (
            "warning",
            "import warnings\nwith warnings.catch_warnings():\n    warnings.simplefilter('always'); warnings.warn_explicit('said', UserWarning, 'file.py', 7)\npass",
        ),
        ("logging", "import logging; logging.getLogger('probe').warning('said')"),
        (
            "logging-handler",
            "import logging; h = logging.StreamHandler(environ['wsgi.errors']); h.emit(logging.makeLogRecord({'msg': 'said'}))",
        ),
        ("thread", "import threading; t = threading.Thread(target=lambda: print('said')); t.start(); t.join()"),
        (
            "thread-unfinished",
            "import threading; t = threading.Thread(target=lambda: print('said', end='')); t.start(); t.join(); t = threading.Thread(target=lambda: print(' more')); t.start(); t.join()",
        ),
        ("odd-print-flush", "print('said', end='', flush=True); print(' more')"),
        ("odd-print-to-both", "print('said', file=sys.stdout, end=''); print(' this', file=sys.stderr)"),
        ("odd-stderr-lines", "sys.stderr.writelines(['said ', 'this\\n', 'said'])"),
        ("odd-stdout-flush", "sys.stdout.write('said'); sys.stdout.flush(); sys.stdout.write(' more\\n')"),
        ("odd-stdout-bytes", "sys.stdout.buffer.write(b'said\\n'); sys.stdout.buffer.flush()"),
        ("odd-bytes-unfinished", "e = environ['wsgi.errors']; e.buffer.write(b'said'); e.write(' more\\n')"),
        (
            "odd-bytearray",
            "environ['wsgi.errors'].buffer.write(bytearray(b'said\\n')); environ['wsgi.errors'].buffer.write(memoryview(b'said\\n'))",
        ),
        ("odd-wrong", "e = environ['wsgi.errors']; print('said', [attempt(lambda: e.write(x)) for x in (b'x', 1, None)])"),
        ("odd-wrong-bytes", "e = environ['wsgi.errors'].buffer; print('said', [attempt(lambda: e.write(x)) for x in (1, None, [])])"),
        ("odd-result", "e = environ['wsgi.errors']; print('said', e.write('said\\n'), e.writelines([]), e.flush())"),
        ("odd-fileno", "print('said', attempt(sys.stderr.fileno)); print('said', attempt(environ['wsgi.errors'].fileno))"),
        (
            "odd-asked",
            "print('said', [[attempt(getattr(s, n)) for n in ('readable', 'writable', 'seekable', 'isatty', 'tell')] for s in (environ['wsgi.errors'], sys.stdout)])",
        ),
        (
            "odd-attributes",
            "print('said', [[getattr(s, n, None) for n in ('name', 'encoding', 'errors', 'newlines', 'line_buffering', 'write_through', 'closed')] for s in (environ['wsgi.errors'], sys.stdout, sys.stderr)])",
        ),
        ("odd-read", "print('said', attempt(lambda: environ['wsgi.errors'].read()), attempt(lambda: sys.stdout.readline()))"),
        ("odd-with", "with environ['wsgi.errors'] as e:\n    e.write('said\\n')\npass"),
        (
            "odd-late-thread",
            "import threading; t = threading.Thread(target=lambda: environ['wsgi.errors'].write('said\\n')); t.start(); t.join()",
        ),
        ("odd-many", "[print('said', n) for n in range(30)]"),
        ("odd-format", "print('said %s %n {} \\\\ \\\\n \\\\x41')"),
        ("odd-quotes", "print('said \\'\\\"')"),
        ("odd-next-line", "print('said\\x85this\\u2028that\\x0bx\\x0cy')"),
        ("traceback", "import traceback\ntry:\n    1 / 0\nexcept Exception:\n    traceback.print_exc(); print('said')\npass"),
        (
            "log-handler",
            "import logging, mod_wsgi; h = mod_wsgi.LogHandler(); [h.emit(logging.makeLogRecord({'msg': 'said %d' % n, 'levelno': n, 'levelname': 'X', 'pathname': 'probe.py', 'lineno': 3})) for n in (10, 20, 30, 40, 50)]",
        ),
    ] {
        let code = format!("{code}{answer}");
        cases.push(Case::code(&format!("log/{name}"), &code).at("own-log.test").logged());
    }
    for (name, code) in [
        ("raise", "1 / 0"),
        ("raise-text", "raise ValueError('said\\nsaid again')"),
        ("raise-unicode", "raise ValueError('said \\u20ac')"),
        ("raise-exit", "raise SystemExit('said')"),
        ("raise-interrupt", "raise KeyboardInterrupt('said')"),
        ("raise-class", "class Own(BaseException): pass\nraise Own('said')"),
        ("raise-from", "try:\n    1 / 0\nexcept Exception as e:\n    raise ValueError('said') from e"),
        ("raise-in-handler", "try:\n    1 / 0\nexcept Exception:\n    raise ValueError('said')"),
        ("raise-after-print", "print('said', end=''); 1 / 0"),
        ("raise-late", "start_response('200 OK', []); result = closing([b'y' * 10, ValueError('said')])"),
        ("raise-at-once", "start_response('200 OK', []); result = closing([ValueError('said')])"),
        (
            "raise-in-close",
            "start_response('200 OK', []); result = type('C', (), {'__iter__': lambda s: iter([b'a']), 'close': lambda s: 1 / 0})()",
        ),
        (
            "close-cannot-be-found",
            "start_response('200 OK', []); result = type('C', (), {'__iter__': lambda s: iter([b'a']), 'close': property(lambda s: 1 / 0)})()",
        ),
        (
            "close-is-not-there",
            "start_response('200 OK', []); result = type('C', (), {'__iter__': lambda s: iter([b'a']), 'close': property(lambda s: s.nothing)})()",
        ),
        ("close-exits", "start_response('200 OK', []); result = type('D', (closing,), {'close': lambda s: sys.exit(3)})([b'a'])"),
        ("no-start", "result = [b'x']"),
        ("no-iterable", "start_response('200 OK', []); result = None"),
        ("text-items", "start_response('200 OK', []); result = ['x']"),
        ("bad-length", "start_response('200 OK', [('Content-Length', 'x')]); result = [b'x']"),
        ("length-short", "start_response('200 OK', [('Content-Length', '10')]); result = [b'x']"),
        ("length-long", "start_response('200 OK', [('Content-Length', '1')]); result = [b'xyz']"),
    ] {
        cases.push(Case::code(&format!("log/{name}"), code).at("own-log.test").logged());
    }
    // Where a virtual host has no log of its own, the server's is used.
    cases.push(Case::code("log/main-print", &format!("print('said'){answer}")).logged());
    cases.push(Case::code("log/main-raise", "1 / 0").logged());
    for path in ["/none", "/broken", "/exit", "/broken"] {
        let name = if cases.iter().any(|case: &Case| case.name == format!("log/script{path}")) { "-again" } else { "" };
        cases.push(Case::get(&format!("log/script{path}{name}"), path).at("own-log.test").logged());
    }
    let chunked = |name: &str, body: &[u8]| {
        Case::new(&format!("log/{name}"), "POST", "/app").at("own-log.test").with("Transfer-Encoding: chunked").unannounced(body).logged()
    };
    cases.push(chunked("chunked-refused", b"0\r\n\r\n"));
    cases.push(Case::new("log/coding-unknown", "POST", "/app").at("own-log.test").with("Transfer-Encoding: odd").logged());
    cases.push(
        Case::new("log/body-short", "POST", "/app").at("own-log.test").with("Content-Length: 20").unannounced(b"too short").shut().logged(),
    );
    cases
}

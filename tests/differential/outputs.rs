//! What is asked: `start_response`, and every kind of output, with httpd's modules around it.

use super::case::Case;

/// All of them.
pub(super) fn cases() -> Vec<Case> {
    let mut cases = starts();
    cases.extend(statuses());
    cases.extend(response_headers());
    cases.extend(bodies());
    cases.extend(files());
    cases.extend(around());
    cases
}

/// Calls of `start_response`: what they raise, and what the client gets if they do not.
const STARTS: [&str; 64] = [
    "",
    "'200 OK'",
    "'200 OK', [], None, None",
    "status='200 OK', headers=[]",
    "'200 OK', ()",
    "'200 OK', {}",
    "'200 OK', None",
    "'200 OK', type('L', (list,), {})()",
    "b'200 OK', []",
    "200, []",
    "None, []",
    "type('S', (str,), {})('200 OK'), []",
    "'200', []",
    "'200 ', []",
    "'200OK', []",
    "'2000 OK', []",
    "'20 OK', []",
    "'abc', []",
    "'', []",
    "' 200 OK', []",
    "'-20 OK', []",
    "'+20 OK', []",
    "'200\\tOK', []",
    "'200 OK\\n', []",
    "'200 O\\rK', []",
    "'200 O\\x00K', []",
    "'200 O\\x7fK', []",
    "'200 O\\tK', []",
    "'200 \\xe9t\\xe9', []",
    "'200 \\u20ac', []",
    "'200  OK ', []",
    "'099 Low', []",
    "'000 Zero', []",
    "'200 OK', [None]",
    "'200 OK', [['A', 'b']]",
    "'200 OK', [('A',)]",
    "'200 OK', [('A', 'b', 'c')]",
    "'200 OK', ['Ab']",
    "'200 OK', [('A', 1)]",
    "'200 OK', [(1, 'b')]",
    "'200 OK', [('A', None)]",
    "'200 OK', [(b'A', b'b')]",
    "'200 OK', [('', 'b')]",
    "'200 OK', [('A b', 'c')]",
    "'200 OK', [('A\\n', 'c')]",
    "'200 OK', [('A', 'b\\nc')]",
    "'200 OK', [('A', 'b\\r\\n c')]",
    "'200 OK', [('A', 'b\\x01c')]",
    "'200 OK', [('A', 'b\\tc')]",
    "'200 OK', [('A', 'b\\x7fc')]",
    "'200 OK', [('A', 'b\\x00c')]",
    "'200 OK', [('A\\x00', 'b')]",
    "'200 OK', [('A:', 'b')]",
    "'200 OK', [('\\xe9', 'b')]",
    "'200 OK', [('A', '\\xe9')]",
    "'200 OK', [('A', '\\u20ac')]",
    "'200 OK', [('\\u20ac', 'b')]",
    "'200 OK', [('A(b)', 'c')]",
    "'200 OK', [], ()",
    "'200 OK', [], []",
    "'200 OK', [], (None, None, None)",
    "'200 OK', [], 1",
    "'200 OK', [], (ValueError, ValueError('x'), None)",
    "'200 OK', [type('T', (tuple,), {})(('A', 'b'))]",
];

fn starts() -> Vec<Case> {
    let mut cases = Vec::new();
    for arguments in STARTS {
        let code = format!(
            "said = attempt(lambda: bool(start_response({arguments})))\nif said != 'True':\n    start_response('200 OK', [('X-Raised', 'yes')])\nresult = [said.encode()]"
        );
        cases.push(Case::code(&format!("start/{arguments}"), &code));
    }
    for (name, code) in [
        ("never", "result = [b'x']"),
        ("never-empty", "result = []"),
        (
            "twice",
            "start_response('200 OK', [('A', 'b')]); said = attempt(lambda: bool(start_response('201 No', [('C', 'd')]))); result = [said.encode()]",
        ),
        (
            "twice-exc-info",
            "start_response('200 OK', [('A', 'b')])\ntry:\n    1 / 0\nexcept Exception:\n    start_response('500 Failed', [('C', 'd')], sys.exc_info())\nresult = [b'x']",
        ),
        ("late", "def run():\n    start_response('200 OK', [('A', 'b')])\n    yield b'x'\nresult = run()"),
        ("later", "def run():\n    yield b''\n    start_response('200 OK', [('A', 'b')])\n    yield b'x'\nresult = run()"),
        ("too-late", "def run():\n    yield b'x'\n    start_response('200 OK', [])\nresult = run()"),
        (
            "after-output",
            "def run():\n    yield b'x'\n    yield attempt(lambda: start_response('201 No', [])).encode()\nstart_response('200 OK', []); result = run()",
        ),
        (
            "after-output-exc-info",
            "def run():\n    yield b'x'\n    try:\n        1 / 0\n    except Exception:\n        info = sys.exc_info()\n    yield attempt(lambda: start_response('500 No', [], info)).encode()\nstart_response('200 OK', []); result = run()",
        ),
        ("after-write", "w = start_response('200 OK', []); w(b'x'); result = [attempt(lambda: start_response('201 No', [])).encode()]"),
        ("headers-changed", "h = [('A', 'b')]; start_response('200 OK', h); h.append(('C', 'd')); result = [b'x']"),
        ("returns", "w = start_response('200 OK', []); result = [type(w).__name__.encode(), b' ', str(callable(w)).encode()]"),
        ("many-headers", "start_response('200 OK', [('X-%d' % n, 'v' * 50) for n in range(90)]); result = [b'x']"),
        ("long-header", "start_response('200 OK', [('X-Long', 'v' * 7000)]); result = [b'x']"),
        ("exc-info-not-tuple", "start_response('200 OK', []); result = [attempt(lambda: start_response('500 x', [], 'x')).encode()]"),
    ] {
        cases.push(Case::code(&format!("start/{name}"), code));
    }
    cases
}

fn statuses() -> Vec<Case> {
    let mut cases = Vec::new();
    for status in [
        "100 Continue",
        "101 Switching",
        "102 Processing",
        "103 Early",
        "200 OK",
        "200 Fine",
        "201 Created",
        "202 Accepted",
        "204 No Content",
        "205 Reset",
        "206 Partial",
        "207 Multi",
        "299 Odd",
        "300 Multiple",
        "301 Moved",
        "302 Found",
        "303 Other",
        "304 Not Modified",
        "307 Temporary",
        "308 Permanent",
        "400 Bad",
        "401 Unauthorized",
        "403 Forbidden",
        "404 Not Found",
        "404",
        "405 Method",
        "406 Not",
        "410 Gone",
        "412 Failed",
        "413 Large",
        "416 Range",
        "418 Teapot",
        "421 Misdirected",
        "422 Entity",
        "429 Many",
        "451 Legal",
        "499 Odd",
        "500 Error",
        "501 Not",
        "502 Gateway",
        "503 Unavailable",
        "504 Late",
        "505 Version",
        "511 Network",
        "599 Odd",
        "600 Odd",
        "999 Odd",
        "200 Error",
    ] {
        let code = format!("start_response('{status}', [('Content-Type', 'text/plain')]); result = [b'of the application']");
        cases.push(Case::code(&format!("status/{status}"), &code));
        cases.push(Case::new(&format!("status/{status}-head"), "HEAD", "/app").runs(&code));
        if !status.starts_with('2') {
            cases.push(Case::code(&format!("status/{status}-override"), &code).at("override.test"));
        }
        if status.starts_with(['1', '2', '3']) {
            let code = format!("start_response('{status}', []); result = []");
            cases.push(Case::code(&format!("status/{status}-empty"), &code));
            let code = format!("start_response('{status}', [('Content-Length', '3')]); result = [b'abc']");
            cases.push(Case::code(&format!("status/{status}-length"), &code));
        }
    }
    cases
}

/// Lists of headers, as Python writes them.
const LISTS: [&str; 58] = [
    "[('X-A', 'b')]",
    "[('X-A', '')]",
    "[('X-A', ' b ')]",
    "[('X-A', '  b')]",
    "[('X-A', 'b  ')]",
    "[('x-lower', 'b'), ('X-UPPER', 'c')]",
    "[('X-A', '1'), ('X-A', '2')]",
    "[('X-A', '1'), ('x-a', '2')]",
    "[('Set-Cookie', 'a=1'), ('Set-Cookie', 'b=2')]",
    "[('Set-Cookie', 'a=1'), ('Set-Cookie', 'a=1')]",
    "[('Vary', 'A'), ('Vary', 'B')]",
    "[('Link', '<a>'), ('Link', '<b>')]",
    "[('WWW-Authenticate', 'Basic realm=x')]",
    "[('WWW-Authenticate', 'Basic realm=x'), ('WWW-Authenticate', 'Digest realm=y')]",
    "[('Cache-Control', 'no-cache'), ('Cache-Control', 'no-store')]",
    "[('Content-Type', 'text/html')]",
    "[('Content-Type', 'TEXT/HTML; Charset=UTF-8')]",
    "[('Content-Type', 'text/html ')]",
    "[('Content-Type', '')]",
    "[('Content-Type', 'text/html'), ('Content-Type', 'text/plain')]",
    "[('Content-Type', 'garbage')]",
    "[('content-type', 'text/css')]",
    "[('Content-Length', '4')]",
    "[('Content-Length', '04')]",
    "[('Content-Length', ' 4 ')]",
    "[('Content-Length', '+4')]",
    "[('Content-Length', '-4')]",
    "[('Content-Length', 'four')]",
    "[('Content-Length', '')]",
    "[('Content-Length', '4'), ('Content-Length', '4')]",
    "[('Content-Length', '9'), ('Content-Length', '4')]",
    "[('Content-Length', '99999999999999999999')]",
    "[('Last-Modified', 'Sat, 01 Jan 2000 00:00:00 GMT')]",
    "[('Last-Modified', 'yesterday')]",
    "[('Last-Modified', 'Fri, 01 Jan 2100 00:00:00 GMT')]",
    "[('Last-Modified', 'Sat, 01 Jan 2000 00:00:00 GMT'), ('Last-Modified', 'Sun, 02 Jan 2000 00:00:00 GMT')]",
    "[('ETag', '\"x\"')]",
    "[('Date', 'Sat, 01 Jan 2000 00:00:00 GMT')]",
    "[('Server', 'mine')]",
    "[('Status', '404 Not Found')]",
    "[('Status', 'x')]",
    "[('Status', '201')]",
    "[('Location', '/elsewhere')]",
    "[('Location', 'http://example.com/')]",
    "[('Location', '/one'), ('Location', '/two')]",
    "[('Content-Range', 'bytes 0-3/10')]",
    "[('Content-Encoding', 'gzip')]",
    "[('Content-Language', 'de')]",
    "[('Content-Location', '/x')]",
    "[('Connection', 'close')]",
    "[('Connection', 'keep-alive')]",
    "[('Keep-Alive', 'timeout=99')]",
    "[('Upgrade', 'websocket')]",
    "[('Trailer', 'X')]",
    "[('Transfer-Encoding', 'identity')]",
    "[('Transfer-Encoding', 'chunked')]",
    "[('Accept-Ranges', 'bytes')]",
    "[('Expires', '0'), ('Pragma', 'no-cache')]",
];

fn response_headers() -> Vec<Case> {
    let mut cases = Vec::new();
    for list in LISTS {
        let code = format!("start_response('200 OK', {list}); result = [b'body']");
        cases.push(Case::code(&format!("response/{list}"), &code));
        cases.push(Case::new(&format!("response/{list}-head"), "HEAD", "/app").runs(&code));
        cases.push(Case::code(&format!("response/{list}-1.0"), &code).old());
    }
    for (name, status, list) in [
        ("302", "302 Found", "[('Location', '/elsewhere')]"),
        ("302-relative", "302 Found", "[('Location', 'else/where')]"),
        ("302-empty", "302 Found", "[('Location', '')]"),
        ("201", "201 Created", "[('Location', '/elsewhere')]"),
        ("200-app", "200 OK", "[('Location', '/app/inside?x=y')]"),
        ("200-missing", "200 OK", "[('Location', '/missing')]"),
        ("200-file", "200 OK", "[('Location', '/index.html')]"),
        ("200-double-slash", "200 OK", "[('Location', '//example.com/')]"),
        ("404", "404 Not Found", "[('Location', '/elsewhere')]"),
        ("401", "401 Unauthorized", "[('WWW-Authenticate', 'Basic realm=\"x\"'), ('X-Other', 'y')]"),
        ("405", "405 Not", "[('Allow', 'GET')]"),
    ] {
        let code = format!("start_response('{status}', {list}); result = [b'body']");
        cases.push(Case::code(&format!("location/{name}"), &code));
        cases.push(Case::code(&format!("location/{name}-override"), &code).at("override.test"));
        cases.push(Case::new(&format!("location/{name}-post"), "POST", "/app").runs(&code).body(b"some body"));
    }
    cases
}

/// Results of an application after `start_response('200 OK', [])`.
const RESULTS: [&str; 61] = [
    "[]",
    "[b'']",
    "[b'', b'']",
    "[b'a']",
    "[b'a', b'b']",
    "[b'', b'a', b'']",
    "(b'a',)",
    "iter([b'a'])",
    "(x for x in [b'a', b'b'])",
    "{b'a': 1}",
    "b'abc'",
    "'abc'",
    "['abc']",
    "[b'a', 'b']",
    "['a', b'b']",
    "[None]",
    "[b'a', None]",
    "[1]",
    "None",
    "5",
    "[bytearray(b'a')]",
    "[memoryview(b'a')]",
    "[type('B', (bytes,), {})(b'sub')]",
    "bytearray(b'ab')",
    "range(3)",
    "closing([b'a', b'b'])",
    "closing([])",
    "closing([ValueError('x')])",
    "closing([b'a', ValueError('x')])",
    "closing([b'a', StopIteration()])",
    "closing([b'a', SystemExit(1)])",
    "closing([b'a', 'x'])",
    "closing([SystemExit(1)])",
    "closing([KeyboardInterrupt()])",
    "closing([b'a', GeneratorExit()])",
    "[b'x' * 8000]",
    "[b'x' * 8192]",
    "[b'x' * 70000]",
    "[b'x' * 300000]",
    "[b'x' * 100] * 1000",
    "[b'x' * 2000000]",
    "[b'\\x00\\xff']",
    "type('C', (), {'__iter__': lambda s: iter([b'a']), 'close': 5})()",
    "type('C', (), {'__iter__': lambda s: iter([b'a']), 'close': lambda s: 1 / 0})()",
    "type('C', (), {'__iter__': lambda s: iter([]), 'close': lambda s: 1 / 0})()",
    "type('C', (), {'__iter__': lambda s: 1 / 0})()",
    "type('C', (), {'__iter__': lambda s: iter([b'a']), 'close': property(lambda s: 1 / 0)})()",
    "type('C', (), {'__iter__': lambda s: iter([b'a']), 'close': property(lambda s: s.nothing)})()",
    "type('C', (), {'__iter__': lambda s: s, '__next__': lambda s: 1 / 0, 'close': lambda s: print('closed')})()",
    "type('C', (), {'__getitem__': lambda s, i: [b'a', b'b'][i]})()",
    "type('C', (), {'__iter__': lambda s: iter([b'a']), '__len__': lambda s: 99})()",
    "io.BytesIO(b'line\\nline\\n')",
    "open(os.devnull, 'rb')",
    "(start_response, 1)",
    "environ['wsgi.file_wrapper'](io.BytesIO(b'x' * 20000))",
    "environ['wsgi.file_wrapper'](io.BytesIO(b''))",
    "environ['wsgi.file_wrapper'](io.StringIO('x'))",
    "environ['wsgi.file_wrapper'](5)",
    "environ['wsgi.file_wrapper']()",
    "[x for x in environ['wsgi.file_wrapper'](io.BytesIO(b'abcdef'), 4)]",
    "(x for x in environ['wsgi.file_wrapper'](io.BytesIO(b'abcdef'), 4))",
];

fn bodies() -> Vec<Case> {
    let mut cases = Vec::new();
    for result in RESULTS {
        let with = |list: &str| format!("start_response('200 OK', {list})\nresult = {result}");
        cases.push(Case::code(&format!("result/{result}"), &with("[]")));
        cases.push(Case::code(&format!("result/{result}-1.0"), &with("[]")).old());
        cases.push(Case::new(&format!("result/{result}-head"), "HEAD", "/app").runs(&with("[]")));
        cases.push(Case::code(&format!("result/{result}-length-1"), &with("[('Content-Length', '1')]")));
    }
    for (name, code) in [
        ("write", "w = start_response('200 OK', []); w(b'a'); w(b'b'); result = [b'c']"),
        ("write-empty", "w = start_response('200 OK', []); w(b''); result = []"),
        ("write-only", "w = start_response('200 OK', []); w(b'abc'); result = []"),
        ("write-str", "w = start_response('200 OK', []); result = [attempt(lambda: w('x')).encode()]"),
        ("write-bytearray", "w = start_response('200 OK', []); result = [attempt(lambda: w(bytearray(b'x'))).encode()]"),
        ("write-nothing", "w = start_response('200 OK', []); result = [attempt(lambda: w()).encode()]"),
        ("write-keyword", "w = start_response('200 OK', []); result = [attempt(lambda: w(data=b'x')).encode()]"),
        ("write-in-iteration", "w = start_response('200 OK', [])\ndef run():\n    yield b'1'\n    w(b'2')\n    yield b'3'\nresult = run()"),
        ("write-long", "w = start_response('200 OK', [('Content-Length', '3')]); w(b'abcdef'); result = [b'ghi']"),
        ("write-short", "w = start_response('200 OK', [('Content-Length', '30')]); w(b'abcdef'); result = []"),
        ("write-then-raise", "w = start_response('200 OK', []); w(b'abc'); 1 / 0"),
        ("start-then-raise", "start_response('201 Created', [('A', 'b')]); 1 / 0"),
        ("raise", "1 / 0"),
        ("raise-exit", "raise SystemExit('x')"),
        ("raise-interrupt", "raise KeyboardInterrupt"),
        ("raise-base", "raise BaseException('x')"),
        ("length-exact", "start_response('200 OK', [('Content-Length', '4')]); result = [b'ab', b'cd']"),
        ("length-short", "start_response('200 OK', [('Content-Length', '10')]); result = [b'ab', b'cd']"),
        ("length-long", "start_response('200 OK', [('Content-Length', '3')]); result = [b'ab', b'cd', b'ef']"),
        ("length-zero", "start_response('200 OK', [('Content-Length', '0')]); result = [b'ab']"),
        ("length-zero-empty", "start_response('200 OK', [('Content-Length', '0')]); result = []"),
        ("len-one", "start_response('200 OK', []); result = type('L', (list,), {})([b'abc'])"),
        ("call-with-write-none", "result = []; start_response('204 No Content', [])(b'')"),
        ("environ-changed", "environ.clear(); start_response('200 OK', []); result = [b'x']"),
        ("environ-type", "start_response('200 OK', []); result = [str(type(environ) is dict).encode()]"),
        (
            "errors",
            "e = environ['wsgi.errors']; e.write('x'); e.writelines(['a', 'b\\n']); e.flush(); start_response('200 OK', []); result = [repr((type(e).__name__, e.name, e.encoding, e.errors, e.line_buffering, e.isatty(), e.closed)).encode()]",
        ),
        (
            "module-names",
            "import mod_wsgi, apache; start_response('200 OK', []); result = [repr((mod_wsgi.version, sorted(n for n in dir(apache) if n[0] != '_'))).encode()]",
        ),
        (
            "mod-wsgi-names",
            "import mod_wsgi; start_response('200 OK', []); result = ['\\n'.join('%s %s' % (n, type(getattr(mod_wsgi, n)).__name__) for n in sorted(dir(mod_wsgi)) if n[0] != '_').encode()]",
        ),
        (
            "sys",
            "start_response('200 OK', []); result = [repr((sys.argv, type(sys.stdin).__name__, type(sys.stdout).__name__, type(sys.stderr).__name__, __name__ if '__name__' in globals() else None)).encode()]",
        ),
        ("stdin", "start_response('200 OK', []); result = [attempt(lambda: sys.stdin.read()).encode()]"),
    ] {
        cases.push(Case::code(&format!("output/{name}"), code));
        cases.push(Case::code(&format!("output/{name}-1.0"), code).old());
        cases.push(Case::code(&format!("output/{name}-documents"), code).at("documents.test"));
        cases.push(Case::new(&format!("output/{name}-head"), "HEAD", "/app").runs(code));
    }
    cases
}

fn files() -> Vec<Case> {
    let mut cases = Vec::new();
    let fixed: Vec<(&str, String)> = [
        ("whole", "d = b'x' * 100; f = regular(d)", "[]"),
        ("large", "f = regular(b'0123456789' * 20000)", "[]"),
        ("empty", "f = regular(b'')", "[]"),
        ("offset", "f = regular(b'0123456789', 4)", "[]"),
        ("offset-end", "f = regular(b'0123456789', 10)", "[]"),
        ("offset-behind", "f = regular(b'0123456789', 20)", "[]"),
        ("length", "f = regular(b'0123456789')", "[('Content-Length', '10')]"),
        ("length-short", "f = regular(b'0123456789')", "[('Content-Length', '4')]"),
        ("length-long", "f = regular(b'0123456789')", "[('Content-Length', '40')]"),
        ("length-offset", "f = regular(b'0123456789', 4)", "[('Content-Length', '3')]"),
        ("typed", "f = regular(b'0123456789')", "[('Content-Type', 'image/png'), ('Accept-Ranges', 'bytes')]"),
        ("etag", "f = regular(b'0123456789')", "[('ETag', '\"x\"')]"),
        ("etag-large", "f = regular(b'0123456789' * 20000)", "[('ETag', '\"x\"')]"),
    ]
    .into_iter()
    .map(|(name, file, list)| (name, format!("{file}\nstart_response('200 OK', {list})\nresult = environ['wsgi.file_wrapper'](f)")))
    .collect();
    for (name, code) in &fixed {
        cases.push(Case::code(&format!("file/{name}"), code));
        cases.push(Case::new(&format!("file/{name}-head"), "HEAD", "/app").runs(code));
        cases.push(Case::code(&format!("file/{name}-sendfile"), code).at("sendfile.test"));
        cases.push(Case::code(&format!("file/{name}-1.0"), code).old());
        for range in ["bytes=0-3", "bytes=-2", "bytes=5-", "bytes=50-60", "bytes=0-1,3-4", "lines=1"] {
            cases.push(Case::code(&format!("file/{name}-{range}"), code).with(&format!("Range: {range}")));
        }
        cases.push(Case::code(&format!("file/{name}-if-range"), code).with("Range: bytes=0-3").with("If-Range: \"x\""));
        cases.push(Case::code(&format!("file/{name}-if-range-other"), code).with("Range: bytes=0-3").with("If-Range: \"y\""));
    }
    for (name, code) in [
        ("generator", "f = regular(b'abc'); start_response('200 OK', []); result = (b for b in environ['wsgi.file_wrapper'](f))"),
        ("after-write", "f = regular(b'abc'); w = start_response('200 OK', []); w(b'head '); result = environ['wsgi.file_wrapper'](f)"),
        ("404", "f = regular(b'abc'); start_response('404 None', []); result = environ['wsgi.file_wrapper'](f)"),
        ("204", "f = regular(b'abc'); start_response('204 None', []); result = environ['wsgi.file_wrapper'](f)"),
        (
            "pipe",
            "r, w = os.pipe(); os.write(w, b'piped'); os.close(w); start_response('200 OK', []); result = environ['wsgi.file_wrapper'](os.fdopen(r, 'rb'))",
        ),
        ("text-file", "f = open(os.devnull); start_response('200 OK', []); result = environ['wsgi.file_wrapper'](f)"),
        ("closed-file", "f = regular(b'abc'); f.close(); start_response('200 OK', []); result = environ['wsgi.file_wrapper'](f)"),
        (
            "attributes",
            "f = regular(b'abc'); r = environ['wsgi.file_wrapper'](f, 2); start_response('200 OK', []); result = [repr((r.filelike is f, r.blksize, hasattr(r, 'close'), list(r))).encode()]",
        ),
        (
            "closed-twice",
            "f = regular(b'abc'); r = environ['wsgi.file_wrapper'](f); r.close(); r.close(); start_response('200 OK', []); result = [attempt(lambda: list(r)).encode()]",
        ),
        ("negative", "start_response('200 OK', []); result = [attempt(lambda: environ['wsgi.file_wrapper'](io.BytesIO(), -1)).encode()]"),
        (
            "str-items",
            "start_response('200 OK', []); result = [attempt(lambda: list(environ['wsgi.file_wrapper'](io.StringIO('x')))).encode()]",
        ),
        ("subclass", "W = type('W', (environ['wsgi.file_wrapper'],), {}); start_response('200 OK', []); result = W(regular(b'abc'))"),
        (
            "readonly",
            "r = environ['wsgi.file_wrapper'](io.BytesIO()); start_response('200 OK', []); result = [attempt(lambda: setattr(r, 'filelike', 1)).encode()]",
        ),
        ("never-started", "result = environ['wsgi.file_wrapper'](regular(b'abc'))"),
    ] {
        cases.push(Case::code(&format!("file/{name}"), code));
    }
    cases.extend(odd_files());
    cases
}

/// What a file wrapper is given instead of a plain file: `f` is to be wrapped.
fn odd_files() -> Vec<Case> {
    let mut cases = Vec::new();
    for (name, code) in [
        ("descriptor", "g = regular(b'0123456789', 3); f = g.fileno()"),
        ("descriptor-closed", "g = regular(b'0123456789'); f = g.fileno(); g.close()"),
        ("read-before", "f = regular(b'0123456789'); f.read(3)"),
        ("line-read-before", "f = regular(b'one\\ntwo\\nthree'); f.readline()"),
        ("unbuffered", "import tempfile; f = tempfile.TemporaryFile(buffering=0); f.write(b'0123456789'); f.seek(2)"),
        ("unflushed", "import tempfile; f = tempfile.TemporaryFile(); f.write(b'0123456789'); f.seek(0)"),
        ("unflushed-end", "import tempfile; f = tempfile.TemporaryFile(); f.write(b'0123456789')"),
        ("named", "import tempfile; f = tempfile.NamedTemporaryFile(); f.write(b'0123456789'); f.seek(1)"),
        ("spooled", "import tempfile; f = tempfile.SpooledTemporaryFile(100); f.write(b'0123456789'); f.seek(1)"),
        ("gzip", "import gzip; g = regular(gzip.compress(b'0123456789', mtime=0)); f = gzip.GzipFile(fileobj=g)"),
        ("mmap", "import mmap; g = regular(b'0123456789'); f = mmap.mmap(g.fileno(), 0)"),
        ("text", "import tempfile; f = tempfile.TemporaryFile('w+'); f.write('0123456789'); f.seek(2)"),
        ("text-large", "import tempfile; f = tempfile.TemporaryFile('w+'); f.write('0123456789' * 10000); f.seek(2)"),
        ("proc", "f = open('/proc/version', 'rb')"),
        ("device", "f = open('/dev/null', 'rb')"),
        ("folder", "f = os.open('/', os.O_RDONLY)"),
        ("write-only", "import tempfile; g = tempfile.NamedTemporaryFile(); f = open(g.name, 'wb'); f.write(b'x'); f.flush(); f.seek(0)"),
        ("no-fileno", "f = type('F', (), {'read': lambda s, n, l=[b'ab', b'']: l.pop(0)})()"),
        ("fileno-raises", "f = type('F', (), {'fileno': lambda s: 1 / 0, 'read': lambda s, n, l=[b'ab', b'']: l.pop(0)})()"),
        ("fileno-text", "f = type('F', (), {'fileno': lambda s: 'x', 'read': lambda s, n, l=[b'ab', b'']: l.pop(0)})()"),
        ("tell-raises", "g = regular(b'0123456789'); f = type('F', (), {'fileno': g.fileno, 'tell': lambda s: 1 / 0, 'read': g.read})()"),
        ("tell-text", "g = regular(b'0123456789'); f = type('F', (), {'fileno': g.fileno, 'tell': lambda s: 'x', 'read': g.read})()"),
        ("tell-none", "g = regular(b'0123456789'); f = type('F', (), {'fileno': g.fileno, 'read': g.read})()"),
        ("tell-true", "g = regular(b'0123456789'); f = type('F', (), {'fileno': g.fileno, 'tell': lambda s: True, 'read': g.read})()"),
        ("tell-other", "g = regular(b'0123456789'); f = type('F', (), {'fileno': g.fileno, 'tell': lambda s: 4, 'read': g.read})()"),
        (
            "close-raises",
            "g = regular(b'0123456789'); f = type('F', (), {'fileno': g.fileno, 'tell': g.tell, 'read': g.read, 'close': lambda s: 1 / 0})()",
        ),
        (
            "close-says",
            "g = regular(b'0123456789'); f = type('F', (), {'fileno': g.fileno, 'tell': g.tell, 'read': g.read, 'close': lambda s: print('closed')})()",
        ),
        ("read-raises", "f = type('F', (), {'read': lambda s, n, l=[b'ab']: l.pop(0)})()"),
        ("read-short", "f = type('F', (), {'read': lambda s, n, l=[b'ab', b'c', b'', b'd']: l.pop(0)})()"),
        ("read-none", "f = type('F', (), {'read': lambda s, n, l=[b'ab', None]: l.pop(0)})()"),
        ("no-read", "f = type('F', (), {})()"),
    ] {
        let with = |list: &str| format!("{code}\nstart_response('200 OK', {list})\nresult = environ['wsgi.file_wrapper'](f)");
        cases.push(Case::code(&format!("log/file-odd-{name}"), &with("[]")).at("own-log.test").logged());
        cases.push(Case::code(&format!("file/odd-{name}-length"), &with("[('Content-Length', '5')]")));
        cases.push(Case::code(
            &format!("file/odd-{name}-list"),
            &format!(
                "{code}\nstart_response('200 OK', [])\nresult = [attempt(lambda: b''.join(environ['wsgi.file_wrapper'](f, 4))).encode()]"
            ),
        ));
    }
    cases
}

fn around() -> Vec<Case> {
    let mut cases = Vec::new();
    for path in [
        "/none",
        "/denied",
        "/denied/x?y",
        "/pt/x",
        "/pt/x%20y?z",
        "/pt/",
        "/ptq/x?a=b",
        "/env/x",
        "/handler/x",
        "/moved",
        "/gone",
        "/old/x",
        "/index.html",
        "/none//x%20y?q=1",
    ] {
        cases.push(Case::get(&format!("around{path}"), path));
        cases.push(Case::new(&format!("around{path}-head"), "HEAD", path));
        cases.push(Case::new(&format!("around{path}-post"), "POST", path).body(b"some body"));
    }
    let text = "start_response('200 OK', [('Content-Type', 'text/plain')]); result = [b'compress me ' * 20]";
    for host in ["head-auto-deflate.test", "headers.test", "sendfile.test", "documents.test"] {
        for (name, code) in [
            ("text", text),
            (
                "length",
                "d = b'compress me ' * 20; start_response('200 OK', [('Content-Type', 'text/plain'), ('Content-Length', str(len(d)))]); result = [d]",
            ),
            (
                "etag",
                "start_response('200 OK', [('ETag', '\"x\"'), ('X-From-App', 'a'), ('X-Unwanted', 'b'), ('X-Set', 'c'), ('X-Edited', 'ab')]); result = [b'y' * 200]",
            ),
            ("gzipped", "start_response('200 OK', [('Content-Encoding', 'gzip')]); result = [b'y' * 200]"),
            ("error", "start_response('404 Not Found', [('X-From-App', 'a')]); result = [b'y' * 200]"),
            ("raise", "1 / 0"),
            ("cut", "start_response('200 OK', []); result = closing([b'y' * 200, ValueError('x')])"),
            ("304", "start_response('304 Not Modified', [('ETag', '\"x\"')]); result = []"),
            ("stream", "start_response('200 OK', []); result = [b'a', b'b' * 5000, b'c']"),
        ] {
            cases.push(Case::code(&format!("around/{host}-{name}"), code).at(host));
            cases.push(Case::code(&format!("around/{host}-{name}-gzip"), code).at(host).with("Accept-Encoding: gzip"));
        }
    }
    for (name, line) in [
        ("none-match", "If-None-Match: \"x\""),
        ("none-match-star", "If-None-Match: *"),
        ("match", "If-Match: \"y\""),
        ("modified", "If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"),
        ("unmodified", "If-Unmodified-Since: Sat, 01 Jan 2000 00:00:00 GMT"),
        ("range", "Range: bytes=0-1"),
    ] {
        let code = "start_response('200 OK', [('ETag', '\"x\"'), ('Last-Modified', 'Sat, 01 Jan 2005 00:00:00 GMT'), ('Content-Length', '4')]); result = [b'body']";
        cases.push(Case::code(&format!("around/conditional-{name}"), code).with(line));
        cases.push(Case::new(&format!("around/conditional-{name}-head"), "HEAD", "/app").runs(code).with(line));
        let code = "start_response('200 OK', [('ETag', '\"x\"')]); result = [b'bo', b'dy']";
        cases.push(Case::code(&format!("around/conditional-stream-{name}"), code).with(line));
    }
    cases
}

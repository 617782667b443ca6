//! What is asked: scripts of every kind, how they are loaded, what of them is left, and what may be called.

use super::case::Case;
use crate::harness::Builder;

/// An answer that shows what a script knows of itself.
const SHOWS: &str = "
import hashlib, os, sys
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    same = sys.modules.get(__name__)
    said = [
        __name__ == '_mod_wsgi_' + hashlib.md5(__file__.encode()).hexdigest(),
        same is not None and same.__dict__ is globals(),
        __file__, type(__mtime__).__name__, __mtime__ == os.stat(__file__).st_mtime_ns // 1000,
        sorted(name for name in globals() if name.startswith('__')), __doc__, __package__, type(__spec__).__name__, type(__loader__).__name__,
        application.__module__ == __name__, application.__code__.co_filename, os.path.dirname(__file__) in sys.path,
    ]
    return ['\\n'.join(map(ascii, said + own)).encode()]
own = []
";

/// Scripts: name and text.
fn scripts() -> Vec<(&'static str, String)> {
    let shown = |before: &str, after: &str| format!("{before}{SHOWS}{after}\n");
    let called =
        |what: &str| format!("def answer(environ, start_response):\n    start_response('200 OK', [])\n    return [b'called']\n{what}\n");
    vec![
        ("plain", shown("", "")),
        ("documented", shown("'''A script.'''", "")),
        ("main-guard", shown("", "if __name__ == '__main__':\n    own = ['as a program']")),
        ("coding-latin", shown("# -*- coding: latin-1 -*-", "own = [len('\u{e9}'), '\u{e9}']")),
        ("coding-second", shown("#!/usr/bin/python3\n# vim: set fileencoding=latin-1 :", "own = [len('\u{e9}')]")),
        ("coding-none", shown("", "own = [len('\u{e9}')]")),
        ("coding-unknown", shown("# -*- coding: martian -*-", "")),
        ("mark", shown("\u{feff}", "own = ['behind a byte order mark']")),
        ("returns", shown("", "own = ['''a\nb''']").replace('\n', "\r\n")),
        ("no-newline", shown("", "own = ['at the end']").trim_end().to_owned()),
        ("future", shown("from __future__ import annotations", "def f(x: nothing): pass\nown = [f.__annotations__]")),
        ("annotated", shown("", "try:\n    def f(x: nothing): pass\nexcept NameError as error:\n    own = [str(error)]")),
        ("imports-itself", shown("", "import sys\nown = [sys.modules[__name__].own]")),
        ("tabs", "if True:\n\tx = 1\n        y = 2\n".to_owned()),
        ("null", "x = 1\0\n".to_owned()),
        ("unclosed", "x = (1,\n".to_owned()),
        ("empty", String::new()),
        ("half", "half = 'loaded'\nimport no_such_module\n".to_owned()),
        ("deep", "def f(): f()\nf()\n".to_owned()),
        ("interrupted", "raise KeyboardInterrupt\n".to_owned()),
        ("left", "class Left(BaseException): __module__ = 'odd'\nraise Left('at import')\n".to_owned()),
        ("number", called("application = 5")),
        ("none", called("application = None")),
        ("lambda", called("application = lambda environ, start_response: answer(environ, start_response)")),
        ("partial", called("import functools\napplication = functools.partial(answer)")),
        ("method", called("class A:\n    def run(self, e, s):\n        return answer(e, s)\napplication = A().run")),
        ("instance", called("class A:\n    def __call__(self, e, s):\n        return answer(e, s)\napplication = A()")),
        (
            "class",
            called(
                "class application:\n    def __init__(self, e, s):\n        self.result = answer(e, s)\n    def __iter__(self):\n        return iter(self.result)",
            ),
        ),
        ("generator", called("def application(e, s):\n    yield from answer(e, s)")),
        ("coroutine", called("async def application(e, s):\n    return answer(e, s)")),
        ("one-argument", called("def application(e): return []")),
        ("three-arguments", called("def application(e, s, x): return []")),
        ("keywords", called("def application(*, environ, start_response): return []")),
        ("any-arguments", called("def application(*a, **k):\n    assert not k\n    return answer(*a)")),
        ("deleted", called("def application(e, s):\n    global application\n    del application\n    return answer(e, s)")),
        ("dynamic", called("def __getattr__(name):\n    if name == 'application': return answer\n    raise AttributeError(name)")),
        (
            "replaced",
            called(
                "import sys, types\nm = types.ModuleType('other'); m.application = answer\nsys.modules[__name__] = m\ndef application(e, s):\n    s('200 OK', [])\n    return [b'of the script']",
            ),
        ),
    ]
}

/// Adds the scripts to a server, below `apps/odd`.
pub(super) fn add(mut builder: Builder) -> Builder {
    for (name, text) in scripts() {
        builder = builder.file(&format!("apps/odd/{name}.wsgi"), &text);
    }
    builder.file("apps/odd/folder.wsgi/.keep", "")
}

/// All of them. Each is asked twice: a script that could not be loaded is tried again.
pub(super) fn cases() -> Vec<Case> {
    let names: Vec<&str> = scripts().iter().map(|(name, _)| *name).chain(["folder", "gone"]).collect();
    let mut cases = Vec::new();
    for name in names {
        for time in ["", "-again"] {
            let case = Case::get(&format!("log/odd-{name}{time}"), &format!("/odd/{name}/info?q"));
            cases.push(case.at("own-log.test").logged());
        }
    }
    // They live in the same interpreter: what could not be loaded has left nothing.
    let left = "start_response('200 OK', [])
found = [m for m in list(sys.modules.values()) if getattr(m, '__file__', None) and '/odd/' in str(m.__file__)]
result = ['\\n'.join(sorted('%s %s %s' % (os.path.basename(m.__file__), sys.modules.get(m.__name__) is m, hasattr(m, 'half')) for m in found)).encode()]";
    cases.push(Case::code("script/odd-ones-left", left));
    cases
}

//! Where our module answers otherwise than mod_wsgi, and why. `docs/answers.md` is made of this.

use crate::harness::Mode;

/// A reason for answers to differ.
pub(super) struct Known {
    /// Which cases: their names begin with one of these, or hold it where it begins with `*`.
    pub(super) cases: &'static [&'static str],
    /// In which mode only.
    pub(super) mode: Option<Mode>,
    /// Which lines: those that hold one of these; all if there is none.
    pub(super) lines: &'static [&'static str],
    /// Why.
    pub(super) reason: &'static str,
    /// What fails when ours no longer does as the reason says: the comparison itself is not part of `make test`.
    pub(super) test: &'static str,
}

/// All of them; the first that fits a line is its reason.
#[rustfmt::skip]
pub(super) const KNOWN: &[Known] = &[
    Known {
        cases: &[""],
        mode: None,
        lines: &["- transfer-encoding: chunked", "+ content-length:"],
        reason: "An answer that is complete before anything was sent has a Content-Length; mod_wsgi sends it in chunks.",
        test: "answers::a_complete_answer_has_a_length",
    },
    Known {
        cases: &["output/", "around/"],
        mode: Some(Mode::Daemon),
        lines: &["mod_wsgi.connection_id"],
        reason: "mod_wsgi.connection_id is there as soon as httpd has logged something of the connection, which mod_wsgi does later.",
        test: "answers::a_connection_has_a_number_once_something_of_it_is_logged",
    },
    Known {
        cases: &["output/", "around/", "status/", "location/", "response/[('Location'"],
        mode: None,
        lines: &["REDIRECT_mod_wsgi.", "REDIRECT_HTTPS"],
        reason: "mod_wsgi leaves its internals in the environ of an error document, as REDIRECT_mod_wsgi.*; ours leaves CGI's variables only.",
        test: "answers::an_error_document_sees_cgis_variables_only",
    },
    Known {
        cases: &["location/200", "response/[('Location', '/"],
        mode: Some(Mode::Daemon),
        lines: &["| REDIRECT_"],
        reason: "After an internal redirect (200 with a Location of this server) mod_wsgi shows the whole environ of the first request as REDIRECT_*; ours shows what httpd itself gives.",
        test: "answers::a_local_location_is_served_in_daemon_mode_only",
    },
    Known {
        cases: &["script/none", "log/script/none", "log/odd-empty", "log/odd-deleted"],
        mode: Some(Mode::Embedded),
        lines: &[],
        reason: "A callable that is missing is an error of the server, 500 in both modes; mod_wsgi says 404 in embedded mode.",
        test: "directives::a_callable_that_is_not_there_is_named",
    },
    Known {
        cases: &["*-bytes=", "*-if-range", "around/conditional-range", "around/conditional-stream-range", "*/answer-file-range", "*/answer-length-range"],
        mode: None,
        lines: &["- HTTP/1.1 200", "+ HTTP/1.1 206", "+ HTTP/1.1 416", "- HTTP/2 200", "+ HTTP/2 206", "content-", "| ", "etag", "accept-ranges"],
        reason: "A Range that asks for a part of a complete answer gets it, by httpd's own rules, in both modes. mod_wsgi has this for files in embedded mode only.",
        test: "answers::parts_are_served_in_both_modes",
    },
    Known {
        cases: &["file/length-long"],
        mode: None,
        lines: &[],
        reason: "A Content-Length beyond the file's end: the client sees the answer cut short; mod_wsgi sends what lies in memory behind the file, or breaks off without an answer.",
        test: "answers::no_more_than_a_file_holds_is_sent",
    },
    Known {
        cases: &["file/offset-behind", "log/file-odd-unflushed-end", "file/odd-unflushed-end-length"],
        mode: None,
        lines: &[],
        reason: "A file whose position is behind its end is an empty answer; mod_wsgi gives no answer, 502, or a negative length.",
        test: "answers::no_more_than_a_file_holds_is_sent",
    },
    Known {
        cases: &["head/head-auto-deflate", "head/head-off-deflate", "around/head-auto-deflate.test-304"],
        mode: None,
        lines: &["vary: Accept-Encoding", "content-encoding: gzip", "etag:"],
        reason: "mod_deflate leaves an answer of few octets, or one that ends at once, as it is when it sees that it is complete; mod_wsgi flushes before the end, so it is compressed and Vary is set.",
        test: "answers::what_is_compressed_is_complete_or_seen_to_be_cut",
    },
    Known {
        cases: &["around/head-auto-deflate.test-cut-gzip", "around/head-auto-deflate.test-stream-gzip"],
        mode: None,
        lines: &["\\u{1f}"],
        reason: "What mod_deflate makes of a stream depends on where it is flushed; ours flushes when there is nothing more to send at once. Cut short means that the last chunk is missing in either case.",
        test: "answers::what_is_compressed_is_complete_or_seen_to_be_cut",
    },
    Known {
        cases: &["line/long"],
        mode: None,
        lines: &[],
        reason: "What follows a script in a URL is the application's, also if it is longer than a file's name may be; httpd looks for such a file under mod_wsgi, and answers 404.",
        test: "answers::what_follows_the_script_may_be_long",
    },
    Known {
        cases: &["line/http-1.0-keep-alive"],
        mode: None,
        lines: &[],
        reason: "HTTP/1.0 with keep-alive keeps the connection, as the length of the answer is known.",
        test: "answers::http_1_0_keeps_the_connection_when_the_length_is_known",
    },
    Known {
        cases: &["*read(2**40)"],
        mode: None,
        lines: &[],
        reason: "read() with a size beyond memory reads what there is; mod_wsgi raises MemoryError before it reads.",
        test: "answers::a_size_beyond_memory_reads_what_there_is",
    },
    Known {
        cases: &["*read(2**70)", "start/status='200 OK', headers=[]", "output/write-keyword"],
        mode: None,
        lines: &["OverflowError", "takes no keyword arguments"],
        reason: "The text of the OverflowError or TypeError is that of another function of Python's.",
        test: "answers::a_size_beyond_memory_reads_what_there_is",
    },
    Known {
        cases: &["start/'200 ', []"],
        mode: None,
        lines: &[],
        reason: "A status with a blank and no reason gets httpd's reason, as one without the blank does.",
        test: "answers::headers_go_as_they_are_given_in_both_modes",
    },
    Known {
        cases: &["start/'099", "start/'000"],
        mode: None,
        lines: &[],
        reason: "Status codes below 100 are refused by start_response.",
        test: "answers::what_cannot_stand_in_a_response_is_a_500",
    },
    Known {
        cases: &["start/'200 O\\x00K'", "start/'200 OK', [('A', 'b\\x00c')]", "start/'200 OK', [('A\\x00', 'b')]", "start/'200 OK', [('A:'", "start/'200 OK', [('\\xe9'", "start/'200 OK', [('A(b)'"],
        mode: None,
        lines: &[],
        reason: "Header names that are no tokens, and NUL in a name, value or reason, are refused by start_response; mod_wsgi cuts at the NUL, or sends a broken answer.",
        test: "start_response::names_that_are_no_tokens_and_nuls_are_refused",
    },
    Known {
        cases: &["start/'200 OK', [('A', 'b\\x01c')]", "start/'200 OK', [('A', 'b\\x7fc')]"],
        mode: None,
        lines: &[],
        reason: "A control character in a header's value makes httpd answer 500; mod_wsgi's page is damaged.",
        test: "answers::what_cannot_stand_in_a_response_is_a_500",
    },
    Known {
        cases: &["start/twice"],
        mode: None,
        lines: &[],
        reason: "A second start_response without exc_info raises, as PEP 3333 says.",
        test: "start_response::a_second_call_needs_exc_info",
    },
    Known {
        cases: &["status/10"],
        mode: None,
        lines: &[],
        reason: "A status of 1xx is refused by start_response, and so a 500: it is no answer, and the client would wait for one. mod_wsgi sends it as if it were.",
        test: "start_response::an_interim_status_is_no_answer",
    },
    Known {
        cases: &["*-override"],
        mode: Some(Mode::Embedded),
        lines: &[],
        reason: "WSGIErrorOverride holds in embedded mode as well.",
        test: "answers::error_override_holds_in_both_modes",
    },
    Known {
        cases: &["response/[('Content-Length'"],
        mode: None,
        lines: &[],
        reason: "Blanks around a Content-Length are forgiven, a plus sign or an empty one is not; mod_wsgi has it the other way round.",
        test: "answers::what_cannot_stand_in_a_response_is_a_500",
    },
    Known {
        cases: &["response/[('Transfer-Encoding'"],
        mode: None,
        lines: &[],
        reason: "Transfer-Encoding is httpd's to say: the application's is dropped. mod_wsgi sends a body that no client can read.",
        test: "answers::what_cannot_stand_in_a_response_is_a_500",
    },
    Known {
        cases: &["*-length-1", "result/[b'a', 'b']-head", "result/[b'a', None]-head", "result/closing(", "output/write-then-raise-head", "file/odd-device-length"],
        mode: None,
        lines: &["- HTTP/1.1 200 OK", "+ HTTP/1.1 500", "+ content-type: text/html", "+ |", "- content-length: ", "- (cut short)"],
        reason: "A failure, or an empty body with a Content-Length above zero, is a 500 as long as the client has not been sent anything, which is so for HEAD; mod_wsgi says 200, with a length of zero in embedded mode.",
        test: "answers::a_failure_before_anything_is_sent_is_a_500",
    },
    Known {
        cases: &["result/", "output/", "around/", "file/odd-", "log/file-odd-"],
        mode: Some(Mode::Daemon),
        lines: &["+ (cut short)"],
        reason: "An exception or a bad item while iterating cuts the answer short visibly; mod_wsgi completes it in daemon mode.",
        test: "output::a_failure_after_the_head_is_seen_by_the_client",
    },
    Known {
        cases: &["*/answer-cut", "sub/index-cut", "log/raise-late"],
        mode: None,
        lines: &["(cut short)", "- (complete)", "- HTTP/2 200", "- | begun"],
        reason: "The same behind a proxy, and over TLS and HTTP/2, where the stream is reset; mod_wsgi completes it in HTTP/2 in both modes.",
        test: "streams::an_answer_that_is_cut_short_resets_its_stream",
    },
    Known {
        cases: &["sub/included-"],
        mode: None,
        lines: &["+ (cut short)"],
        reason: "A page that includes an answer which is cut short is cut short itself; mod_wsgi lets it look complete.",
        test: "answers::a_page_that_includes_an_application_is_cut_with_it",
    },
    Known {
        cases: &["sub/pages/"],
        mode: None,
        lines: &["SCRIPT_NAME", "mod_wsgi.script_name"],
        reason: "Of a URL that a page includes (SSI), SCRIPT_NAME and PATH_INFO make up the path as always; mod_wsgi gives the whole path as SCRIPT_NAME, and PATH_INFO once more.",
        test: "answers::a_page_that_includes_an_application_is_cut_with_it",
    },
    Known {
        cases: &["*/answer-close"],
        mode: Some(Mode::Daemon),
        lines: &["connection: "],
        reason: "A header of the application's stays apart from httpd's of the same name; mod_wsgi joins them in daemon mode.",
        test: "answers::headers_go_as_they_are_given_in_both_modes",
    },
    Known {
        cases: &["hasty/body-expected"],
        mode: Some(Mode::Daemon),
        lines: &[],
        reason: "A client that was told to continue and then is silent is an OSError to the application that reads; mod_wsgi answers 408 in daemon mode.",
        test: "answers::a_client_that_falls_silent_is_an_error_to_who_reads",
    },
    Known {
        cases: &["log/errors-nul"],
        mode: None,
        lines: &[],
        reason: "A NUL in what is logged is shown as \\x00; mod_wsgi loses what follows it.",
        test: "logging::odd_octets_are_shown_and_nothing_is_lost",
    },
    Known {
        cases: &["log/errors-bytes"],
        mode: None,
        lines: &[],
        reason: "Octets in the log that are no UTF-8 become the replacement character.",
        test: "logging::odd_octets_are_shown_and_nothing_is_lost",
    },
    Known {
        cases: &["log/errors-after-close"],
        mode: None,
        lines: &[],
        reason: "Closing wsgi.errors ends nothing, as with wsgi.input; in mod_wsgi print() raises from then on.",
        test: "logging::odd_octets_are_shown_and_nothing_is_lost",
    },
    Known {
        cases: &["log/"],
        mode: None,
        lines: &["Traceback (most recent call last):", "of a request:   File ", "of a request:     ", "[Previous line repeated"],
        reason: "The traceback of an uncaught exception is in the log whole; before Python 3.12 mod_wsgi logs its last line.",
        test: "output::the_whole_traceback_is_in_the_log",
    },
    Known {
        cases: &["log/odd-null", "script/odd-ones-left"],
        mode: None,
        lines: &["null.wsgi", "null bytes", "HTTP/1.1 ", "content-length", "| ", "WSGI0089", "WSGI0105"],
        reason: "A script with a NUL in it is no Python, as python3 says; mod_wsgi runs what stands before the NUL.",
        test: "directives::a_script_that_cannot_be_loaded_is_a_500_each_time",
    },
    Known {
        cases: &["log/file-odd-write-only", "file/odd-write-only-length"],
        mode: None,
        lines: &[],
        reason: "A file that cannot be read is a 500, with the exception of its read(); mod_wsgi gives no answer, or 502.",
        test: "files::a_file_that_cannot_be_read_is_a_failure",
    },
    Known {
        cases: &["log/file-odd-proc", "file/odd-proc"],
        mode: None,
        lines: &[],
        reason: "A file whose size the kernel does not tell, as those in /proc, is read; mod_wsgi takes it for empty.",
        test: "files::a_file_of_unknown_size_is_read",
    },
    Known {
        cases: &["log/file-odd-"],
        mode: None,
        lines: &["AttributeError"],
        reason: "A file without close() has nothing to be closed; mod_wsgi logs an AttributeError.",
        test: "files::a_file_without_close_is_not_closed",
    },
    Known {
        cases: &["log/close-cannot-be-found"],
        mode: None,
        lines: &["WSGI0174"],
        reason: "That close() cannot be looked up is told once, by WSGI0194, with its traceback.",
        test: "reference::a_close_that_cannot_be_looked_up_is_told",
    },
    Known {
        cases: &["proxy/proxies-list.test X-Forwarded-For: 1.2.3.4, 010.0.0.1"],
        mode: None,
        lines: &[],
        reason: "An address in X-Forwarded-For is one that is written in full; mod_wsgi also takes what the C library reads as one, as 10.1.",
        test: "around::a_proxy_is_believed_as_far_as_it_is_trusted",
    },
    Known {
        cases: &["log/odd-dynamic"],
        mode: None,
        lines: &[],
        reason: "A callable that the script makes when it is asked for (PEP 562) is there; mod_wsgi looks at what has a name already.",
        test: "directives::a_callable_may_be_made_when_it_is_asked_for",
    },
    Known {
        cases: &["log/script/exit"],
        mode: None,
        lines: &["WSGI0175"],
        reason: "A script that ends by SystemExit while it is loaded is told once, by WSGI0107.",
        test: "directives::a_script_that_cannot_be_loaded_is_a_500_each_time",
    },
    Known {
        cases: &["output/write-empty"],
        mode: Some(Mode::Embedded),
        lines: &["content-length: 0", "transfer-encoding"],
        reason: "Headers sent by write(b'') have no length yet: chunks follow, or the end of the connection.",
        test: "answers::a_complete_answer_has_a_length",
    },
    Known {
        cases: &["output/write-then-raise"],
        mode: Some(Mode::Embedded),
        lines: &[],
        reason: "What write() has sent before an exception arrives and is cut short; mod_wsgi appends httpd's error page in embedded mode.",
        test: "output::a_failure_after_the_head_is_seen_by_the_client",
    },
    Known {
        cases: &["body/short", "body/chunked-", "body/limit", "proxied/short", "log/body-short"],
        mode: Some(Mode::Daemon),
        lines: &[],
        reason: "A body that breaks off or is malformed is the client's mistake, 400; mod_wsgi says 500 in daemon mode.",
        test: "answers::a_malformed_body_is_the_clients_mistake",
    },
    Known {
        cases: &["body/chunked-"],
        mode: Some(Mode::Embedded),
        lines: &["| "],
        reason: "When httpd has answered a malformed body, nothing follows in the same answer; in embedded mode mod_wsgi adds what the application says.",
        test: "answers::a_malformed_body_is_the_clients_mistake",
    },
    Known {
        cases: &["tls-http2/body-no-length", "http2/body-no-length"],
        mode: Some(Mode::Daemon),
        lines: &["| body "],
        reason: "A body over HTTP/2 needs no length; mod_wsgi loses it in daemon mode.",
        test: "streams::streams_of_one_connection_run_side_by_side",
    },
    Known {
        cases: &["body/expect-unread"],
        mode: Some(Mode::Daemon),
        lines: &[],
        reason: "100 Continue is sent when the application reads; mod_wsgi sends it always in daemon mode.",
        test: "answers::continue_is_said_when_the_application_reads",
    },
    Known {
        cases: &["status/200 Error"],
        mode: Some(Mode::Daemon),
        lines: &[],
        reason: "The reason 'Error' is as good as any other; in daemon mode mod_wsgi takes it for a failure of its own.",
        test: "answers::headers_go_as_they_are_given_in_both_modes",
    },
    Known {
        cases: &["response/[('X-A', ' ", "response/[('Content-Type'", "response/[('Last-Modified'"],
        mode: Some(Mode::Daemon),
        lines: &[],
        reason: "Header values, Content-Type and Last-Modified are sent as given in both modes; mod_wsgi tidies and rewrites them in daemon mode.",
        test: "answers::headers_go_as_they_are_given_in_both_modes",
    },
    Known {
        cases: &["response/[('X-A', '1')", "response/[('Link'", "response/[('Cache-Control'", "response/[('Vary'"],
        mode: Some(Mode::Daemon),
        lines: &[],
        reason: "Repeated headers stay apart; mod_wsgi joins them in daemon mode.",
        test: "start_response::headers_are_sent_as_given",
    },
    Known {
        cases: &["response/[('Status'"],
        mode: Some(Mode::Daemon),
        lines: &[],
        reason: "A header named Status is a header; in daemon mode mod_wsgi takes it for the status.",
        test: "answers::headers_go_as_they_are_given_in_both_modes",
    },
    Known {
        cases: &["output/mod-wsgi-names"],
        mode: None,
        lines: &[],
        reason: "mod_wsgi.implementation is ours.",
        test: "module::every_name_event_and_key_is_there",
    },
];

/// The reason for one line that differs in a case.
pub(super) fn find(case: &str, mode: Mode, line: &str) -> Option<usize> {
    let fits = |pattern: &&str| pattern.strip_prefix('*').map_or_else(|| case.starts_with(pattern), |part| case.contains(part));
    KNOWN.iter().position(|known| {
        known.cases.iter().any(fits)
            && known.mode.is_none_or(|only| only == mode)
            && (known.lines.is_empty() || known.lines.iter().any(|part| line.contains(part)))
    })
}

/// The page of the documentation. What it says must not depend on which of several moments a test has met.
pub(super) fn page(cases: usize) -> String {
    let mut text = format!(
        "# Answers that differ from mod_wsgi's\n\n\
         `make differential` sends {cases} requests to mod_wsgi 6.1.1 and to this module, in embedded and in daemon mode, and compares\n\
         status, headers, body, environ and log. What differs, and why, is this; anything else that differs fails the test. The page is\n\
         written by the test from `tests/differential/differences.rs`; behind each reason stand the names of the requests, where a star\n\
         stands for anything.\n\n"
    );
    for known in KNOWN {
        let modes = match known.mode {
            None => "both modes",
            Some(Mode::Embedded) => "embedded mode",
            Some(Mode::Daemon) => "daemon mode",
        };
        let name = |pattern: &&str| format!("`{}*`", pattern.escape_debug().to_string().replace("\\'", "'").replace("\\\"", "\""));
        let names: Vec<String> = known.cases.iter().map(name).collect();
        text.push_str(&format!("* {} *{modes}* ({}; test `{}`)\n", known.reason, names.join(", "), known.test));
    }
    text
}

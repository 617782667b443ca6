//! The module `mod_wsgi`: nothing of what applications may use is missing.

use nix::sys::signal::Signal;

use crate::harness::{Httpd, Mode, Process};

/// Names and what they stand for, of what every application may use.
const NAMES: &str = "\
FileWrapper=class of object
LogHandler=class of Handler
RequestTimeout=class of BaseException
active_requests=dict
application_group=str
event_callbacks=list
maximum_processes=int
process_group=str
process_metrics=function
request_data=function
request_metrics=function
server_metrics=function
shutdown_callbacks=list
signal_callbacks=list
start_recording_metrics=function
subscribe_events=function
subscribe_shutdown=function
subscribe_signals=function
threads_per_process=int
version=tuple
";

const PAYLOADS: [(&str, &str); 4] = [
    (
        "request_started",
        "application_object application_start callable_object daemon_connects daemon_restarts daemon_start queue_start request_data \
         request_environ request_id request_start server_pid thread_id",
    ),
    ("response_started", "exception_info request_data request_id response_headers response_status"),
    (
        "request_finished",
        "application_finish application_time cpu_system_time cpu_time cpu_user_time daemon_start gil_wait_count gil_wait_time input_length \
         input_reads input_time output_length output_time output_writes queue_start request_data request_id request_start server_pid \
         status thread_id",
    ),
    ("request_exception", "exception_info request_data request_id"),
];

const PROCESS_METRICS: &str = "active_requests cpu_system_time cpu_time cpu_user_time current_time memory_max_rss memory_rss pid \
                               request_busy_time request_count request_threads restart_time running_time threads";

fn request_metrics() -> String {
    let single = "pid start_time stop_time sample_period cpu_user_time cpu_system_time cpu_time cpu_user_utilization cpu_system_utilization \
                  cpu_utilization memory_rss memory_max_rss request_threads_maximum request_threads_started request_threads_active \
                  capacity_utilization request_count request_throughput status_1xx status_2xx status_3xx status_4xx status_5xx \
                  input_bytes input_reads output_bytes output_writes gil_wait_count request_threads_buckets request_threads_completed \
                  request_threads_busy_time request_threads_cpu_time request_threads_current_elapsed request_threads_max_duration";
    let phases = [
        "server_time",
        "queue_time",
        "daemon_time",
        "application_time",
        "request_time",
        "gil_wait_time",
        "input_read_time",
        "output_write_time",
    ];
    let of_phase = |phase: &str| ["", "_min_us", "_max_us", "_buckets"].map(|ending| format!("{phase}{ending}"));
    let mut keys: Vec<String> = single.split_whitespace().map(str::to_owned).chain(phases.into_iter().flat_map(of_phase)).collect();
    keys.sort();
    keys.join(" ")
}

#[test]
fn every_name_event_and_key_is_there() {
    for mode in Mode::ALL {
        let builder = Httpd::new(mode).app("module.wsgi").expect_traceback("deliberately").allow_log("event process_");
        let mut httpd = builder.start();
        let ours = ["implementation=str\n"];
        let names = ours.iter().fold(httpd.get("/names").text(), |names, ours| names.replace(ours, ""));
        assert_eq!(names, NAMES, "{mode:?}");

        httpd.get("/fail");
        let payloads = httpd.get("/payloads");
        for (event, keys) in PAYLOADS {
            assert_eq!(payloads.facts().get(event), keys, "{mode:?} {event}");
        }
        let metrics = httpd.get("/metrics");
        let facts = metrics.facts();
        assert_eq!(facts.get("request"), request_metrics(), "{mode:?}");
        assert_eq!((facts.get("process"), facts.get("thread")), (PROCESS_METRICS, "request_count thread_id"), "{mode:?}");

        if mode == Mode::Daemon {
            let worker = httpd.get("/pid").text().parse().expect("a pid");
            Process::find(worker).expect("it runs").signal(Signal::SIGUSR2);
            httpd.log().wait_for("event process_signal: signame signum");
        }
        httpd.stop();
        httpd.log().wait_for("event process_stopping: shutdown_reason");
    }
}

#[test]
fn the_log_handler_keeps_level_context_and_source() {
    for mode in Mode::ALL {
        let builder = Httpd::new(mode).app("module.wsgi").log_level("warn wsgi:debug").allow_log("] at ").allow_log("event process_");
        let httpd = builder.config("ErrorLogFormat \"[%-m:%-l] at %F: [client %a] %M\"").start();
        httpd.get("/log");
        httpd.log().wait_for("second line");
        let expected = [
            ("[wsgi:crit]", "CRITICAL: of level 50"),
            ("[wsgi:error]", "ERROR: of level 40"),
            ("[wsgi:warn]", "WARNING: of level 30"),
            ("[wsgi:info]", "INFO: of level 20"),
            ("[wsgi:debug]", "DEBUG: of level 10"),
            ("[wsgi:warn]", "WARNING: first line"),
            ("[wsgi:warn]", "second line"),
        ];
        for (level, text) in expected {
            let line = httpd.log().wait_for(text);
            assert!(line.starts_with(level) && line.contains("[client 127.0.0.1:"), "{mode:?}: {line}");
            assert!(line.contains(" at module.wsgi("), "{mode:?}: {line}");
        }
    }
}

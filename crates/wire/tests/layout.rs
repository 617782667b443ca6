//! Layouts that cross a process have versions: a change of one is a change of the version, or files of two builds would misread each
//! other where they should refuse each other by name.

use wire::VERSION;
use wire::control::{self, FromWorker, StopReason, ToSupervisor, ToWorker, WorkerSettings};
use wire::head::{Body, RequestHead, ResponseHead};
use wire::host::TABLE_VERSION;
use wire::settings::Import;

/// Any octets that decode as a value, as often as its fields need them.
const ZEROS: [u8; 1024] = [0; 1024];

/// FNV-1a, 64 bits: enough to notice a change.
fn fingerprint(parts: &[Vec<u8>]) -> u64 {
    let step = |hash: u64, octet: &u8| (hash ^ u64::from(*octet)).wrapping_mul(0x100_0000_01b3);
    parts.iter().flat_map(|part| part.iter().chain(&[0xff])).fold(0xcbf2_9ce4_8422_2325, step)
}

/// The heads, as they go over frames and over the C table.
fn heads() -> u64 {
    let mut request = RequestHead::decode(&ZEROS).expect("zeros decode");
    (request.script, request.script_modified, request.body) = (b"/a.wsgi", 7, Body::OnDemand);
    let response = ResponseHead::decode(&ZEROS).expect("zeros decode");
    fingerprint(&[request.encode_onto(Vec::new()), response.encode_onto(Vec::new())])
}

/// One message of each kind.
fn messages() -> u64 {
    let zero = || {
        let mut octets = ZEROS;
        octets[0] = VERSION;
        octets
    };
    let settings = || -> WorkerSettings { control::decode(&zero()).expect("zeros decode") };
    let import = || Import { script: b"/a.wsgi".to_vec().into(), application_group: Vec::new().into() };
    let worker = [
        FromWorker::Ready,
        FromWorker::Failed("no".to_owned()),
        FromWorker::Loaded { import: import(), modified: 7, reloads: true },
        FromWorker::LoadFailed { script: import().script, modified: Some(7) },
        FromWorker::Template { pid: 4711 },
        FromWorker::NoTemplate("no".to_owned()),
        FromWorker::Forked { pid: 7 },
        FromWorker::Changed { script: import().script, modified: 7 },
        FromWorker::ReplaceMe(StopReason::MemoryLimit),
        FromWorker::Drained,
    ];
    let to_worker = [
        ToWorker::Configure(Box::new(settings())),
        ToWorker::Accept,
        ToWorker::Drain(StopReason::ScriptReload),
        ToWorker::Stop(StopReason::ScriptReload),
        ToWorker::Load { import: import(), must_succeed: true },
    ];
    let to_supervisor =
        [ToSupervisor::Configure(Box::new(settings().group)), ToSupervisor::Stop, ToSupervisor::Await, ToSupervisor::Retire];
    // Without the version, which is no part of what it is the version of.
    let octets = |encoded: Result<Vec<u8>, _>| -> Vec<u8> { encoded.map(|octets: Vec<u8>| octets[1..].to_vec()).unwrap_or_default() };
    let mut all: Vec<Vec<u8>> = worker.iter().map(|message| octets(control::encode(message))).collect();
    all.extend(to_worker.iter().map(|message| octets(control::encode(message))));
    all.extend(to_supervisor.iter().map(|message| octets(control::encode(message))));
    fingerprint(&all)
}

#[test]
fn a_change_of_a_layout_raises_the_version() {
    let raise = "a layout has changed: raise VERSION, for a head also TABLE_VERSION, and write down the new fingerprint here";
    assert_eq!((VERSION, messages()), (5, 3_682_453_728_869_150_761), "{raise}");
    assert_eq!((VERSION, TABLE_VERSION, heads()), (5, 4, 10_220_334_626_254_103_147), "{raise}");
}

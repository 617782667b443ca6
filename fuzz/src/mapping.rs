//! From a URL to a script and to the names of groups: aliases, the split into SCRIPT_NAME and PATH_INFO, templates, trusted proxies.

#![no_main]
#![allow(dead_code, reason = "of the files of the module some functions are used here")]

#[path = "../../src/config"]
mod config {
    pub(crate) mod alias;
    pub(crate) mod expand;
    pub(crate) mod proxies;
    pub(crate) mod value;
}
#[path = "../../src/paths.rs"]
mod paths;

use config::alias::{Alias, AliasOptions, Location, map};
use config::expand::{Facts, Template};
use config::proxies;
use config::value::Network;
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use std::borrow::Cow;
use std::sync::Arc;

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    aliases: Vec<&'a [u8]>,
    uri: &'a [u8],
    path_info: &'a [u8],
    name: &'a [u8],
    network: &'a str,
    /// Which headers are listed, by their number.
    listed: u16,
    environ: Vec<(u8, &'a [u8])>,
}

struct Told<'a>(&'a [u8]);

impl Facts for Told<'_> {
    fn server(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.0)
    }

    fn host(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.0)
    }

    fn script_name(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(self.0)
    }

    fn env(&self, name: &[u8]) -> Option<Cow<'_, [u8]>> {
        (!name.is_empty()).then_some(Cow::Borrowed(self.0))
    }
}

const KEYS: [&str; 16] = [
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_CLIENT_IP",
    "HTTP_X_REAL_IP",
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_HOST",
    "HTTP_X_FORWARDED_SERVER",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_SCRIPT_NAME",
    "HTTP_X_FORWARDED_SCRIPT_NAME",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_SCHEME",
    "HTTP_X_SCHEME",
    "HTTP_X_FORWARDED_HTTPS",
    "HTTP_X_FORWARDED_SSL",
    "HTTP_X_HTTPS",
    "REMOTE_ADDR",
];

fn collapsed(path: &[u8]) -> Vec<u8> {
    let mut short = path.to_vec();
    short.dedup_by(|right, left| *right == b'/' && *left == b'/');
    short
}

fuzz_target!(|input: Input<'_>| {
    let alias = |path: &&[u8]| Alias {
        location: Location::Path([b"/", *path].concat()),
        target: b"/srv/app.wsgi".to_vec(),
        options: Arc::new(AliasOptions::default()),
    };
    let aliases: Vec<Alias> = input.aliases.iter().map(alias).collect();
    if let Some(mapped) = map(&aliases, input.uri) {
        // The target, and the end of the URL.
        assert!(mapped.place < aliases.len() && mapped.target == b"/srv/app.wsgi");
        assert!(input.uri.ends_with(&mapped.rest), "{mapped:?} of {:?}", input.uri);
        assert!(input.uri.starts_with(b"/"), "{:?}", input.uri);
    }

    let (script, info) = paths::split_path(input.uri, input.path_info);
    assert!(!script.windows(2).any(|pair| pair == b"//") && info == collapsed(input.path_info));
    // Where the path info is the end of the URL, the two are the URL again.
    if let Some(front) = input.uri.strip_suffix(input.path_info).filter(|front| !front.ends_with(b"/"))
        && (input.path_info.is_empty() || input.path_info.starts_with(b"/"))
    {
        assert_eq!(script, collapsed(front));
    }

    for template in [Template::group(input.name), Template::child_script(input.name), Template::callable(input.name)] {
        let _whatever = (template.expand(&Told(input.uri)), template.expand_callable(&Told(input.uri)));
    }

    let network = Network::parse(input.network);
    let listed: Vec<String> =
        KEYS[..15].iter().enumerate().filter(|(at, _)| input.listed & (1 << at) != 0).map(|(_, key)| (*key).to_owned()).collect();
    let get = |name: &str| {
        let mut values = input.environ.iter().filter(|(key, _)| KEYS[usize::from(*key) % KEYS.len()] == name);
        values.next().map(|(_, value)| *value)
    };
    let changes = proxies::changes(&listed, network.as_ref().ok().map(std::slice::from_ref), get);
    // Only what is listed is spoken of, and nothing is believed of a stranger.
    assert!(!listed.is_empty() || (changes.set.is_empty() && changes.removed.is_empty()));
    let peer = get("REMOTE_ADDR").and_then(|text| std::str::from_utf8(text).ok()).and_then(|text| text.parse().ok());
    if let (Ok(network), None) = (&network, peer.filter(|peer| network.as_ref().is_ok_and(|network| network.contains(*peer)))) {
        assert!(changes.set.is_empty(), "{network:?} {changes:?}");
    }
});

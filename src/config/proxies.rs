//! What a trusted proxy says of a request (`WSGITrustedProxyHeaders`, `WSGITrustedProxies`), as changes to the environ.

use super::value::Network;
use std::net::IpAddr;

/// What headers can speak of. Those of one kind are synonyms: only one of them is believed, and the others are taken away.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Client,
    Host,
    ServerName,
    Port,
    ScriptName,
    Scheme,
}

/// Every header that is understood, as environ key.
const HEADERS: [(&str, Kind); 15] = [
    ("HTTP_X_FORWARDED_FOR", Kind::Client),
    ("HTTP_X_CLIENT_IP", Kind::Client),
    ("HTTP_X_REAL_IP", Kind::Client),
    ("HTTP_X_FORWARDED_HOST", Kind::Host),
    ("HTTP_X_HOST", Kind::Host),
    ("HTTP_X_FORWARDED_SERVER", Kind::ServerName),
    ("HTTP_X_FORWARDED_PORT", Kind::Port),
    ("HTTP_X_SCRIPT_NAME", Kind::ScriptName),
    ("HTTP_X_FORWARDED_SCRIPT_NAME", Kind::ScriptName),
    ("HTTP_X_FORWARDED_PROTO", Kind::Scheme),
    ("HTTP_X_FORWARDED_SCHEME", Kind::Scheme),
    ("HTTP_X_SCHEME", Kind::Scheme),
    ("HTTP_X_FORWARDED_HTTPS", Kind::Scheme),
    ("HTTP_X_FORWARDED_SSL", Kind::Scheme),
    ("HTTP_X_HTTPS", Kind::Scheme),
];

/// How the environ changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Changes {
    /// Keys that go.
    pub(crate) removed: Vec<&'static str>,
    /// Keys with their new values.
    pub(crate) set: Vec<(&'static str, Vec<u8>)>,
    /// What is said of the scheme.
    pub(crate) scheme: Scheme,
}

/// What a proxy says of the scheme.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// Nothing: it is that of the connection.
    #[default]
    Unsaid,
    /// `https`.
    Https,
    /// `http`.
    Http,
    /// Something that is neither: not that of the connection, which is with the proxy.
    Unknown,
}

/// The changes that the headers `listed` make to the environ `get`. With `proxies`, they are believed of these peers only.
pub(crate) fn changes<'e>(listed: &[String], proxies: Option<&[Network]>, get: impl Fn(&str) -> Option<&'e [u8]>) -> Changes {
    let mut changes = Changes::default();
    let peer = get("REMOTE_ADDR").unwrap_or_default();
    let believed = proxies.is_none_or(|proxies| is_one_of(proxies, peer));
    let known = || listed.iter().filter_map(|name| HEADERS.iter().find(|header| header.0 == name));
    for kind in [Kind::Client, Kind::Host, Kind::ServerName, Kind::Port, Kind::ScriptName, Kind::Scheme] {
        if !known().any(|header| header.1 == kind) {
            continue;
        }
        // Each in turn, so that the last one counts; where it says nothing that is understood, the one before it does.
        let mut last = None;
        for (name, _) in known().filter(|header| believed && header.1 == kind) {
            if let Some(value) = get(name) {
                changes.believe(kind, name, value, proxies);
                last = Some(*name);
            }
        }
        changes.removed.extend(HEADERS.iter().filter(|header| header.1 == kind && Some(header.0) != last).map(|header| header.0));
    }
    // A header that goes is not written anew for what it said.
    changes.set.retain(|(key, _)| !changes.removed.contains(key));
    changes
}

impl Changes {
    /// Takes over what one header says.
    fn believe(&mut self, kind: Kind, name: &'static str, value: &[u8], proxies: Option<&[Network]>) {
        let mut set = |key, value: &[u8]| {
            self.set.retain(|(known, _)| *known != key);
            self.set.push((key, value.to_vec()));
        };
        match kind {
            Kind::Client if name == "HTTP_X_FORWARDED_FOR" => {
                let elements: Vec<_> = value.split(|octet| *octet == b',').map(<[u8]>::trim_ascii).filter(|e| !e.is_empty()).collect();
                let Some(proxies) = proxies else {
                    return elements.first().into_iter().for_each(|first| set("REMOTE_ADDR", first));
                };
                // Each proxy has added its own peer at the end: as far as these are proxies of ours, they are believed.
                let client = elements.iter().rposition(|element| !is_one_of(proxies, element)).unwrap_or(0);
                if let Some(address) = elements.get(client) {
                    set("REMOTE_ADDR", address);
                    set("HTTP_X_FORWARDED_FOR", &elements[client..].join(&b", "[..]));
                }
            }
            Kind::Client => set("REMOTE_ADDR", value),
            Kind::Host => set("HTTP_HOST", value),
            Kind::ServerName => set("SERVER_NAME", value),
            Kind::Port => set("SERVER_PORT", value),
            Kind::ScriptName => {
                set("SCRIPT_NAME", value);
                set("mod_wsgi.mount_point", value);
            }
            Kind::Scheme => match scheme(name, value) {
                Scheme::Unknown if self.scheme != Scheme::Unsaid => {}
                said => self.scheme = said,
            },
        }
    }
}

fn scheme(name: &str, value: &[u8]) -> Scheme {
    let names_it = matches!(name, "HTTP_X_FORWARDED_PROTO" | "HTTP_X_FORWARDED_SCHEME" | "HTTP_X_SCHEME");
    match value.to_ascii_lowercase().as_slice() {
        b"https" if names_it => Scheme::Https,
        b"http" if names_it => Scheme::Http,
        b"on" | b"true" | b"1" if !names_it => Scheme::Https,
        b"off" | b"false" | b"0" if !names_it => Scheme::Http,
        _ => Scheme::Unknown,
    }
}

/// Whether the address belongs to a proxy. Only numbers are addresses: a name in a header is never looked up.
fn is_one_of(proxies: &[Network], address: &[u8]) -> bool {
    let address = std::str::from_utf8(address).ok().and_then(|address| address.parse::<IpAddr>().ok());
    address.is_some_and(|address| proxies.iter().any(|network| network.contains(address)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(listed: &[&str], proxies: &[&str], environ: &[(&str, &'static str)]) -> Changes {
        let listed: Vec<_> = listed.iter().map(|name| format!("HTTP_{}", name.to_uppercase().replace('-', "_"))).collect();
        let networks: Vec<_> = proxies.iter().map(|network| Network::parse(network).expect("a network")).collect();
        let get = |key: &str| environ.iter().find(|pair| pair.0 == key).map(|pair| pair.1.as_bytes());
        changes(&listed, (!proxies.is_empty()).then_some(&networks), get)
    }

    fn set(changes: &Changes, key: &str) -> Option<String> {
        changes.set.iter().find(|pair| pair.0 == key).map(|pair| String::from_utf8_lossy(&pair.1).into_owned())
    }

    #[test]
    fn nothing_listed_changes_nothing() {
        let environ = [("REMOTE_ADDR", "10.0.0.1"), ("HTTP_X_FORWARDED_FOR", "1.2.3.4")];
        assert_eq!(run(&[], &[], &environ), Changes::default());
        assert_eq!(run(&["X-Unknown"], &["10.0.0.1"], &environ), Changes::default());
    }

    #[test]
    fn each_kind_has_its_keys() {
        let environ = [
            ("REMOTE_ADDR", "10.0.0.1"),
            ("HTTP_X_REAL_IP", "1.2.3.4"),
            ("HTTP_X_HOST", "example.com"),
            ("HTTP_X_FORWARDED_SERVER", "front"),
            ("HTTP_X_FORWARDED_PORT", "8443"),
            ("HTTP_X_SCRIPT_NAME", "/mount"),
        ];
        let changes = run(&["X-Real-IP", "X-Host", "X-Forwarded-Server", "X-Forwarded-Port", "X-Script-Name"], &[], &environ);
        let expected = [
            ("REMOTE_ADDR", "1.2.3.4"),
            ("HTTP_HOST", "example.com"),
            ("SERVER_NAME", "front"),
            ("SERVER_PORT", "8443"),
            ("SCRIPT_NAME", "/mount"),
            ("mod_wsgi.mount_point", "/mount"),
        ];
        assert_eq!(changes.set, expected.map(|(key, value)| (key, value.as_bytes().to_vec())));
        assert_eq!(changes.removed, ["HTTP_X_FORWARDED_FOR", "HTTP_X_CLIENT_IP", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_SCRIPT_NAME"]);
        assert_eq!(changes.scheme, Scheme::Unsaid);
    }

    #[test]
    fn the_last_one_listed_that_is_there_wins() {
        let environ = [("REMOTE_ADDR", "10.0.0.1"), ("HTTP_X_REAL_IP", "1.1.1.1"), ("HTTP_X_FORWARDED_FOR", "2.2.2.2, 3.3.3.3")];
        let changes = run(&["X-Real-IP", "X-Forwarded-For", "X-Client-IP"], &[], &environ);
        assert_eq!(set(&changes, "REMOTE_ADDR").as_deref(), Some("2.2.2.2"));
        assert_eq!(set(&changes, "HTTP_X_FORWARDED_FOR"), None);
        assert_eq!(changes.removed, ["HTTP_X_CLIENT_IP", "HTTP_X_REAL_IP"]);
    }

    #[test]
    fn who_says_nothing_that_is_understood_leaves_the_word_to_the_one_before() {
        let environ = [("REMOTE_ADDR", "10.0.0.1"), ("HTTP_X_REAL_IP", "1.1.1.1"), ("HTTP_X_FORWARDED_FOR", " , ")];
        let changes = run(&["X-Real-IP", "X-Forwarded-For"], &[], &environ);
        assert_eq!(set(&changes, "REMOTE_ADDR").as_deref(), Some("1.1.1.1"));
        assert_eq!(changes.removed, ["HTTP_X_CLIENT_IP", "HTTP_X_REAL_IP"]);
        let environ = [("REMOTE_ADDR", "10.0.0.1"), ("HTTP_X_SCHEME", "https"), ("HTTP_X_FORWARDED_PROTO", "odd")];
        assert_eq!(run(&["X-Scheme", "X-Forwarded-Proto"], &[], &environ).scheme, Scheme::Https);
        assert_eq!(run(&["X-Forwarded-Proto", "X-Scheme"], &[], &environ).scheme, Scheme::Https);
    }

    #[test]
    fn a_chain_that_another_header_overrules_is_not_written_anew() {
        let environ = [("REMOTE_ADDR", "10.0.0.1"), ("HTTP_X_FORWARDED_FOR", "6.6.6.6, 1.1.1.1"), ("HTTP_X_REAL_IP", "2.2.2.2")];
        let changes = run(&["X-Forwarded-For", "X-Real-IP"], &["10.0.0.0/8"], &environ);
        assert_eq!(changes.set, [("REMOTE_ADDR", b"2.2.2.2".to_vec())]);
        assert!(changes.removed.contains(&"HTTP_X_FORWARDED_FOR"));
    }

    #[test]
    fn a_stranger_is_not_believed_and_its_headers_go() {
        let environ = [("REMOTE_ADDR", "8.8.8.8"), ("HTTP_X_FORWARDED_PROTO", "https"), ("HTTP_X_FORWARDED_PORT", "1")];
        let changes = run(&["X-Forwarded-Proto"], &["10.0.0.0/8"], &environ);
        assert_eq!((changes.scheme, changes.set.len()), (Scheme::Unsaid, 0));
        assert!(changes.removed.contains(&"HTTP_X_FORWARDED_PROTO") && changes.removed.contains(&"HTTP_X_HTTPS"));
        assert!(!changes.removed.contains(&"HTTP_X_FORWARDED_PORT"), "a kind of which none is listed is left alone");
    }

    #[test]
    fn a_chain_is_walked_from_its_end_as_far_as_it_is_trusted() {
        let client = |chain: &'static str| {
            let changes = run(&["X-Forwarded-For"], &["10.0.0.0/8"], &[("REMOTE_ADDR", "10.0.0.1"), ("HTTP_X_FORWARDED_FOR", chain)]);
            (set(&changes, "REMOTE_ADDR"), set(&changes, "HTTP_X_FORWARDED_FOR"))
        };
        let both = |address: &str, chain: &str| (Some(address.to_owned()), Some(chain.to_owned()));
        assert_eq!(client("6.6.6.6, 1.1.1.1,10.0.0.3 , 10.0.0.2"), both("1.1.1.1", "1.1.1.1, 10.0.0.3, 10.0.0.2"));
        assert_eq!(client("6.6.6.6, 1.1.1.1"), both("1.1.1.1", "1.1.1.1"));
        assert_eq!(client("10.0.0.9,, 10.0.0.8"), both("10.0.0.9", "10.0.0.9, 10.0.0.8"));
        assert_eq!(client("1.1.1.1, unknown, 10.0.0.2"), both("unknown", "unknown, 10.0.0.2"));
        assert_eq!(client(" , "), (None, None));
    }

    #[test]
    fn schemes_are_named_or_switched() {
        let said = |name: &str, value: &'static str| {
            let key: &str = &format!("HTTP_{}", name.to_uppercase().replace('-', "_"));
            run(&[name], &[], &[("REMOTE_ADDR", "::1"), (key, value)]).scheme
        };
        assert_eq!([said("X-Forwarded-Proto", "HTTPS"), said("X-Scheme", "http")], [Scheme::Https, Scheme::Http]);
        assert_eq!([said("X-Forwarded-SSL", "On"), said("X-HTTPS", "0")], [Scheme::Https, Scheme::Http]);
        assert_eq!([said("X-Forwarded-Proto", "on"), said("X-HTTPS", "https")], [Scheme::Unknown, Scheme::Unknown]);
    }
}

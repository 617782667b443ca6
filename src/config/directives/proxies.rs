//! Which proxies are believed, and in which headers.

use super::{Apply, Context, Definition, DirectiveError, Effect, Site};
use crate::config::options::{DirOptions, Mentions};
use crate::config::value::{Arguments, Network, text};

pub(super) const TRUSTED_PROXY_HEADERS: Definition = Definition {
    name: c"WSGITrustedProxyHeaders",
    context: Context::FileInfo,
    help: c"The request headers in which a trusted proxy says what the client asked for.",
    effect: Effect::Works,
    apply: Apply::Directory(headers),
};

pub(super) const TRUSTED_PROXIES: Definition = Definition {
    name: c"WSGITrustedProxies",
    context: Context::FileInfo,
    help: c"The addresses and networks of proxies that are believed.",
    effect: Effect::Works,
    apply: Apply::Directory(proxies),
};

/// A list in one context grows line by line; a list in an inner context replaces it.
fn headers(site: &Site<'_>, raw: &[u8], options: &mut DirOptions, _: &mut Mentions) -> Result<(), DirectiveError> {
    let names = words(site, raw, "one or more arguments, names of headers such as X-Forwarded-For")?;
    for name in &names {
        if name.is_empty() || !name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-') {
            let detail = format!("'{name}' is no name of a header: it may have letters, digits and - only");
            return Err(site.error("Invalid trusted proxy header.", detail));
        }
    }
    let keys = names.iter().map(|name| format!("HTTP_{}", name.to_ascii_uppercase().replace('-', "_")));
    options.trusted_proxy_headers.get_or_insert_default().extend(keys);
    Ok(())
}

fn proxies(site: &Site<'_>, raw: &[u8], options: &mut DirOptions, _: &mut Mentions) -> Result<(), DirectiveError> {
    let words = words(site, raw, "one or more arguments, addresses or networks such as 10.0.0.0/8")?;
    let networks = words.iter().map(|word| {
        Network::parse(word).map_err(|error| site.error(format!("Unable to parse trusted proxy IP address/subnet of \"{word}\"."), error))
    });
    let networks = networks.collect::<Result<Vec<_>, _>>()?;
    options.trusted_proxies.get_or_insert_default().extend(networks);
    Ok(())
}

fn words(site: &Site<'_>, raw: &[u8], takes: &'static str) -> Result<Vec<String>, DirectiveError> {
    let mut arguments = Arguments::new(raw);
    let words: Vec<_> = std::iter::from_fn(|| arguments.word()).map(|word| text(&word).into_owned()).collect();
    if words.is_empty() { Err(site.takes(takes)) } else { Ok(words) }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Reader;
    use super::*;

    #[test]
    fn headers_are_kept_as_environ_keys_and_add_up() {
        let mut reader = Reader::new();
        reader.read("WSGITrustedProxyHeaders X-Forwarded-For x-real-ip").read("WSGITrustedProxyHeaders X-Unknown");
        let keys = reader.directory.trusted_proxy_headers.clone().expect("set");
        assert_eq!(keys, ["HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_X_UNKNOWN"]);
    }

    #[test]
    fn proxies_are_networks_and_add_up() {
        let mut reader = Reader::new();
        reader.read("WSGITrustedProxies 127.0.0.1 10.0.0.0/8").read("WSGITrustedProxies ::1");
        let networks = reader.directory.trusted_proxies.clone().expect("set");
        assert_eq!(networks.len(), 3);
        assert!(networks.iter().any(|network| network.contains("10.200.0.1".parse().expect("an address"))));
    }

    #[test]
    fn nonsense_is_refused() {
        let mut reader = Reader::new();
        let refused = [
            ("WSGITrustedProxyHeaders X_Bad", "Invalid trusted proxy header. WSGITrustedProxyHeaders: 'X_Bad' is no name of a header"),
            ("WSGITrustedProxyHeaders ''", "Invalid trusted proxy header."),
            ("WSGITrustedProxyHeaders", "WSGITrustedProxyHeaders takes one or more arguments"),
            (
                "WSGITrustedProxies 10.0.0.1 proxy.example.com",
                "Unable to parse trusted proxy IP address/subnet of \"proxy.example.com\". WSGITrustedProxies: 'proxy.example.com' is no IP",
            ),
            ("WSGITrustedProxies 10.0.0.0/33", "Unable to parse trusted proxy IP address/subnet of \"10.0.0.0/33\"."),
            ("WSGITrustedProxies", "WSGITrustedProxies takes one or more arguments"),
        ];
        for (line, text) in refused {
            let error = reader.error(line);
            assert!(error.starts_with(text), "{line}: {error}");
        }
        assert_eq!(reader.directory, DirOptions::default());
    }
}

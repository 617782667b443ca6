//! Properties of the grammars and of the mapping of paths, tried with many values against what they mean, written plainly.

use std::borrow::Cow;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;

use crate::config::alias::{Alias, AliasOptions, Location, Mapped, map};
use crate::config::expand::{Facts, Template};
use crate::config::proxies;
use crate::config::value::Network;
use crate::environ::header;
use crate::paths::split_path;

/// Paths with many slashes and few letters, so that they meet.
fn path() -> impl Strategy<Value = Vec<u8>> {
    "/[/ab]{0,8}".prop_map(String::into_bytes)
}

fn collapsed(path: &[u8]) -> Vec<u8> {
    let mut short = path.to_vec();
    short.dedup_by(|right, left| *right == b'/' && *left == b'/');
    short
}

fn alias(path: &[u8]) -> Alias {
    let options = Arc::new(AliasOptions::default());
    Alias { location: Location::Path(path.to_vec()), target: b"/srv/x.wsgi".to_vec(), options }
}

struct NoFacts;

impl Facts for NoFacts {
    fn server(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(b"server")
    }

    fn host(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(b"host")
    }

    fn script_name(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(b"/script")
    }

    fn env(&self, _name: &[u8]) -> Option<Cow<'_, [u8]>> {
        None
    }
}

proptest! {
    #[test]
    fn an_alias_covers_whole_segments(path in path(), uri in path()) {
        let (short, asked) = (collapsed(&path), collapsed(&uri));
        let meant = if short.ends_with(b"/") { asked.starts_with(&short) } else { asked == short || asked.starts_with(&[&short[..], b"/"].concat()) };
        let aliases = [alias(&path)];
        let found = map(&aliases, &uri).map(|Mapped { target, rest, .. }| [target, rest].concat());
        prop_assert_eq!(found.is_some(), meant);
        prop_assert!(found.is_none_or(|file| file.strip_prefix(b"/srv/x.wsgi").is_some_and(|rest| uri.ends_with(rest))));
    }

    #[test]
    fn script_name_and_path_info_are_the_url(script in "(/[ab]{1,3}){0,3}", info in "(/{1,3}[ab]{0,3}){0,3}", doubled: bool) {
        let script = if doubled { script.replace('/', "//") } else { script };
        let uri = format!("{script}{info}");
        let (name, rest) = split_path(uri.as_bytes(), info.as_bytes());
        prop_assert_eq!((name.into_owned(), rest), (collapsed(script.as_bytes()), collapsed(info.as_bytes())));
    }

    #[test]
    fn any_path_can_be_split(uri in vec(any::<u8>(), 0..30), info in vec(any::<u8>(), 0..30)) {
        let (name, rest) = split_path(&uri, &info);
        prop_assert!(name.len() <= uri.len() && rest.len() <= info.len() && !name.windows(2).any(|pair| pair == b"//"));
    }

    #[test]
    fn any_group_name_can_be_expanded(name in prop_oneof![vec(any::<u8>(), 0..30).boxed(), "(%|\\{|\\}|ENV:|GLOBAL|HOST|RESOURCE|x){0,9}".prop_map(String::into_bytes).boxed()]) {
        let _whatever = (Template::group(&name).expand(&NoFacts), Template::callable(&name).expand_callable(&NoFacts));
    }

    #[test]
    fn a_network_contains_its_own_address(text in prop_oneof!["\\PC{0,20}", "[0-9]{1,3}(\\.[0-9]{1,3}){0,3}(/[0-9]{1,2})?", "[0-9a-f:]{2,12}(/[0-9]{1,3})?"]) {
        if let (Ok(network), Ok(address)) = (Network::parse(&text), text.split('/').next().unwrap_or("").parse()) {
            prop_assert!(network.contains(address), "{}", text);
        }
    }

    #[test]
    fn no_header_poses_as_another(one in "[aA1_-]{1,4}|Content-(Type|Length)|[!-~]{1,9}", other in "[aA1_-]{1,4}|content_(type|length)|[!-~]{1,9}") {
        let (key, its) = (header::key(one.as_bytes()), header::key(other.as_bytes()));
        prop_assert!(key.starts_with(b"HTTP_") != matches!(&*key, b"CONTENT_TYPE" | b"CONTENT_LENGTH"));
        if header::is_plain(one.as_bytes()) {
            prop_assert!(key.iter().all(|octet| octet.is_ascii_uppercase() || octet.is_ascii_digit() || *octet == b'_'));
        }
        if header::is_plain(one.as_bytes()) && header::is_plain(other.as_bytes()) {
            prop_assert_eq!(key == its, one.eq_ignore_ascii_case(&other));
        }
    }

    #[test]
    fn a_stranger_changes_nothing(value in vec(any::<u8>(), 0..40), chain in "[0-9., :a-f]{0,40}") {
        let listed = ["HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_SCRIPT_NAME", "HTTP_X_FORWARDED_HOST"].map(str::to_owned);
        let ask = |peer: &'static [u8], trusted: &[Network]| {
            proxies::changes(&listed, Some(trusted), |name| match name {
                "REMOTE_ADDR" => Some(peer),
                "HTTP_X_FORWARDED_FOR" => Some(chain.as_bytes()),
                _ => Some(&value),
            })
        };
        let trusted = [Network::parse("10.0.0.0/8").expect("a network")];
        prop_assert!(ask(b"192.0.2.1", &trusted).set.is_empty());
        let _whatever = ask(b"10.0.0.1", &trusted);
    }
}

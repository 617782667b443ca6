//! Script aliases: which file a URL means.
//!
//! Compared as mod_alias does, segment by segment; the first alias that matches wins, there is no longest prefix.

use super::expand::Template;
use std::ops::Range;
use std::sync::Arc;

/// A regular expression that httpd has compiled.
pub(crate) trait Pattern: std::fmt::Debug + Send + Sync {
    /// Where it matches `text` first: the whole, then the groups `$1` to `$9`.
    fn find(&self, text: &[u8]) -> Option<[Option<Range<usize>>; 10]>;
}

/// What a URL is compared with.
#[derive(Clone, Debug)]
pub(crate) enum Location {
    /// `WSGIScriptAlias`: a path.
    Path(Vec<u8>),
    /// `WSGIScriptAliasMatch`: a regular expression.
    Pattern(Arc<dyn Pattern>),
}

/// The options of a script alias, which win over the directives of every context.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct AliasOptions {
    /// `process-group=`.
    pub(crate) process_group: Option<Template>,
    /// `application-group=`.
    pub(crate) application_group: Option<Template>,
    /// `callable-object=`, literally.
    pub(crate) callable_object: Option<Vec<u8>>,
    /// `pass-authorization=`.
    pub(crate) pass_authorization: Option<bool>,
}

/// `WSGIScriptAlias` or `WSGIScriptAliasMatch`.
#[derive(Clone, Debug)]
pub(crate) struct Alias {
    /// What a URL is compared with.
    pub(crate) location: Location,
    /// The script, or a directory of scripts; with a pattern, `$0` to `$9` in it are replaced.
    pub(crate) target: Vec<u8>,
    /// Its options; shared, as merged servers hold the same alias.
    pub(crate) options: Arc<AliasOptions>,
}

/// What a URL means by the first alias that matches.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Mapped {
    /// The alias's target.
    pub(crate) target: Vec<u8>,
    /// What of the URL follows it.
    pub(crate) rest: Vec<u8>,
    /// The place of the alias.
    pub(crate) place: usize,
}

/// What `uri` means by the first alias that matches.
pub(crate) fn map(aliases: &[Alias], uri: &[u8]) -> Option<Mapped> {
    if !uri.is_empty() && uri[0] != b'/' {
        return None;
    }
    let mut found = aliases.iter().enumerate();
    found.find_map(|(place, alias)| alias.file(uri).map(|(target, rest)| Mapped { target, rest: rest.to_vec(), place }))
}

impl Alias {
    /// What all files begin with that it leads to: the target, up to what of the URL goes into it.
    pub(crate) fn fixed(&self) -> &[u8] {
        let replaced = |pair: &[u8]| pair[0] == b'$' && pair[1].is_ascii_digit();
        match self.location {
            Location::Path(_) => &self.target,
            Location::Pattern(_) => &self.target[..self.target.windows(2).position(replaced).unwrap_or(self.target.len())],
        }
    }

    /// The target that `uri` means, if the alias matches, and what follows it.
    fn file<'u>(&self, uri: &'u [u8]) -> Option<(Vec<u8>, &'u [u8])> {
        match &self.location {
            // The whole URL follows the target: its leading slash separates the two.
            Location::Path(path) if path == b"/" => uri.starts_with(b"/").then(|| (self.target.clone(), uri)),
            Location::Path(path) => matched(path, uri).map(|length| (self.target.clone(), &uri[length..])),
            Location::Pattern(pattern) => {
                let groups = pattern.find(uri)?;
                let end = groups[0].as_ref()?.end;
                Some((substitute(&self.target, uri, &groups), &uri[end..]))
            }
        }
    }
}

/// How much of `uri` the alias `path` covers: each run of slashes in it stands for one or more, and it ends where a segment ends.
fn matched(path: &[u8], uri: &[u8]) -> Option<usize> {
    let slashes = |octets: &[u8]| octets.iter().take_while(|octet| **octet == b'/').count();
    let (mut alias, mut at) = (path, 0);
    while let Some((&octet, after)) = alias.split_first() {
        if octet == b'/' {
            let run = slashes(&uri[at..]);
            if run == 0 {
                return None;
            }
            at += run;
            alias = &alias[slashes(alias)..];
        } else {
            if uri.get(at) != Some(&octet) {
                return None;
            }
            at += 1;
            alias = after;
        }
    }
    (path.ends_with(b"/") || matches!(uri.get(at), None | Some(b'/'))).then_some(at)
}

/// The target with `$0` to `$9` replaced; a backslash keeps what follows it, as `ap_pregsub` has it.
fn substitute(target: &[u8], uri: &[u8], groups: &[Option<Range<usize>>; 10]) -> Vec<u8> {
    let mut file = Vec::with_capacity(target.len() + uri.len());
    let group = |number: usize| groups[number].clone().map_or(&uri[..0], |range| &uri[range]);
    let mut octets = target.iter().copied().peekable();
    while let Some(octet) = octets.next() {
        match (octet, octets.peek().copied()) {
            (b'$', Some(digit @ b'0'..=b'9')) => {
                file.extend_from_slice(group(usize::from(digit - b'0')));
                octets.next();
            }
            (b'\\', Some(kept)) => {
                file.push(kept);
                octets.next();
            }
            _ => file.push(octet),
        }
    }
    file
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::value::text;

    fn alias(location: &str, target: &str) -> Alias {
        Alias { location: Location::Path(location.into()), target: target.into(), options: Arc::default() }
    }

    fn file(aliases: &[Alias], uri: &str) -> Option<String> {
        map(aliases, uri.as_bytes()).map(|Mapped { target, rest, .. }| text(&[target, rest].concat()).into_owned())
    }

    #[test]
    fn an_alias_ends_where_a_segment_ends() {
        let aliases = [alias("/app", "/srv/app.wsgi")];
        assert_eq!(file(&aliases, "/app").as_deref(), Some("/srv/app.wsgi"));
        assert_eq!(file(&aliases, "/app/").as_deref(), Some("/srv/app.wsgi/"));
        assert_eq!(file(&aliases, "/app/x/y").as_deref(), Some("/srv/app.wsgi/x/y"));
        for other in ["/apple", "/ap", "/", "", "/App", "/x/app"] {
            assert_eq!(file(&aliases, other), None, "{other}");
        }
    }

    #[test]
    fn a_run_of_slashes_is_one() {
        let aliases = [alias("/a//b", "/srv/b.wsgi")];
        assert_eq!(file(&aliases, "/a/b/c").as_deref(), Some("/srv/b.wsgi/c"));
        assert_eq!(file(&aliases, "///a////b//c").as_deref(), Some("/srv/b.wsgi//c"));
        assert_eq!(file(&aliases, "/ab"), None);
    }

    #[test]
    fn an_alias_with_a_slash_at_its_end_wants_one() {
        let aliases = [alias("/app/", "/srv/app/")];
        assert_eq!(file(&aliases, "/app/x").as_deref(), Some("/srv/app/x"));
        assert_eq!(file(&aliases, "/app//x").as_deref(), Some("/srv/app/x"));
        assert_eq!(file(&aliases, "/app"), None);
    }

    #[test]
    fn the_root_keeps_the_whole_url() {
        let aliases = [alias("/", "/srv/app.wsgi")];
        assert_eq!(file(&aliases, "/x/y").as_deref(), Some("/srv/app.wsgi/x/y"));
        assert_eq!(file(&aliases, "//x").as_deref(), Some("/srv/app.wsgi//x"));
        assert_eq!(file(&aliases, "/").as_deref(), Some("/srv/app.wsgi/"));
    }

    #[test]
    fn what_is_no_path_is_declined() {
        let aliases = [alias("/", "/srv/app.wsgi")];
        assert_eq!(file(&aliases, "*"), None);
        assert_eq!(file(&aliases, "http://x/"), None);
    }

    #[test]
    fn the_first_alias_wins_however_long_others_are() {
        let aliases = [alias("/a", "/srv/one"), alias("/a/b", "/srv/two")];
        assert_eq!(file(&aliases, "/a/b").as_deref(), Some("/srv/one/b"));
    }

    /// Matches `/NAME.wsgi` and `/NAME/…` with `$1` the name: stands for httpd's expressions.
    #[derive(Debug)]
    pub(crate) struct FirstSegment;

    impl Pattern for FirstSegment {
        fn find(&self, text: &[u8]) -> Option<[Option<Range<usize>>; 10]> {
            let name = text.strip_prefix(b"/")?;
            let end = 1 + name.iter().position(|octet| *octet == b'/').unwrap_or(name.len());
            let mut groups = <[Option<Range<usize>>; 10]>::default();
            groups[0] = Some(0..end);
            groups[1] = Some(1..end);
            Some(groups)
        }
    }

    #[test]
    fn a_patterns_groups_are_filled_in_and_the_rest_follows() {
        let target = b"/srv/$1/\\$1/$2$x.wsgi".to_vec();
        let aliases = [Alias { location: Location::Pattern(Arc::new(FirstSegment)), target, options: Arc::default() }];
        assert_eq!(file(&aliases, "/blue/x/y").as_deref(), Some("/srv/blue/$1/$x.wsgi/x/y"));
        let target = b"/srv$0.wsgi".to_vec();
        let aliases = [Alias { location: Location::Pattern(Arc::new(FirstSegment)), target, options: Arc::default() }];
        assert_eq!(file(&aliases, "/blue/x").as_deref(), Some("/srv/blue.wsgi/x"));
    }
}

//! Script aliases: which file a URL means. As mod_alias compares, segment by segment; the first alias that matches wins.

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

//! What a directory says of its requests in a word: flags, and how `HEAD` is shown.

use super::{Apply, Context, Definition, DirectiveError, Effect, Site};
use crate::config::options::{DirOptions, MapHeadToGet, Mentions};

pub(super) const PASS_APACHE_REQUEST: Definition = Definition {
    name: c"WSGIPassApacheRequest",
    context: Context::FileInfo,
    help: c"Pass httpd's request to applications in embedded mode, as environ['apache.request_rec'].",
    effect: Effect::Works,
    apply: Apply::Directory(|site, raw, options, _| set(site, raw, &mut options.pass_apache_request)),
};

pub(super) const PASS_AUTHORIZATION: Definition = Definition {
    name: c"WSGIPassAuthorization",
    context: Context::FileInfo,
    help: c"Pass the Authorization header to applications.",
    effect: Effect::Works,
    apply: Apply::Directory(|site, raw, options, _| set(site, raw, &mut options.pass_authorization)),
};

pub(super) const SCRIPT_RELOADING: Definition = Definition {
    name: c"WSGIScriptReloading",
    context: Context::FileInfo,
    help: c"Load a script again when its file has changed.",
    effect: Effect::Works,
    apply: Apply::Directory(|site, raw, options, _| set(site, raw, &mut options.script_reloading)),
};

pub(super) const ERROR_OVERRIDE: Definition = Definition {
    name: c"WSGIErrorOverride",
    context: Context::FileInfo,
    help: c"Replace error responses of applications in daemon mode by those of httpd (ErrorDocument).",
    effect: Effect::Works,
    apply: Apply::Directory(|site, raw, options, _| set(site, raw, &mut options.error_override)),
};

pub(super) const CHUNKED_REQUEST: Definition = Definition {
    name: c"WSGIChunkedRequest",
    context: Context::FileInfo,
    help: c"Accept request bodies of unknown length.",
    effect: Effect::Works,
    apply: Apply::Directory(|site, raw, options, _| set(site, raw, &mut options.chunked_request)),
};

pub(super) const IGNORE_ACTIVITY: Definition = Definition {
    name: c"WSGIIgnoreActivity",
    context: Context::FileInfo,
    help: c"Requests do not count as activity for inactivity-timeout.",
    effect: Effect::Works,
    apply: Apply::Directory(|site, raw, options, _| set(site, raw, &mut options.ignore_activity)),
};

pub(super) const ENABLE_SENDFILE: Definition = Definition {
    name: c"WSGIEnableSendfile",
    context: Context::FileInfo,
    help: c"Let the kernel send the files of wsgi.file_wrapper (sendfile).",
    effect: Effect::Works,
    apply: Apply::Directory(|site, raw, options, _| set(site, raw, &mut options.enable_sendfile)),
};

pub(super) const MAP_HEAD_TO_GET: Definition = Definition {
    name: c"WSGIMapHEADToGET",
    context: Context::FileInfo,
    help: c"Show HEAD requests as GET to applications: Off, On, or Auto where an output filter needs the content.",
    effect: Effect::Works,
    apply: Apply::Directory(map_head_to_get),
};

fn set(site: &Site<'_>, raw: &[u8], option: &mut Option<bool>) -> Result<(), DirectiveError> {
    *option = Some(site.flag(raw)?);
    Ok(())
}

fn map_head_to_get(site: &Site<'_>, raw: &[u8], options: &mut DirOptions, _: &mut Mentions) -> Result<(), DirectiveError> {
    let given = site.one(raw, "one argument, Off, On or Auto")?;
    options.map_head_to_get = Some(match given.to_ascii_lowercase().as_slice() {
        b"off" => MapHeadToGet::Off,
        b"on" => MapHeadToGet::On,
        b"auto" => MapHeadToGet::Auto,
        _ => return Err(site.choice("Off | On | Auto", &given)),
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::testing::Reader;
    use super::*;

    #[test]
    fn each_flag_sets_its_own_option() {
        let options = |line: &str| {
            let mut reader = Reader::new();
            reader.read(line);
            reader.directory
        };
        let expected = |set: fn(&mut DirOptions)| {
            let mut options = DirOptions::default();
            set(&mut options);
            options
        };
        assert_eq!(options("WSGIPassApacheRequest On"), expected(|o| o.pass_apache_request = Some(true)));
        assert_eq!(options("WSGIPassAuthorization on"), expected(|o| o.pass_authorization = Some(true)));
        assert_eq!(options("WSGIScriptReloading Off"), expected(|o| o.script_reloading = Some(false)));
        assert_eq!(options("WSGIErrorOverride On"), expected(|o| o.error_override = Some(true)));
        assert_eq!(options("WSGIChunkedRequest On"), expected(|o| o.chunked_request = Some(true)));
        assert_eq!(options("WSGIIgnoreActivity On"), expected(|o| o.ignore_activity = Some(true)));
        assert_eq!(options("WSGIEnableSendfile \"On\""), expected(|o| o.enable_sendfile = Some(true)));
    }

    #[test]
    fn head_has_three_ways() {
        let mut reader = Reader::new();
        for (word, way) in [("OFF", MapHeadToGet::Off), ("on", MapHeadToGet::On), ("Auto", MapHeadToGet::Auto)] {
            reader.read(&format!("WSGIMapHEADToGET {word}"));
            assert_eq!(reader.directory.map_head_to_get, Some(way));
        }
        assert_eq!(reader.error("WSGIMapHEADToGET yes"), "WSGIMapHEADToGET must be one of: Off | On | Auto; 'yes' is none of them");
    }
}

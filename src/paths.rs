//! The path of a URL as the two that an application is given. Pure: octets in, octets out. PEP 3333, "environ Variables".

#![forbid(unsafe_code)]

use std::borrow::Cow;

/// Splits a URL's path into script name and path info, each run of slashes collapsed to one.
pub(crate) fn split_path<'r>(uri: &'r [u8], path_info: &[u8]) -> (Cow<'r, [u8]>, Vec<u8>) {
    let script = &uri[..script_length(uri, path_info)];
    let info = collapse(path_info).into_owned();
    (collapse(script), info)
}

/// How much of `uri` comes before `path_info`, compared from the end, where a slash stands for any run of them.
pub(crate) fn script_length(uri: &[u8], path_info: &[u8]) -> usize {
    let (mut left, mut rest) = (uri.len(), path_info.len());
    while rest > 0 {
        let octet = path_info[rest - 1];
        if left == 0 || uri[left - 1] != octet {
            break;
        }
        let skip = |octets: &[u8], mut end: usize| {
            end -= 1;
            while octet == b'/' && end > 0 && octets[end - 1] == b'/' {
                end -= 1;
            }
            end
        };
        left = skip(uri, left);
        rest = skip(path_info, rest);
    }
    left
}

fn collapse(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.windows(2).any(|pair| pair == b"//") {
        return Cow::Borrowed(path);
    }
    let mut short = path.to_vec();
    short.dedup_by(|right, left| *right == b'/' && *left == b'/');
    Cow::Owned(short)
}

#[cfg(test)]
mod tests {
    use super::split_path;

    fn split(uri: &[u8], info: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let (script, info) = split_path(uri, info);
        (script.into_owned(), info)
    }

    #[test]
    fn script_name_is_what_is_before_the_path_info() {
        assert_eq!(split(b"/app/a/b", b"/a/b"), (b"/app".to_vec(), b"/a/b".to_vec()));
        assert_eq!(split(b"/a", b"/a"), (Vec::new(), b"/a".to_vec()));
        assert_eq!(split(b"/app", b""), (b"/app".to_vec(), Vec::new()));
    }

    #[test]
    fn runs_of_slashes_count_as_one() {
        assert_eq!(split(b"//app//a///b", b"/a/b"), (b"/app".to_vec(), b"/a/b".to_vec()));
        assert_eq!(split(b"/app/a/b", b"//a//b"), (b"/app".to_vec(), b"/a/b".to_vec()));
    }
}

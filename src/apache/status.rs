//! What a hook or handler answers to httpd: an HTTP status or one of httpd's own words.

use super::ffi;
use std::ffi::c_int;

/// A status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status(c_int);

impl Status {
    /// Done, and well.
    pub(crate) const OK: Self = Self(ffi::OK);
    /// Not ours.
    pub(crate) const DECLINED: Self = Self(ffi::DECLINED);
    /// 400.
    pub(crate) const BAD_REQUEST: Self = Self(400);
    /// 403.
    pub(crate) const FORBIDDEN: Self = Self(403);
    /// 404.
    pub(crate) const NOT_FOUND: Self = Self(404);
    /// 411.
    pub(crate) const LENGTH_REQUIRED: Self = Self(411);
    /// 413.
    pub(crate) const CONTENT_TOO_LARGE: Self = Self(413);
    /// 500.
    pub(crate) const INTERNAL_SERVER_ERROR: Self = Self(500);
    /// 501.
    pub(crate) const NOT_IMPLEMENTED: Self = Self(501);
    /// 502.
    pub(crate) const BAD_GATEWAY: Self = Self(502);
    /// 503.
    pub(crate) const SERVICE_UNAVAILABLE: Self = Self(503);
    /// 504.
    pub(crate) const GATEWAY_TIMEOUT: Self = Self(504);

    /// A status that an application gave, 100 to 999.
    pub(crate) fn http(code: u16) -> Self {
        Self(c_int::from(code))
    }

    /// The HTTP status, if it is one.
    pub(crate) fn code(self) -> Option<u16> {
        u16::try_from(self.0).ok().filter(|code| (100..1000).contains(code))
    }

    /// As C wants it.
    pub(super) fn raw(self) -> c_int {
        self.0
    }
}

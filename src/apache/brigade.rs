//! Brigades of buckets: octets, files and marks on their way to and from the client (`apr_buckets.h`, `util_filter.h`).

use super::pool::Pool;
use super::request::Request;
use super::{ffi, pool};
use std::ffi::c_int;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr::NonNull;

const _: () = assert!(std::mem::offset_of!(ffi::apr_bucket, link) == 0, "the ring's sentinel is the list itself");

/// A brigade in a request's pool.
pub(crate) struct Brigade<'r> {
    raw: NonNull<ffi::apr_bucket_brigade>,
    pool: Pool<'r>,
}

/// The client, or a filter, takes no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PassError {
    /// The client has gone.
    #[error("the client has gone")]
    ClientGone,
    /// The client did not take data within `Timeout`.
    #[error("the client took no data within the timeout")]
    TimedOut,
    /// What was kept for the client cannot be read back.
    #[error("the temporary file of the response cannot be read")]
    Spool,
    /// A filter failed, with APR's status.
    #[error("an output filter failed with status {0}")]
    Failed(c_int),
}

/// What follows octets on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// More is to follow.
    Nothing,
    /// What was sent so far goes out now, however long the client takes.
    Flush,
    /// The response is complete.
    End,
    /// Both.
    FlushAndEnd,
}

/// What came of reading the request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// So many octets, at least one.
    Octets(usize),
    /// The body is complete.
    End,
    /// Nothing yet; only if asked not to wait.
    NotYet,
}

/// The request body cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct ReadError {
    /// What httpd says, without a final stop.
    pub(crate) text: String,
    /// The HTTP status it means.
    pub(crate) status: c_int,
    /// Whether the client has gone.
    pub(crate) client_gone: bool,
}

impl ReadError {
    /// Whether a filter of httpd's has answered the client, with what is wrong with its message: then nothing may follow.
    pub(crate) fn is_answered(&self) -> bool {
        self.status == ffi::AP_FILTER_ERROR
    }
}

impl<'r> Brigade<'r> {
    /// An empty brigade.
    pub(super) fn new(request: &Request<'r>) -> Self {
        let pool = request.pool();
        // SAFETY: the request, its connection and its pool are live; the brigade lives as long as the pool.
        let raw = unsafe { ffi::apr_brigade_create(pool.raw(), (*request.fields().connection).bucket_alloc) };
        Self { raw: NonNull::new(raw).expect("APR aborts when there is no memory"), pool }
    }

    fn allocator(&self) -> *mut ffi::apr_bucket_alloc_t {
        // SAFETY: the brigade is live.
        unsafe { self.raw.as_ref() }.bucket_alloc
    }

    /// APR_BRIGADE_INSERT_TAIL.
    fn append(&mut self, bucket: *mut ffi::apr_bucket) {
        // SAFETY: the bucket is new and in no ring; the brigade's ring is well formed, with the list itself as its sentinel (checked at
        // the top of the file).
        unsafe {
            let list = &raw mut (*self.raw.as_ptr()).list;
            let sentinel = list.cast::<ffi::apr_bucket>();
            (*bucket).link.next = sentinel;
            (*bucket).link.prev = (*list).prev;
            (*(*list).prev).link.next = bucket;
            (*list).prev = bucket;
        }
    }

    fn buckets(&self) -> impl Iterator<Item = &ffi::apr_bucket> {
        let list = std::ptr::from_ref(self.list()).cast::<ffi::apr_bucket>();
        let mut next = self.list().next.cast_const();
        std::iter::from_fn(move || {
            // SAFETY: the ring is well formed and is not changed while it is borrowed.
            let bucket = (next != list).then(|| unsafe { &*next })?;
            next = bucket.link.next;
            Some(bucket)
        })
    }

    fn list(&self) -> &ffi::apr_bucket_brigade_apr_bucket_list {
        // SAFETY: the brigade is live.
        unsafe { &(*self.raw.as_ptr()).list }
    }

    /// Whether it holds nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.buckets().next().is_none()
    }

    /// Passes octets to the client, before them what the brigade holds, with a flush or the end behind. Filters that keep octets beyond
    /// this call copy them.
    pub(crate) fn pass_octets(&mut self, request: &Request<'r>, parts: &[&[u8]], tail: Tail) -> Result<(), PassError> {
        for octets in parts.iter().filter(|octets| !octets.is_empty()) {
            // SAFETY: the octets outlive the bucket: the brigade is passed, and emptied, before this function returns.
            self.append(unsafe { ffi::apr_bucket_transient_create(octets.as_ptr().cast(), octets.len(), self.allocator()) });
        }
        match tail {
            Tail::Nothing => {}
            Tail::Flush => self.flush(),
            Tail::End => self.end(),
            // With the flush first the core sends at once; with the end alone it looks for a pipelined request before.
            Tail::FlushAndEnd => {
                self.flush();
                self.end();
            }
        }
        self.pass(request)
    }

    /// Appends a part of a regular file, whose descriptor then belongs to the request.
    pub(crate) fn write_file(&mut self, file: OwnedFd, offset: u64, length: u64, sendfile: bool) -> Result<(), PassError> {
        let failed = || PassError::Failed(ffi::APR_EGENERAL);
        let mut number = file.as_fd().as_raw_fd();
        let mut opened = std::ptr::null_mut();
        let flags = ffi::APR_READ | if sendfile { ffi::APR_SENDFILE_ENABLED } else { 0 };
        let (offset, length) = (i64::try_from(offset).map_err(|_| failed())?, i64::try_from(length).map_err(|_| failed())?);
        // SAFETY: the descriptor is open and is kept by the pool, with the APR file that names it. Mapping is off: the application could
        // cut the file meanwhile, and a read beyond the end of a mapped file ends the process.
        unsafe {
            if ffi::apr_os_file_put(&raw mut opened, &raw mut number, flags, self.pool.raw()) != 0 {
                return Err(failed());
            }
            self.pool.own(file);
            let size = usize::try_from(length).map_err(|_| failed())?;
            let bucket = ffi::apr_bucket_file_create(opened, offset, size, self.pool.raw(), self.allocator());
            ffi::apr_bucket_file_enable_mmap(bucket, 0);
            self.append(bucket);
        }
        Ok(())
    }

    /// Appends the mark that what is before it goes out now.
    fn flush(&mut self) {
        // SAFETY: the allocator is the connection's.
        self.append(unsafe { ffi::apr_bucket_flush_create(self.allocator()) });
    }

    /// Appends the end of the response.
    pub(crate) fn end(&mut self) {
        // SAFETY: the allocator is the connection's.
        self.append(unsafe { ffi::apr_bucket_eos_create(self.allocator()) });
    }

    /// Appends the mark that the response is cut short: no last chunk is sent, the connection is closed, an HTTP/2 stream reset.
    pub(crate) fn broken(&mut self) {
        // SAFETY: pool and allocator are the request's.
        self.append(unsafe { ffi::ap_bucket_error_create(502, std::ptr::null(), self.pool.raw(), self.allocator()) });
    }

    /// Passes the brigade to the client; it is empty afterwards.
    pub(crate) fn pass(&mut self, request: &Request<'r>) -> Result<(), PassError> {
        // SAFETY: brigade, request and filters are live; whatever the filters leave is removed.
        let status = unsafe {
            let status = ffi::ap_pass_brigade(request.fields().output_filters, self.raw.as_ptr());
            ffi::apr_brigade_cleanup(self.raw.as_ptr().cast());
            status
        };
        match status {
            // First, as the core takes a client that has timed out for gone.
            ffi::APR_TIMEUP => Err(PassError::TimedOut),
            _ if request.client_has_gone() => Err(PassError::ClientGone),
            0 => Ok(()),
            other => Err(PassError::Failed(other)),
        }
    }

    /// Reads some of the request body into `buffer`.
    pub(crate) fn read(&mut self, request: &Request<'r>, buffer: &mut [u8], wait: bool) -> Result<Input, ReadError> {
        loop {
            let Some(ended) = self.fill(request, buffer.len(), wait)? else { return Ok(Input::NotYet) };
            let mut length = buffer.len();
            // SAFETY: at most `length` octets are written to the buffer; reading buckets of a file or pipe may fail.
            let status = unsafe { ffi::apr_brigade_flatten(self.raw.as_ptr(), buffer.as_mut_ptr().cast(), &raw mut length) };
            self.clear();
            if status != 0 {
                return Err(read_error(status, request));
            }
            match (length, ended) {
                (0, true) => return Ok(Input::End),
                (0, false) if !wait => return Ok(Input::NotYet),
                (0, false) => {}
                (length, _) => return Ok(Input::Octets(length)),
            }
        }
    }

    /// Waits for some of the request body, at most so much, and shows it to `take` where it lies: it is not copied. `None` is the end.
    pub(crate) fn read_parts<T>(
        &mut self,
        request: &Request<'r>,
        most: usize,
        take: impl FnOnce(&[&[u8]]) -> T,
    ) -> Result<Option<T>, ReadError> {
        loop {
            let ended = self.fill(request, most, true)?.unwrap_or(false);
            let parts = self.parts().map_err(|status| read_error(status, request))?;
            if !parts.is_empty() {
                let taken = take(&parts);
                self.clear();
                return Ok(Some(taken));
            }
            self.clear();
            if ended {
                return Ok(None);
            }
        }
    }

    /// Takes some of the request body into the brigade, which is empty; says whether its end is there, and nothing if nothing has come.
    fn fill(&mut self, request: &Request<'r>, most: usize, wait: bool) -> Result<Option<bool>, ReadError> {
        let how = if wait { ffi::apr_read_type_e_APR_BLOCK_READ } else { ffi::apr_read_type_e_APR_NONBLOCK_READ };
        let most = i64::try_from(most).unwrap_or(i64::MAX);
        // SAFETY: the brigade is live and empty, the input filters are the request's.
        let status = unsafe {
            let filters = request.fields().input_filters;
            ffi::ap_get_brigade(filters, self.raw.as_ptr(), ffi::ap_input_mode_t_AP_MODE_READBYTES, how, most)
        };
        if !wait && status == ffi::APR_EAGAIN {
            return Ok(None);
        }
        if status != 0 {
            self.clear();
            return Err(read_error(status, request));
        }
        // SAFETY: a static of APR-util's.
        let eos = &raw const ffi::apr_bucket_type_eos;
        Ok(Some(self.buckets().any(|bucket| std::ptr::eq(bucket.type_, eos))))
    }

    /// What the brigade holds, bucket by bucket.
    fn parts(&mut self) -> Result<Vec<&[u8]>, c_int> {
        let mut parts = Vec::with_capacity(16);
        let list = std::ptr::from_ref(self.list()).cast::<ffi::apr_bucket>().cast_mut();
        let mut next = self.list().next;
        while next != list {
            let (mut octets, mut length) = (std::ptr::null(), 0);
            // SAFETY: the ring is well formed. Each type of bucket can be read, and what that gives stays until the bucket is destroyed,
            // for which the brigade, borrowed here, must be changed; a bucket that becomes several by it has the others behind it.
            unsafe {
                let read = (*(*next).type_).read.expect("each type of bucket has this function");
                let status = read(next, &raw mut octets, &raw mut length, ffi::apr_read_type_e_APR_BLOCK_READ);
                if status != 0 {
                    return Err(status);
                }
                if length > 0 {
                    parts.push(std::slice::from_raw_parts(octets.cast::<u8>(), length));
                }
                next = (*next).link.next;
            }
        }
        Ok(parts)
    }

    fn clear(&mut self) {
        // SAFETY: the brigade is live.
        unsafe { ffi::apr_brigade_cleanup(self.raw.as_ptr().cast()) };
    }
}

fn read_error(status: c_int, request: &Request<'_>) -> ReadError {
    let mut buffer = [0_u8; 128];
    // SAFETY: writes at most the given number of octets, ended by NUL, and returns the buffer.
    let text = unsafe { pool::octets(ffi::apr_strerror(status, buffer.as_mut_ptr().cast(), buffer.len())) };
    let text = match status {
        ffi::APR_EOF | ffi::APR_EAGAIN => "Connection was terminated".to_owned(),
        _ => String::from_utf8_lossy(text.unwrap_or(b"unknown")).trim_end_matches('.').to_owned(),
    };
    // SAFETY: only looks at the numbers.
    let http = unsafe { ffi::ap_map_http_request_error(status, 400) };
    ReadError { text, status: http, client_gone: request.client_has_gone() || matches!(status, ffi::APR_EOF) }
}

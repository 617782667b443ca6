//! Scripts that httpd's own processes ask: who may have access, and which group and application serve a request.
//!
//! Each function is looked up in its module at each request, and called with an environ that is not the WSGI one. What it returns is
//! judged by identity and exact type, because a mistake must not let anybody in.

#![forbid(unsafe_code)]

use crate::host::{Host, NotRun};
use crate::module::State;
use crate::python::{Attached, Class, Exception, Method, MethodDef, Object, This, bind};
use crate::report::Reader;
use crate::wsgi::arguments;
use crate::wsgi::errors::Log;
use crate::wsgi::request::Request;
use std::ffi::CStr;
use std::sync::Arc;
use wire::access::{Answer, Ask, Choice, Question};
use wire::codes::{self, Code};
use wire::settings::Octets;

/// Asks the script of a question, on a thread that is in no interpreter and executes `request`.
pub(crate) fn ask(host: &Host, question: &Question<'_>, request: &Arc<Request>) -> Answer {
    let answer = host.in_script(&question.head, |py, group, module| {
        let asking = Asking { py, state: &group.state, request, question, module };
        let answer = asking.answer();
        request.end(py);
        answer
    });
    match answer {
        Ok(answer) => answer,
        Err(NotRun::Interpreter(error)) => {
            let code = no_interpreter(&question.ask);
            request.log_outside(code.level, &code.line(request.marked(&format!("no interpreter to ask in: {error}"))));
            Answer::Failed
        }
        // The log has it.
        Err(NotRun::Script | NotRun::Stopped) => Answer::NotLoaded,
    }
}

fn no_interpreter(ask: &Ask<'_>) -> Code {
    match ask {
        Ask::AllowAccess { .. } => codes::NO_ACCESS_INTERPRETER,
        Ask::CheckPassword { .. } => codes::NO_USER_INTERPRETER,
        Ask::RealmHash { .. } => codes::NO_DIGEST_INTERPRETER,
        Ask::GroupsForUser { .. } => codes::NO_GROUP_INTERPRETER,
        Ask::Dispatch => codes::NO_DISPATCH_INTERPRETER,
    }
}

/// A question in the interpreter that answers it.
struct Asking<'py, 'q> {
    py: Attached<'py>,
    state: &'q Arc<State>,
    request: &'q Arc<Request>,
    question: &'q Question<'q>,
    module: &'q Object,
}

/// Why there is no answer.
enum Fault {
    /// Python code has raised it.
    Raised(Exception),
    /// It is none.
    Wrong(Code, String),
}

impl From<Exception> for Fault {
    fn from(exception: Exception) -> Self {
        Self::Raised(exception)
    }
}

impl Asking<'_, '_> {
    fn answer(&self) -> Answer {
        let answer = match self.question.ask {
            Ask::AllowAccess { host } => self.allow_access(host),
            Ask::CheckPassword { user, password } => self.check_password(user, password),
            Ask::RealmHash { user, realm } => self.realm_hash(user, realm),
            Ask::GroupsForUser { user } => self.groups_for_user(user),
            Ask::Dispatch => self.dispatch(),
        };
        let reader = Reader::Request(self.request);
        answer.unwrap_or_else(|fault| {
            match fault {
                Fault::Raised(exception) => reader.exception(self.py, &self.script(), &self.state.place, &exception),
                Fault::Wrong(code, what) => reader.message(self.py, code, &what),
            }
            Answer::Failed
        })
    }

    fn allow_access(&self, host: &[u8]) -> Result<Answer, Fault> {
        let function = self.function("allow_access", codes::NO_ALLOW_ACCESS)?;
        let result = function.call(self.py, &[&self.environ()?, &self.py.latin1(host)?])?;
        self.verdict(&result).ok_or_else(|| self.wrong(codes::ACCESS_TYPE, "allow_access() returned", &result))
    }

    fn check_password(&self, user: &[u8], password: &[u8]) -> Result<Answer, Fault> {
        let function = self.function("check_password", codes::NO_CHECK_PASSWORD)?;
        let result = function.call(self.py, &[&self.environ()?, &self.py.latin1(user)?, &self.py.latin1(password)?])?;
        if let Some(answer) = self.verdict(&result) {
            return Ok(answer);
        }
        if !result.is_str() {
            return Err(self.wrong(codes::PASSWORD_TYPE, "check_password() returned", &result));
        }
        self.text(&result.to_utf8(self.py)?, codes::USER_NAME_EMPTY, "check_password() returned")
    }

    fn realm_hash(&self, user: &[u8], realm: &[u8]) -> Result<Answer, Fault> {
        let function = self.function("get_realm_hash", codes::NO_REALM_HASH)?;
        let result = function.call(self.py, &[&self.environ()?, &self.py.latin1(user)?, &self.py.latin1(realm)?])?;
        if result.is_none() {
            return Ok(Answer::Nothing);
        }
        match self.octets(&result)? {
            Some(hash) => self.text(&hash, codes::REALM_HASH_EMPTY, "get_realm_hash() returned"),
            None => Err(self.wrong(codes::REALM_HASH_TYPE, "get_realm_hash() returned", &result)),
        }
    }

    fn groups_for_user(&self, user: &[u8]) -> Result<Answer, Fault> {
        let py = self.py;
        let function = self.function("groups_for_user", codes::NO_GROUPS_FOR_USER)?;
        let result = function.call(py, &[&self.environ()?, &py.latin1(user)?])?;
        let names = result.iter(py).map_err(|exception| match exception.is_type_error(py) {
            true => self.wrong(codes::GROUPS_TYPE, "groups_for_user() returned", &result),
            false => Fault::Raised(exception),
        })?;
        let mut groups = Vec::new();
        // An exception on the way denies: what came before it is no answer.
        while let Some(name) = names.next(py)? {
            if name.is_str() {
                let octets = name.to_latin1(py).map_err(|_| self.wrong(codes::GROUP_NAME_ENCODING, "groups_for_user() returned", &name))?;
                groups.push(owned(&octets));
            } else if name.as_bytes().is_some() {
                groups.push(owned(&name));
            } else {
                return Err(self.wrong(codes::GROUP_NAME_TYPE, "groups_for_user() returned a group of", &name));
            }
        }
        Ok(Answer::Groups(groups))
    }

    fn dispatch(&self) -> Result<Answer, Fault> {
        let environ = self.environ()?;
        Ok(Answer::Chosen(Choice {
            process_group: self.choice("process_group", &environ)?,
            application_group: self.choice("application_group", &environ)?,
            callable_object: self.choice("callable_object", &environ)?,
        }))
    }

    /// What one function of a dispatch script chooses, if it is there and does.
    fn choice(&self, name: &str, environ: &Object) -> Result<Option<Octets>, Fault> {
        let Some(function) = self.module.optional_attr(self.py, &self.py.text(name)?)? else { return Ok(None) };
        let result = function.call(self.py, &[environ])?;
        if result.is_none() {
            return Ok(None);
        }
        match self.octets(&result)? {
            Some(chosen) => Ok(Some(owned(&chosen))),
            None => {
                let what = format!("{name}() must return str, bytes or None, not {}", result.type_name(self.py));
                Err(Exception::type_error(self.py, &what).into())
            }
        }
    }

    /// `True`, `False` or `None`, and nothing that only equals them.
    fn verdict(&self, result: &Object) -> Option<Answer> {
        if result.is(&self.py.bool(true)) {
            Some(Answer::Yes)
        } else if result.is(&self.py.bool(false)) {
            Some(Answer::No)
        } else {
            result.is_none().then_some(Answer::Nothing)
        }
    }

    /// A `bytes` object of a `str` in latin-1, or of `bytes`; `None` of anything else.
    fn octets(&self, object: &Object) -> Result<Option<Object>, Fault> {
        if object.is_str() {
            return Ok(Some(object.to_latin1(self.py)?));
        }
        Ok(object.as_bytes().is_some().then(|| object.clone_ref(self.py)))
    }

    /// An answer of octets. A NUL would end it early for httpd: another name or hash than the script meant.
    fn text(&self, octets: &Object, empty: Code, what: &str) -> Result<Answer, Fault> {
        match octets.as_bytes().unwrap_or_default() {
            [] => Err(Fault::Wrong(empty, format!("{what} an empty string for '{}'", self.script()))),
            octets if octets.contains(&0) => Err(Exception::value_error(self.py, &format!("{what} a string with a null character")).into()),
            octets => Ok(Answer::Text(Octets::from(octets.to_vec()))),
        }
    }

    fn wrong(&self, code: Code, what: &str, object: &Object) -> Fault {
        Fault::Wrong(code, format!("in '{}', {what} an object of type '{}'", self.script(), object.type_name(self.py)))
    }

    fn function(&self, name: &str, missing: Code) -> Result<Object, Fault> {
        let function = self.module.optional_attr(self.py, &self.py.text(name)?)?;
        function.ok_or_else(|| Fault::Wrong(missing, format!("'{}' has no function {name}()", self.script())))
    }

    fn script(&self) -> String {
        String::from_utf8_lossy(self.question.head.script).into_owned()
    }

    fn environ(&self) -> Result<Object, Exception> {
        let Self { py, state, request, question, .. } = *self;
        let environ = py.dict()?;
        state.template.fill(py, &environ, &question.head)?;
        environ.dict_set_name(py, c"wsgi.errors", &state.streams.wrap(py, Log::of_check(request))?)?;
        if let Some(record) = request.record(py) {
            environ.dict_set_name(py, c"apache.request_rec", &record)?;
        }
        if !matches!(question.ask, Ask::Dispatch) {
            state.template.versions(py, &environ, &question.head)?;
            let ssl = state.ssl.instance(py, Ssl { request: Arc::clone(request), https: question.head.https })?;
            environ.dict_set_name(py, c"mod_ssl.is_https", &bind::<IsHttps>(py, &state.ssl, &ssl)?)?;
            environ.dict_set_name(py, c"mod_ssl.var_lookup", &bind::<VarLookup>(py, &state.ssl, &ssl)?)?;
        }
        Ok(environ)
    }
}

fn owned(octets: &Object) -> Octets {
    Octets::from(octets.as_bytes().unwrap_or_default().to_vec())
}

/// What `mod_ssl.is_https` and `mod_ssl.var_lookup` are methods of.
pub(crate) struct Ssl {
    request: Arc<Request>,
    https: bool,
}

impl Ssl {
    fn check(&self, py: Attached<'_>) -> Result<(), Exception> {
        if self.request.is_over() { Err(Exception::runtime_error(py, "request object has expired")) } else { Ok(()) }
    }
}

impl Class for Ssl {
    const NAME: &'static CStr = c"mod_wsgi.Ssl";
    const METHODS: &'static [MethodDef] = &[MethodDef::END];
}

struct IsHttps;
impl Method for IsHttps {
    type Class = Ssl;
    const NAME: &'static CStr = c"is_https";

    fn call(py: Attached<'_>, this: This<'_, Ssl>, arguments: &[Object]) -> Result<Object, Exception> {
        arguments::count(py, "is_https", arguments, 0, 0)?;
        this.check(py)?;
        py.int(this.https.into())
    }
}

struct VarLookup;
impl Method for VarLookup {
    type Class = Ssl;
    const NAME: &'static CStr = c"var_lookup";

    fn call(py: Attached<'_>, this: This<'_, Ssl>, arguments: &[Object]) -> Result<Object, Exception> {
        arguments::count(py, "var_lookup", arguments, 1, 1)?;
        this.check(py)?;
        let name = &arguments[0];
        let encoded = if name.is_str() { Some(name.to_latin1(py)?) } else { None };
        let Some(name) = encoded.as_ref().unwrap_or(name).as_bytes() else {
            return Err(Exception::type_error(py, &format!("name must be str or bytes, not {}", name.type_name(py))));
        };
        let value = this.request.lent.quickly(py, |exchange| exchange.ssl_variable(name)).flatten();
        value.map_or_else(|| Ok(py.none()), |value| py.latin1(&value))
    }
}

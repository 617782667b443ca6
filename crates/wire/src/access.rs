//! What httpd's own processes ask of scripts: who may have access, and which group and application serve a request.
//!
//! A question is a request's head, whose script and application group are those of the script that is asked, and whose environ is what it
//! is told; and the question itself. Whatever is no answer denies: there is no default.

use crate::head::{RequestHead, codec};
use crate::settings::Octets;
use serde::{Deserialize, Serialize};

/// A question with all that its script is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question<'a> {
    /// What is asked.
    #[serde(borrow)]
    pub ask: Ask<'a>,
    /// About which request, and whom.
    #[serde(borrow)]
    pub head: RequestHead<'a>,
}

/// Which function of the script is called, with what besides the environ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask<'a> {
    /// `allow_access(environ, host)`: [`Answer::Yes`], [`Answer::No`] or [`Answer::Nothing`].
    AllowAccess {
        /// The client's name, or else its address.
        #[serde(borrow, with = "serde_bytes")]
        host: &'a [u8],
    },
    /// `check_password(environ, user, password)`: [`Answer::Yes`], [`Answer::No`], [`Answer::Nothing`] or the user's name.
    CheckPassword {
        /// The user.
        #[serde(borrow, with = "serde_bytes")]
        user: &'a [u8],
        /// The password.
        #[serde(borrow, with = "serde_bytes")]
        password: &'a [u8],
    },
    /// `get_realm_hash(environ, user, realm)`: a hash or [`Answer::Nothing`].
    RealmHash {
        /// The user.
        #[serde(borrow, with = "serde_bytes")]
        user: &'a [u8],
        /// The realm.
        #[serde(borrow, with = "serde_bytes")]
        realm: &'a [u8],
    },
    /// `groups_for_user(environ, user)`: [`Answer::Groups`].
    GroupsForUser {
        /// The user.
        #[serde(borrow, with = "serde_bytes")]
        user: &'a [u8],
    },
    /// `process_group(environ)`, `application_group(environ)` and `callable_object(environ)`: [`Answer::Chosen`].
    Dispatch,
}

/// What a script said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Something went wrong; the log has it.
    Failed,
    /// The script could not be loaded; the log has it.
    NotLoaded,
    /// `None`.
    Nothing,
    /// `True`.
    Yes,
    /// `False`.
    No,
    /// A name or a hash, not empty, without NUL.
    Text(Octets),
    /// The names of groups.
    Groups(Vec<Octets>),
    /// What a dispatch script chose.
    Chosen(Choice),
}

/// What a dispatch script chose; what it left open stays as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The process group.
    pub process_group: Option<Octets>,
    /// The application group.
    pub application_group: Option<Octets>,
    /// The callable.
    pub callable_object: Option<Octets>,
}

codec!(Question);

impl Answer {
    /// The octets of this answer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, Vec::new()).expect("a Vec grows and the types hold no unsized sequence")
    }

    /// Reads an answer; what is none is a failure.
    #[must_use]
    pub fn decode(octets: &[u8]) -> Self {
        postcard::from_bytes(octets).unwrap_or(Self::Failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_survives_the_wire() {
        let groups = Answer::Groups(vec![Octets::from(b"staff".to_vec()), Octets::from(b"\xe9quipe".to_vec())]);
        assert_eq!(Answer::decode(&groups.encode()), groups);
        assert_eq!(Answer::decode(&Answer::Yes.encode()), Answer::Yes);
    }

    #[test]
    fn what_is_no_answer_is_a_failure() {
        assert_eq!(Answer::decode(b""), Answer::Failed);
        assert_eq!(Answer::decode(b"\xff\xff"), Answer::Failed);
    }
}

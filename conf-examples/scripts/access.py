"""Access control for httpd: who may come, who knows a password, who is in which group.

A real script asks a database or a directory service. Passwords are kept as salted hashes, and compared in constant time.
"""

import hashlib
import hmac

SALT = b"replace me"


def hashed(password):
    return hashlib.scrypt(password.encode("latin-1"), salt=SALT, n=2**12, r=8, p=1)


USERS = {
    "ada": (hashed("lovelace"), ["staff", "members"]),
    "charles": (hashed("babbage"), ["members"]),
}

BLOCKED = {"192.0.2.1"}


def allow_access(environ, host):
    # None leaves the decision to httpd's own rules; True and False decide.
    return False if host in BLOCKED or environ.get("HTTP_USER_AGENT") == "BadBot" else None


def check_password(environ, user, password):
    # None: another provider may know the user.
    if user not in USERS:
        return None
    return hmac.compare_digest(USERS[user][0], hashed(password))


def groups_for_user(environ, user):
    return USERS[user][1] if user in USERS else []

"""Controls access as it is told: by the query string, or by the name of the user."""


class Odd:
    pass


def parts():
    yield "staff"
    raise RuntimeError("no more groups")


ANSWERS = {
    "true": True,
    "false": False,
    "none": None,
    "one": 1,
    "zero": 0,
    "text": "x",
    "empty": "",
    "bytes": b"x",
    "emptybytes": b"",
    "renamed": "caf\u00e9",
    "surrogate": "\udc80",
    "nul": "admin\0x",
    "staff": ["guests", "staff"],
    "octets": (b"staff",),
    "other": {"guests"},
    "nobody": [],
    "odd": Odd(),
    "oddname": ["staff", Odd()],
    "wide": ["staff", "\u20ac"],
    "string": "staff",
    "s": "s",
}


def answer(environ, name):
    if name == "raise":
        raise RuntimeError("told to fail")
    if name == "exit":
        raise SystemExit(0)
    if name == "log":
        print("a word from the script", file=environ["wsgi.errors"])
        name = "true"
    if name == "parts":
        return parts()
    return ANSWERS[name]


def allow_access(environ, host):
    query = environ["QUERY_STRING"]
    if query == "environ":
        for key, value in sorted(environ.items()):
            print(f"KEY {key}={value!r}", file=environ["wsgi.errors"])
        print(f"KEY host={host!r}", file=environ["wsgi.errors"])
        return True
    if query == "keep":
        allow_access.kept = environ
        return True
    if query == "kept":
        for name, arguments in (("mod_ssl.is_https", ()), ("mod_ssl.var_lookup", ("HTTPS",))):
            try:
                allow_access.kept[name](*arguments)
            except RuntimeError as error:
                print(f"KEPT {name}: {error}", file=environ["wsgi.errors"])
        return True
    if query == "ssl":
        lookup = environ["mod_ssl.var_lookup"]
        print(f"SSL {environ['mod_ssl.is_https']()!r} {lookup('HTTPS')!r} {lookup(b'HTTPS')!r}", file=environ["wsgi.errors"])
        try:
            lookup(1)
        except TypeError as error:
            print("SSL TypeError", file=environ["wsgi.errors"])
        return True
    return answer(environ, query or "none")


def check_password(environ, user, password):
    if user == "raw":
        print(f"PASSWORD {password.encode('latin-1').hex()}", file=environ["wsgi.errors"])
        return True
    if password != "secret":
        return False
    return answer(environ, user)


def get_realm_hash(environ, user, realm):
    if user in ("text", "octets"):
        import hashlib

        hashed = hashlib.md5(f"{user}:{realm}:secret".encode()).hexdigest()
        return hashed if user == "text" else hashed.encode()
    return answer(environ, user)


def groups_for_user(environ, user):
    return answer(environ, user)

"""WsgiDAV: a folder by WebDAV."""

import tempfile

from wsgidav.wsgidav_app import WsgiDAVApp

application = WsgiDAVApp({
    "provider_mapping": {"/": tempfile.mkdtemp()},
    "simple_dc": {"user_mapping": {"*": True}},
    "verbose": 1,
    "logging": {"enable": False},
})

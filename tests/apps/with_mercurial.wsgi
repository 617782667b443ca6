"""A Mercurial server: hgweb for one repository, to which everybody may push."""

import os
import tempfile

from mercurial import initialization

initialization.init()

from mercurial import hg, ui  # noqa: E402, most of Mercurial wants the line above first
from mercurial.hgweb import hgweb  # noqa: E402

path = tempfile.mkdtemp()
hg.repository(ui.ui(), path.encode(), create=True)
with open(os.path.join(path, ".hg", "hgrc"), "w") as file:
    file.write("[web]\nallow-push = *\npush_ssl = false\n")
application = hgweb(path.encode())

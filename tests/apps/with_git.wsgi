"""A git server: a bare repository by git's smart protocol."""

import tempfile

from dulwich.repo import Repo
from dulwich.server import DictBackend
from dulwich.web import make_wsgi_chain

repository = Repo.init_bare(tempfile.mkdtemp())
application = make_wsgi_chain(DictBackend({"/": repository, "/project.git": repository}))

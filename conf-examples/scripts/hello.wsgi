"""What httpd loads of the Flask application in hello.py."""

from hello import app as application  # noqa: F401

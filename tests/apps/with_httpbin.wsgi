"""httpbin: an application that others test their HTTP with."""

from httpbin import app as application

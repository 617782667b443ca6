"""The smallest Django project: one page, no middleware."""

from django.conf import settings

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="of a benchmark", MIDDLEWARE=[])

from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

urlpatterns = [path("", lambda request: HttpResponse("Hello World!\n"))]

# Django imports its URL configuration by name; a script's own name is not on any path.
import sys

sys.modules[settings.ROOT_URLCONF] = sys.modules[__name__]
application = get_wsgi_application()

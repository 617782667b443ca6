"""What a person does with manage.py before the first request, in one process: tables, a user, static files; and an object to change."""

import os

import django
from django.core.management import call_command

os.environ["DJANGO_SETTINGS_MODULE"] = "gallery.settings"
django.setup()

from django.contrib.auth.models import User  # noqa: E402, models exist only after setup()
from gallery.models import Picture  # noqa: E402

call_command("migrate", run_syncdb=True, verbosity=0)
call_command("collectstatic", interactive=False, verbosity=0)
User.objects.create_superuser("ada", "ada@example.com", "engine-1843")
Picture.objects.create(title="Sketch")

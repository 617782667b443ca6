"""A Django application with one model, whose objects have a date and a file: what its admin needs a browser and an upload for."""

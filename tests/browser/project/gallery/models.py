"""The one model."""

from django.db import models


class Picture(models.Model):
    title = models.CharField(max_length=100)
    taken = models.DateField(null=True, blank=True)
    file = models.FileField(upload_to="pictures", blank=True)

    def __str__(self):
        return self.title

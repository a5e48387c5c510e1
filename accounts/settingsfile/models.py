"""The model of rows that a settings file has created, because it removes no others."""

from django.db import models


class MadeByFile(models.Model):
    """A row that a settings file has created.

    This record remains after the row is gone, so that a used-up or revoked row is not created
    again.

    ``kind``: the kind of the row, such as ``apps``.
    ``mark``: identifies the row: see :meth:`Kind.mark`.
    """

    kind = models.CharField(max_length=40)
    mark = models.CharField(max_length=255)

    class Meta:
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=("kind", "mark"), name="made_by_a_file_once"),
        )

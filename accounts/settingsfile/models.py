"""Which rows a settings file has made, so that nothing else is ever removed by one."""

from django.db import models


class MadeByFile(models.Model):
    """A row that a settings file has made.

    The row stays here after it is gone: what was used up or revoked is not made again.

    ``kind``: the kind of the row, such as ``apps``.
    ``mark``: what identifies the row; see :meth:`Kind.mark`.
    """

    kind = models.CharField(max_length=40)
    mark = models.CharField(max_length=255)

    class Meta:
        default_permissions = ()
        constraints = (
            models.UniqueConstraint(fields=("kind", "mark"), name="made_by_a_file_once"),
        )

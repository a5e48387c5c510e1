"""Stores whether a user is a superuser, and says whether the user has superuser rights now."""

from typing import Any, cast

from django.contrib.auth.models import PermissionsMixin
from django.db import models
from django.db.models.query_utils import DeferredAttribute

_STOCK = PermissionsMixin._meta.get_field("is_superuser")


class _Rights(DeferredAttribute):
    """Reads as false while the rights of the user are reduced. The stored value stays."""

    def __get__(self, instance: Any, cls: Any = None) -> Any:
        if instance is None:
            return self
        return super().__get__(instance, cls) and not instance.is_reduced

    def __set__(self, instance: Any, value: bool) -> None:
        instance.__dict__[self.field.attname] = value

    def stored(self, instance: models.Model) -> bool:
        """Return the value in the database."""
        value: bool = super().__get__(instance)
        return value


class SuperuserField(models.BooleanField):
    """The column ``is_superuser``. The attribute is false while the rights of a user are reduced.

    Django, its admin and other apps read the attribute, so all of them see the reduced rights.
    """

    descriptor_class = _Rights

    def pre_save(self, model_instance: models.Model, add: bool) -> bool:
        """Return the stored value: saving a user with reduced rights takes no rights away."""
        return _Rights(self).stored(model_instance)

    def value_from_object(self, obj: models.Model) -> Any:
        return _Rights(self).stored(obj)

    def deconstruct(self) -> Any:
        """Return the description of a ``BooleanField``, so that migrations see no change."""
        name, _path, args, kwargs = super().deconstruct()
        return name, "django.db.models.BooleanField", args, kwargs


class RightsMixin(PermissionsMixin):
    """The rights of a user.

    ``is_reduced``: whether this object has the rights of a manager in place of its own.
        ``sessions.elevation`` sets this on a superuser who makes a request without having taken
        superuser rights. It is never stored.
    """

    is_superuser = SuperuserField(_STOCK.verbose_name, default=False, help_text=_STOCK.help_text)
    is_reduced = False

    class Meta:
        abstract = True

    @property
    def holds_superuser(self) -> bool:
        """Whether the user is a superuser, also while the rights are reduced."""
        return cast(_Rights, type(self).is_superuser).stored(self)

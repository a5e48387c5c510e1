"""Helpers for the serializers of this site and of the operator's apps."""

from collections.abc import Collection, Mapping
from typing import Any, cast

from django.utils.translation import gettext as _
from rest_framework import serializers

from accounts.common.api import unknown


def require(sent: Collection[str], *alternatives: tuple[str, ...]) -> None:
    """Require that ``sent`` contains all names of one of ``alternatives``.

    Raises:
        ValidationError: no alternative is complete. The error names what the first one lacks.
    """
    if not any({*names} <= {*sent} for names in alternatives):
        missing = [name for name in alternatives[0] if name not in sent]
        faults = {name: [_("This field is required.")] for name in missing}
        raise serializers.ValidationError(faults, "required")


class Strict(serializers.Serializer[Any]):
    """Mixin for serializers that refuse members for which they have no field.

    The serializers of this site are checked by ``accounts.common.api.valid`` instead, which the
    generic views of REST framework do not call.
    """

    def to_internal_value(self, data: Any) -> Any:
        errors: dict[str, Any] = {}
        try:
            found = super().to_internal_value(data)
        except serializers.ValidationError as error:
            errors = dict(cast(dict[str, Any], error.detail))
        if isinstance(data, Mapping):
            errors |= unknown(data, self.fields)
        if errors:
            raise serializers.ValidationError(errors)
        return found

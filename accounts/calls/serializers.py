"""Serializers for apps of the operator."""

from collections.abc import Mapping
from typing import Any, cast

from rest_framework import serializers

from accounts.common.api import unknown


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

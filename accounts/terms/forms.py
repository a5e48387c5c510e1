"""The fields with which a person or a program accepts the terms of the site."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from rest_framework import serializers

from accounts.common.api import TextField
from accounts.common.config import LONGEST_TERMS_VERSION


class CheckboxInput(forms.CheckboxInput):
    """A check box whose value is the version of the terms that the page links to.

    Templates recognize check boxes by the name of this class.
    """

    def __init__(self) -> None:
        super().__init__(check_test=lambda value: value == settings.AUTHSITE.terms_version)

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        return data.get(name, "")

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context = super().get_context(name, value, attrs)
        context["widget"]["value"] = settings.AUTHSITE.terms_version
        return context


class TermsField(forms.CharField):
    """A check box to accept the current terms. Its value is their version."""

    def __init__(self) -> None:
        super().__init__(label=_label(), required=False, widget=CheckboxInput())

    def clean(self, value: Any) -> str:
        """Refuse a missing version, and a version that was replaced while the form was open."""
        if value != settings.AUTHSITE.terms_version:
            raise ValidationError(_("Read and accept the terms to create an account."))
        return str(value)


def _label() -> SafeString:
    link = format_html('<a href="{}" target="_blank">', settings.AUTHSITE.terms_url)
    return format_html(_("I accept the {link}terms{end}."), link=link, end=SafeString("</a>"))


class TermsSerializer(serializers.Serializer[Any]):
    """A call with which a person accepts the terms."""

    terms = TextField(
        required=False,
        max_length=LONGEST_TERMS_VERSION,
        help_text="The version of the terms that the person accepts: see `terms_required`.",
    )

    def get_fields(self) -> dict[str, serializers.Field[Any, Any, Any, Any]]:
        """Move ``terms`` to the end: generated clients use the order of fields for arguments."""
        fields = super().get_fields()
        return fields | {"terms": fields.pop("terms")}

    def validate_terms(self, version: str) -> str:
        if not settings.AUTHSITE.terms_version:
            raise serializers.ValidationError(_("Unknown field."), "unknown")
        return version

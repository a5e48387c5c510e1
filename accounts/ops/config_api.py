"""The API call that describes what this site offers, for programs with their own pages."""

from typing import Any

from django.conf import settings
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.common.api import Open, operation
from accounts.common.pages import absolute
from accounts.passwords.hashers import MAX_LENGTH
from accounts.signin.second_step import SecondMethod
from accounts.twofactor.webauthn import rp_id
from accounts.users import usernames


class ProviderSerializer(serializers.Serializer[Any]):
    """A provider with whose accounts people can sign in."""

    id = serializers.CharField(source="key")
    name = serializers.CharField()
    url = serializers.SerializerMethodField(help_text="The page that begins the sign-in.")

    def get_url(self, issuer: Any) -> str:
        """Return the URL of the page."""
        return absolute("provider_login", issuer.key)


class LanguageSerializer(serializers.Serializer[Any]):
    """A language of this site."""

    code = serializers.CharField()
    name = serializers.CharField(help_text="In the language itself.")


class LengthSerializer(serializers.Serializer[Any]):
    """The shortest and the longest value, in characters."""

    min = serializers.IntegerField()
    max = serializers.IntegerField()


class TermsOfSiteSerializer(serializers.Serializer[Any]):
    """The terms that people must accept."""

    url = serializers.URLField(source="terms_url")
    version = serializers.CharField(source="terms_version", help_text="Send it as `terms`.")


class ConfigSerializer(serializers.Serializer[Any]):
    """What this site offers."""

    site_name = serializers.CharField()
    signup = serializers.ChoiceField(["open", "invite", "closed"])
    terms = TermsOfSiteSerializer(allow_null=True, help_text="Null: there are none.")
    second_factor = serializers.ChoiceField(
        ["optional", "staff", "all"], help_text="Who needs a second factor."
    )
    factors = serializers.ListField(
        child=serializers.ChoiceField([*SecondMethod]),
        help_text="What people can use in the second step, in order of preference.",
    )
    support = serializers.CharField(help_text="Where people get help; may be empty.")
    providers = ProviderSerializer(many=True)
    languages = LanguageSerializer(many=True)
    username = LengthSerializer()
    password = LengthSerializer(
        help_text="Passwords that are easy to guess are refused, too: see `password/strength/`."
    )
    passkey_domain = serializers.CharField(help_text="The `rp.id` of passkeys (WebAuthn).")
    deletion_days = serializers.IntegerField(
        help_text="For how many days a deletion can be undone."
    )


class ConfigView(Open, APIView):
    """Show what this site offers."""

    @operation("get_config", response=ConfigSerializer)
    def get(self, _request: Request) -> Response:
        """Return what this site offers: who can sign up, how to sign in, and its rules."""
        config = settings.AUTHSITE
        shown = {
            "site_name": config.site_name,
            "signup": config.signup,
            "terms": config if config.terms_version else None,
            "second_factor": config.second_factor,
            "factors": [
                way for way in SecondMethod if way != SecondMethod.EMAIL or not config.is_strict
            ],
            "support": config.site_support,
            "providers": config.issuers,
            "languages": [{"code": code, "name": name} for code, name in settings.LANGUAGES],
            "username": {"min": 1, "max": usernames.MAX_LENGTH},
            "password": {"min": settings.AUTHSITE.shortest_password, "max": MAX_LENGTH},
            "passkey_domain": rp_id(),
            "deletion_days": config.deletion_days,
        }
        return Response(ConfigSerializer(shown).data)

"""Validators for ``AUTH_PASSWORD_VALIDATORS``, used by pages and commands."""

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.common.text import fold
from accounts.passwords.services import MIN_LENGTH, is_compromised

SHORTEST_WORD = 4
# How many characters a password needs in addition to the site's name: attackers guess
# "authsite2026" as early as "password2026".
LEFT = MIN_LENGTH - 4


class CompromisedPasswordValidator:
    """Refuse passwords that attackers try first (ASVS 6.2.4, 6.2.12)."""

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        if is_compromised(password):
            raise ValidationError(
                _(
                    "This password is on lists of passwords that attackers try first. Choose a "
                    "different password."
                ),
                code="password_compromised",
            )

    def get_help_text(self) -> str:
        return _("Your password can’t be one that attackers are known to try.")


class SiteWordsValidator:
    """Refuse passwords that are little more than the name of this site (ASVS 6.2.11).

    Attackers try such passwords first, because the name of the site is public.
    """

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        folded = fold(password)
        for word in map(fold, site_words()):
            if word in folded and len(folded.replace(word, "")) < LEFT:
                raise ValidationError(
                    _("This password is too similar to the name of this site."),
                    code="password_site_words",
                )

    def get_help_text(self) -> str:
        return _("Your password can’t be too similar to the name of this site.")


def site_words() -> list[str]:
    """Return the words of the site's name and the parts of its host name."""
    config = settings.AUTHSITE
    words = [config.site_name, *config.site_name.split(), *config.hostname.split(".")]
    return [word for word in words if len(word) >= SHORTEST_WORD]

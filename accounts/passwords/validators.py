"""What a new password must not be, for ``AUTH_PASSWORD_VALIDATORS``: pages and commands alike."""

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.common.text import fold
from accounts.passwords.services import MIN_LENGTH, is_compromised

SHORTEST_WORD = 4
# What must be there beside the site's name: "authsite2026" is guessed as soon as "password2026".
LEFT = MIN_LENGTH - 4


class CompromisedPasswordValidator:
    """Not one that attackers try first (ASVS 6.2.4, 6.2.12)."""

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        """``ValidationError`` for a known password."""
        if is_compromised(password):
            raise ValidationError(
                _("This password is on lists that attackers try first. Choose another one."),
                code="password_compromised",
            )

    def get_help_text(self) -> str:
        """The rule, for the admin and the command line."""
        return _("Your password can’t be one that attackers are known to try.")


class SiteWordsValidator:
    """Not little more than the name of this site, the word that its users share (ASVS 6.2.11)."""

    def validate(self, password: str, user: AbstractBaseUser | None = None) -> None:
        """``ValidationError`` for a password with too few characters beside the site's name."""
        folded = fold(password)
        for word in map(fold, site_words()):
            if word in folded and len(folded.replace(word, "")) < LEFT:
                raise ValidationError(
                    _("This password is little more than the name of this site."),
                    code="password_site_words",
                )

    def get_help_text(self) -> str:
        """The rule, for the admin and the command line."""
        return _("Your password can’t be little more than the name of this site.")


def site_words() -> list[str]:
    """What anybody would try here first: the site's name, its words, the parts of its host."""
    config = settings.AUTHSITE
    words = [config.site_name, *config.site_name.split(), *config.hostname.split(".")]
    return [word for word in words if len(word) >= SHORTEST_WORD]

"""Refuses common passwords, and estimates how hard other passwords are to guess.

The score comes from zxcvbn (Wheeler, USENIX Security 2016), which models how attackers guess. Its
Rust implementation takes 5 ms for most passwords, and up to a quarter of a second for the worst
ones of 72 characters. It holds the interpreter lock for that time, so only one password is measured
at a time.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ValidationError
from django.utils.functional import Promise
from django.utils.text import format_lazy
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from zxcvbn_rs_py import Feedback, Suggestion, Warning, zxcvbn

from accounts.common.client_info import ClientInfo
from accounts.common.errors import Busy
from accounts.common.text import fold
from accounts.passwords import services
from accounts.passwords.services import MIN_LENGTH, is_compromised
from accounts.throttle import limits
from accounts.throttle.services import around, hit

LONGEST = 72
MOST_WORDS = 20
WAIT_SECONDS = 1.0
RETRY_AFTER_SECONDS = 3

_measuring = Lock()

LABELS = (
    gettext_lazy("Easy to guess."),
    gettext_lazy("Easy to guess."),
    gettext_lazy("Could be better."),
    gettext_lazy("Good."),
    gettext_lazy("Very good."),
)

_COMMON = gettext_lazy("This is one of the first passwords that attackers try.")
_KEYS = gettext_lazy("Keyboard patterns are easy to guess.")
_REPEATS = gettext_lazy("Repetition doesn’t help much.")
_DATES = gettext_lazy("Dates and years are easy to guess.")
_NAMES = gettext_lazy("Names are easy to guess.")
_CAPITALS = gettext_lazy("Capital letters don’t help much.")

# Pairs instead of dictionaries, because the members of these enums are not hashable.
WARNINGS: tuple[tuple[Warning, Promise], ...] = (
    (Warning.ThisIsATop10Password, _COMMON),
    (Warning.ThisIsATop100Password, _COMMON),
    (Warning.ThisIsACommonPassword, _COMMON),
    (
        Warning.ThisIsSimilarToACommonlyUsedPassword,
        gettext_lazy("Attackers try passwords like this one first."),
    ),
    (Warning.StraightRowsOfKeysAreEasyToGuess, _KEYS),
    (Warning.ShortKeyboardPatternsAreEasyToGuess, _KEYS),
    (Warning.RepeatsLikeAaaAreEasyToGuess, _REPEATS),
    (Warning.RepeatsLikeAbcAbcAreOnlySlightlyHarderToGuess, _REPEATS),
    (
        Warning.SequencesLikeAbcAreEasyToGuess,
        gettext_lazy("Sequences such as abc or 6543 are easy to guess."),
    ),
    (Warning.RecentYearsAreEasyToGuess, _DATES),
    (Warning.DatesAreOftenEasyToGuess, _DATES),
    (
        Warning.AWordByItselfIsEasyToGuess,
        gettext_lazy("A single word is easy to guess."),
    ),
    (Warning.NamesAndSurnamesByThemselvesAreEasyToGuess, _NAMES),
    (Warning.CommonNamesAndSurnamesAreEasyToGuess, _NAMES),
)
# Other suggestions of zxcvbn are left out, because they repeat a warning or the last sentence of
# every advice.
SUGGESTIONS: tuple[tuple[Suggestion, Promise], ...] = (
    (Suggestion.CapitalizationDoesntHelpVeryMuch, _CAPITALS),
    (Suggestion.AllUppercaseIsAlmostAsEasyToGuessAsAllLowercase, _CAPITALS),
    (
        Suggestion.ReversedWordsArentMuchHarderToGuess,
        gettext_lazy("Writing a word backwards doesn’t help much."),
    ),
    (
        Suggestion.PredictableSubstitutionsDontHelpVeryMuch,
        gettext_lazy("Writing 4 for a, or 0 for o, doesn’t help much."),
    ),
)


@dataclass(frozen=True)
class Strength:
    """The strength of a password.

    ``score`` is a number from 0 to 4, and ``label`` describes it in words. ``advice`` is empty if
    the score is 3 or 4.
    """

    score: int
    label: str
    advice: str


def measure_for(client: ClientInfo, password: str, words: Iterable[str]) -> Strength:
    """Return the strength of ``password`` for ``client``, without a sign-in.

    Raises:
        RateLimited: too many passwords were measured.
        Busy: the measurement of another password took too long.
    """
    hit(*around(limits.STRENGTH_NETWORK, client), limits.STRENGTH_EVERYONE.of())
    return measure(password, words)


def measure(password: str, words: Iterable[str] = ()) -> Strength:
    """Return the strength of ``password``.

    Attackers are assumed to know ``words``, such as a name or an email address. Common and short
    passwords get the score 0.

    Raises:
        Busy: the measurement of another password took too long.
    """
    if is_compromised(password):
        return _strength(0, [_COMMON, gettext_lazy("Choose a different password.")])
    shortest = settings.AUTHSITE.shortest_password
    if len(password) < shortest:
        advice = gettext_lazy("Use at least {shortest} characters.")
        return _strength(0, [format_lazy(advice, shortest=shortest)])
    with _slot():
        result = zxcvbn(password[:LONGEST], [*_split(words), *site_words()])
    return _strength(int(result.score), _advice(result.feedback) if result.feedback else [])


def _strength(score: int, advice: list[Promise]) -> Strength:
    return Strength(score, str(LABELS[score]), " ".join(map(str, advice)))


def _advice(feedback: Feedback) -> list[Promise]:
    sentences = [text for warning, text in WARNINGS if warning == feedback.warning]
    sentences += [text for suggestion, text in SUGGESTIONS if suggestion in feedback.suggestions]
    return [*sentences, gettext_lazy("Add one or two uncommon words.")]


def _split(words: Iterable[str]) -> list[str]:
    """Return the words and their parts, such as the local part and domain of an email address."""
    parts = [part for word in words for part in (word, *re.split(r"[\W_]+", word))]
    return [part[:LONGEST] for part in parts if part][:MOST_WORDS]


@contextmanager
def _slot() -> Iterator[None]:
    if not _measuring.acquire(timeout=WAIT_SECONDS):
        raise Busy(RETRY_AFTER_SECONDS)
    try:
        yield
    finally:
        _measuring.release()


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


def pwned_passwords_file(**_options: Any) -> list[CheckMessage]:
    """Check that ``PWNED_PASSWORDS_FILE`` is a readable copy of Have I Been Pwned.

    Returns an error if the file is missing, unreadable or in another format.
    """
    path = settings.AUTHSITE.pwned_passwords_file
    if not path:
        return []
    try:
        first = services.first_hash(path)
    except OSError as error:
        return [Error(f"PWNED_PASSWORDS_FILE can't be read: {error}", id="accounts.E001")]
    if re.fullmatch(rb"[0-9A-F]{40}", first):
        return []
    hint = "The list of SHA-1 hashes, sorted by hash; not the one of NTLM, nor a compressed one."
    return [Error(f"PWNED_PASSWORDS_FILE {path} has no lines HASH:COUNT", hint, id="accounts.E002")]

"""Issuing, trying and spending mailed secrets.

A code is short and is tried for a known subject: every try costs one of five before it's looked
at, in the database, so parallel guesses can't exceed them. A link is 256 bits and names its
subject by itself. Either is spent by the one DELETE that finds it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import F, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.codes.models import Code
from accounts.common import clock, secrets
from accounts.common.errors import Later, PublicError

CODE_LIFE = timedelta(minutes=15)
CODE_TRIES = 5


@dataclass(frozen=True)
class Purpose:
    """What a secret is for; one made for another purpose never fits."""

    name: str
    life: timedelta = CODE_LIFE


def issue_code(purpose: Purpose, subject: object, email: str = "") -> str:
    """A new eight-character code, good for 5 tries; an older one is no longer good.

    ``email`` is the canonical form of the one that it is mailed to, and that it proves.
    """
    code = secrets.code()
    _keep(purpose, subject, code, email)
    return code


def issue_link(purpose: Purpose, subject: object, email: str = "") -> str:
    """A new secret for a link; an older one is no longer good."""
    token = secrets.token()
    _keep(purpose, subject, token, email)
    return token


class WrongCode(PublicError):
    """A mailed code was not accepted. Whatever the reason, the answer is the same."""

    code = "invalid_code"
    message = _("That code is not right, or not any more. Check it, or ask for a new mail.")


class LinkSpent(PublicError):
    """A mailed link was used, has expired, or what it was for has changed."""

    code = "link_spent"
    status = 404
    message = _("This link is not good any more.")


class UsedUp(PublicError):
    """The code has had all its tries: not even the right one is good any more."""

    code = "invalid_code"
    message = gettext_lazy("That code was tried too often. Ask for a new one.")


def try_code(purpose: Purpose, subject: object, typed: str) -> bool:
    """Return whether ``typed`` is the code, at the price of a try. It's good until :func:`spend`.

    Call it outside the transaction that spends, or a failure there would give the try back.

    Raises:
        UsedUp: there are no tries left.
    """
    live = _live(purpose).filter(subject=str(subject))
    is_counted = live.filter(tries_left__gt=0).update(tries_left=F("tries_left") - 1)
    row = live.first()
    if row is None:
        return False
    is_right = bool(is_counted) and row.digest in _digests(purpose, typed)
    if row.tries_left == 0 and not is_right:
        raise UsedUp
    return is_right


def renewed(send: Callable[[], object]) -> str:
    """Send a new code in place of one that is used up, within the limits; return what to say."""
    try:
        send()
    except Later:
        return _("That code was tried too often. Ask for a new one in a few minutes.")
    return _("That code was tried too often. We’ve emailed you a new one.")


def subject_of(purpose: Purpose, token: str) -> str | None:
    """Whom a link's secret is for, or None when it isn't good (any more)."""
    found = find_link(purpose, token)
    return found.subject if found else None


def find_link(purpose: Purpose, token: str) -> Code | None:
    """What a link's secret stands for, or None when it isn't good (any more)."""
    return _live(purpose).filter(digest__in=_digests(purpose, token)).first()


def subjects_of(purpose: Purpose, email: str, typed: str) -> list[str]:
    """Whom a code is for that was mailed to ``email``, for who can't say. It costs no try:
    whoever calls this counts the guesses, or strangers could use the owner's up."""
    fitting = _live(purpose).filter(email=email, digest__in=_digests(purpose, typed))
    return list(fitting.filter(tries_left__gt=0).values_list("subject", flat=True))


def spend(purpose: Purpose, subject: object, secret: str, email: str = "") -> bool:
    """Use a code or a link up; whether it was there, mailed to ``email``. One of many gets it."""
    rows = _live(purpose).filter(subject=str(subject), digest__in=_digests(purpose, secret))
    rows = rows.filter(email=email)
    return rows.delete()[0] == 1


def issued(purpose: Purpose, prefix: str) -> QuerySet[Code]:
    """What is good for subjects that begin with ``prefix``."""
    return _live(purpose).filter(subject__startswith=prefix)


def withdraw(purpose: Purpose, subject: object) -> None:
    """End what was issued, if anything was."""
    Code.objects.filter(purpose=purpose.name, subject=str(subject)).delete()


def _live(purpose: Purpose) -> QuerySet[Code]:
    return Code.objects.filter(purpose=purpose.name, expires_at__gt=clock.now())


def _keep(purpose: Purpose, subject: object, secret: str, email: str) -> None:
    row = Code(
        purpose=purpose.name,
        subject=str(subject),
        email=email,
        digest=_digests(purpose, secret)[0],
        tries_left=CODE_TRIES,
        expires_at=clock.now() + purpose.life,
    )
    Code.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=["purpose", "subject"],
        update_fields=["email", "digest", "tries_left", "expires_at"],
    )


def _digests(purpose: Purpose, secret: str) -> list[str]:
    return secrets.digests(secret, f"code:{purpose.name}")

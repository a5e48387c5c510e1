"""Issues, checks and redeems emailed codes and links; records the use of values that work once.

Each code or link has a subject: a string that identifies the account, sign-up or request for which
it was issued. A code has eight digits, so it is checked for a known subject and allows five
attempts: the probability that one of them succeeds by chance is 5 in 100 million. The database
counts each attempt before the code is compared, so that parallel guesses cannot exceed the limit. A
link contains a secret of 256 bits, so the secret alone identifies the subject.

A single DELETE finds and deletes a code or link, so that it works only once.
"""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.codes.models import Code, UsedOnce
from accounts.common import clock, secrets
from accounts.common.database import delete_in_batches, parameter
from accounts.common.errors import PublicError, RateLimited

_INSERT = (
    f"INSERT INTO {UsedOnce._meta.db_table} (key, until) VALUES (%s, %s) ON CONFLICT DO NOTHING"  # noqa: S608 nothing but the name of a table
)


def use_once(purpose: str, digest: str, until: datetime) -> bool:
    """Record that a value that works once was used; return False if it was used before.

    The INSERT decides which of several simultaneous requests may use it (CVE-2022-42731).

    ``digest``: identifies the value among those with the same ``purpose``, in hexadecimal digits.
    ``until``: when the last node, even one whose clock is behind, stops accepting the value.
    """
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [_key(purpose, digest), parameter(until)])
        is_first = bool(cursor.rowcount)
    # The digest is evenly distributed, so one call in 256 deletes expired rows and the table stays
    # small.
    if digest.startswith("00"):
        transaction.on_commit(prune)
    return is_first


def prune() -> int:
    """Delete the records of expired values; return how many were deleted."""
    return delete_in_batches(UsedOnce.objects.filter(until__lte=clock.now()))


def _key(purpose: str, digest: str) -> str:
    return f"{purpose} {digest}"


# ASVS 6.5.5.
CODE_LIFE = timedelta(minutes=10)
CODE_TRIES = 5
# The attempts at a code that a client has who knows only the email address: see ``try_codes``.
STRANGERS_TRIES = 2
# How many codes or links one statement inserts.
AT_ONCE = 1000


@dataclass(frozen=True)
class Purpose:
    """The purpose and lifetime of an emailed code or link, which is valid for no other purpose."""

    name: str
    life: timedelta = CODE_LIFE


def issue_code(purpose: Purpose, subject: object, email: str = "", *, is_sent: bool = True) -> str:
    """Return a new code of eight digits. It allows five attempts and replaces an earlier code.

    Args:
        purpose: the only purpose for which the code is valid.
        subject: identifies the person that the code is for.
        email: the canonical form of the email address to which the code is sent. The code is a
            proof of this address.
        is_sent: whether the code is sent. If not, no code is accepted, so that requests beyond the
            limits of a mailbox give strangers no further guesses. Attempts are still counted.
    """
    code = secrets.digits(8)  # 100 million codes
    _store(purpose, [(subject, email, code if is_sent else secrets.token())])
    return code


def issue_link(purpose: Purpose, subject: object, email: str = "") -> str:
    """Return a new secret for a link. It replaces an earlier link for the same subject.

    ``email`` is the canonical form of the email address to which the link is sent. The link is a
    proof of this address.
    """
    return issue_links(purpose, [(subject, email)])[0]


def issue_links(purpose: Purpose, recipients: Iterable[tuple[object, str]]) -> list[str]:
    """Return a new secret for a link to each of ``recipients``, as :func:`issue_link` does.

    ``recipients``: the subject and the email address of each. No two subjects are the same.
    """
    rows = [(subject, email, secrets.token()) for subject, email in recipients]
    _store(purpose, rows)
    return [token for _subject, _email, token in rows]


class WrongCode(PublicError):
    """An emailed code was not accepted. The message is the same for every reason."""

    code = "invalid_code"
    message = gettext_lazy("That code is wrong or has expired. Check it, or ask for a new one.")


class LinkEnded(PublicError):
    """An emailed link was already used, has expired, or does not apply any more."""

    code = "link_spent"
    status = 404
    message = gettext_lazy("This link doesn’t work any more.")


class UsedUp(PublicError):
    """A code has no attempts left, so even the right code is no longer accepted."""

    code = "invalid_code"
    message = gettext_lazy("Too many wrong codes. Ask for a new one.")


def try_code(purpose: Purpose, subject: object, typed: str) -> bool:
    """Count one attempt at the code for ``subject``, and return whether ``typed`` is the code.

    A right code stays valid until :func:`redeem` deletes it. Call this function outside the
    transaction that calls :func:`redeem`, because a rollback would undo the count.

    Raises:
        UsedUp: the last attempt was wrong, or no attempts were left.
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
    """Call ``send`` to replace a code without attempts left; return the message for the user."""
    try:
        send()
    except RateLimited:
        return _("Too many wrong codes. Ask for a new one in a few minutes.")
    return _("Too many wrong codes. We’ve emailed you a new one.")


def subject_of(purpose: Purpose, token: str) -> str | None:
    """Return the subject of the link with the secret ``token``, or None if it is invalid."""
    row = find_link(purpose, token)
    return row.subject if row else None


def find_link(purpose: Purpose, token: str) -> Code | None:
    """Return the row of the link with the secret ``token``, or None if it is invalid."""
    return _live(purpose).filter(digest__in=_digests(purpose, token)).first()


@transaction.atomic
def try_codes(purpose: Purpose, email: str, typed: str, *, own: Collection[str]) -> list[str]:
    """Count one attempt at each code that was sent to ``email``; return the subjects of right ones.

    Call this function, instead of :func:`try_code`, if the client knows only ``email``. Such a
    client may be a stranger. Therefore it may use only :data:`STRANGERS_TRIES` attempts at a code,
    so that the others are left for the person who has the code. A right code stays valid until
    :func:`redeem` deletes it.

    ``own``: the subjects whose codes the client may try as often as the code allows.
    """
    is_allowed = Q(tries_left__gt=CODE_TRIES - STRANGERS_TRIES) | Q(subject__in=own)
    allowed = _live(purpose).filter(is_allowed, email=email, tries_left__gt=0)
    rows = list(allowed.select_for_update().order_by("pk"))
    allowed.update(tries_left=F("tries_left") - 1)
    right = _digests(purpose, typed)
    return [row.subject for row in rows if row.digest in right]


def redeem(purpose: Purpose, subject: object, secret: str, email: str = "") -> bool:
    """Delete a code or link, and return whether it was valid and was sent to ``email``.

    Of several simultaneous calls, only one returns True.
    """
    rows = _live(purpose).filter(subject=str(subject), email=email)
    return bool(rows.filter(digest__in=_digests(purpose, secret)).delete()[0])


def issued(purpose: Purpose, prefix: str) -> QuerySet[Code]:
    """Return the valid codes and links whose subject begins with ``prefix``."""
    return _live(purpose).filter(subject__startswith=prefix)


def withdraw(purpose: Purpose, subject: object) -> None:
    """Delete the code or link for ``subject``, if there is one."""
    Code.objects.filter(purpose=purpose.name, subject=str(subject)).delete()


def _live(purpose: Purpose) -> QuerySet[Code]:
    return Code.objects.filter(purpose=purpose.name, expires_at__gt=clock.now())


def _store(purpose: Purpose, issued: Iterable[tuple[object, str, str]]) -> None:
    """Store codes or links, each with its subject, the email address and the secret."""
    rows = [
        Code(
            purpose=purpose.name,
            subject=str(subject),
            email=email,
            digest=_digests(purpose, secret)[0],
            tries_left=CODE_TRIES,
            expires_at=clock.now() + purpose.life,
        )
        for subject, email, secret in issued
    ]
    Code.objects.bulk_create(
        rows,
        batch_size=AT_ONCE,
        update_conflicts=True,
        unique_fields=["purpose", "subject"],
        update_fields=["email", "digest", "tries_left", "expires_at"],
    )


def _digests(purpose: Purpose, secret: str) -> list[str]:
    return secrets.digests(secret, f"code:{purpose.name}")

"""Finds, creates and changes users. Unique keys in the database prevent duplicate names."""

import uuid
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, cast

from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models, transaction
from django.db.models import F, Q, QuerySet
from django.dispatch import receiver
from django.utils.translation import gettext_lazy as _

from accounts.common import clock, secrets
from accounts.common.database import P, PreparedQueries, PreparedQuery, Row
from accounts.common.errors import PublicError
from accounts.common.personal_data import Person
from accounts.common.signals import superuser_requested
from accounts.common.text import fold
from accounts.recovery.rule import AT_CREATION
from accounts.users import emails, skeletons, usernames
from accounts.users.models import (
    BlockedName,
    EmailAddress,
    FormerCredential,
    NameSkeleton,
    PendingSignup,
    User,
    Username,
)

_VOUCHED = PreparedQuery(
    lambda: EmailAddress.objects.filter(user=P("user"), email=P("email"), vouched_at__isnull=False)
)
BY_EMAIL = PreparedQuery(lambda: User.objects.filter(emails__key=P("key")))
# A query for a user and a pending sign-up: the same statement, whichever of them exists.
BY_USERNAME = PreparedQueries(
    PreparedQuery(lambda: User.objects.filter(username_key=P("key"))),
    PreparedQuery(
        lambda: PendingSignup.objects.filter(username_key=P("key"), expires_at__gt=P("now"))
    ),
)


_EMAILS = PreparedQuery(
    lambda: EmailAddress.objects.filter(user=P("user")).order_by("confirmed_at", "pk")
)


def emails_of(user: User) -> list[EmailAddress]:
    """Return the confirmed email addresses of ``user``, oldest first."""
    return _EMAILS.all(user=user.pk)


class OwnedQuery[M: models.Model]:
    """A prepared SELECT of rows with a foreign key ``user``, each with the user and their groups.

    It is a single SQL statement, because it runs at each API call. Rows of deactivated users are
    never found.

    ``build``: returns the query set.
    ``only``: the fields to select, as for ``QuerySet.only()``; all if it is empty.
    ``related``: the name of a one-to-one relation to a row that is loaded, too.
    """

    def __init__(
        self, build: Callable[[], QuerySet[M]], *, only: Collection[str] = (), related: str = ""
    ) -> None:
        self._build, self._only, self._related = build, only, related
        self._query: PreparedQuery[M] = PreparedQuery(self._rows)

    def first(self, **values: Any) -> M | None:
        """Return the first row as a model instance, or None if there is none."""
        rows = self.rows(**values)
        return self.instance(rows) if rows else None

    def rows(self, **values: Any) -> tuple[Row, ...]:
        """Return the rows for one instance: one for each group of the user, but at least one."""
        return self._query.rows(**values)

    def instance(self, rows: tuple[Row, ...]) -> M:
        """Return the model instance, with its user and the names of the user's groups.

        ``rows``: a result of :meth:`rows`. The rows differ only in the group.
        """
        instance: Any = self._query.instance(rows[0])
        groups = self._query.annotation("group", rows)
        instance.user.group_names = sorted(name for name in groups if name is not None)
        return cast(M, instance)

    def _rows(self) -> QuerySet[Any]:
        found: QuerySet[Any] = self._build().filter(user__is_active=True)
        if self._only:
            found = found.only(*self._only)
        related = ("user", self._related) if self._related else ("user",)
        return found.select_related(*related).annotate(group=F("user__groups__name"))


FORMER_NAME_LIFE = timedelta(days=30)


class UsernameTaken(PublicError):
    """The username is taken, or looks like one that is taken."""

    code = "username_taken"
    message = _("That username is taken. Choose another one.")


class AccountChanged(PublicError):
    """The account was changed after this request had read it, perhaps in another browser."""

    code = "outdated"
    status = 409
    message = _("Your account was changed in the meantime. Check your account, then try again.")


class DecidedElsewhere(PublicError):
    """The directory that manages the person decides this value, so it cannot be changed here."""

    code = "decided_elsewhere"
    status = 403
    message = _("Your organisation decides this. Ask your organisation for changes.")


# The fields of a profile that the directory of a person decides. It also decides the username and
# the primary email address.
DECIDED = frozenset({"display_name", "given_name", "family_name"})


_MANAGER: PreparedQuery[Any] = PreparedQuery(
    lambda: User.objects.filter(pk=P("user")).values_list("managed__directory__name")
)


def manager_of(user: User) -> str:
    """Return the name of the directory that manages ``user`` by SCIM; empty if none does."""
    return next((name for (name,) in _MANAGER.rows(user=user.pk) if name), "")


def refuse_managed(user: User) -> None:
    """Require that no directory manages ``user``, and so decides the name and the address.

    Raises:
        DecidedElsewhere: a directory manages ``user``.
    """
    if manager_of(user):
        raise DecidedElsewhere


class EmailTaken(PublicError):
    """Another account has the email address. Only its owner or an operator may see this."""

    code = "email_taken"
    message = _("That email address belongs to another account.")


def person_of(user: User, *, is_erased: bool = False) -> Person:
    """Return the values that identify ``user`` in the tables with personal data.

    Unconfirmed addresses are left out, because anybody can add the address of another person.

    ``is_erased``: include removed addresses that no other account has now. An export leaves them
        out, because emails to them may concern their next owner.
    """
    emails_of = set(user.emails.values_list("key", flat=True))
    if is_erased:
        former = user.former_credentials.filter(kind=FormerCredential.Kind.EMAIL)
        taken = EmailAddress.objects.exclude(user=user).values("key")
        emails_of.update(former.exclude(key__in=taken).values_list("key", flat=True))
    pending = user.pending_emails.values_list("pk", flat=True)
    of_apps = user.login_sessions.values_list("pairwise_subject", flat=True)
    reserved = Username.objects.filter(former=user).values_list("key", flat=True)
    return Person(
        user.pk,
        names=frozenset({user.username_key, *reserved}),
        emails=frozenset(emails_of),
        subjects=frozenset({user.pk, *pending, *filter(None, of_apps)}),
    )


def login_key(login: str) -> str:
    """Return the canonical form of a typed username or email address, which need not exist."""
    try:
        return emails.key(emails.clean(login)) if "@" in login else usernames.key(login)
    except ValidationError:
        return fold(login)


def find_by_login(login: str) -> User | PendingSignup | None:
    """Return the user or pending sign-up that ``login`` names, or None.

    ``login``: a username or an email address; case is ignored. Pending sign-ups are not found by
        email address, because it is not confirmed yet. Every login costs one query and the creation
        of one object, so that the time does not reveal whether it exists.
    """
    key = login_key(login)
    if "@" in key:
        found = BY_EMAIL.first(key=key)
    else:
        user, pending = BY_USERNAME.firsts(key=key, now=clock.now())
        found = user or pending
    if found is None:
        BY_EMAIL.imitate()
    return found


_BY_ID = PreparedQuery(lambda: User.objects.filter(pk=P("id")))


def find_by_id(text: str) -> User | None:
    """Return the user with the public id ``text``, or None if there is none."""
    try:
        return _BY_ID.first(id=uuid.UUID(text))
    except ValueError:
        return None


def take_username(name: str, *, until: datetime | None, former: User | None = None) -> None:
    """Reserve the username ``name`` in the database.

    Args:
        name: the username.
        until: the time at which the name becomes free again, or None to take it permanently.
        former: the user who is renamed, or None. A name that is reserved for this user counts
            as free.

    Raises:
        UsernameTaken: the name, or a look-alike, is taken or belonged to an account that was
            deleted in the last year.
    """
    key, looks = usernames.key(name), usernames.skeletons(name)
    keys = {key} | skeletons.held_by(looks)
    delete_signups(PendingSignup.objects.filter(username_key__in=keys, expires_at__lte=clock.now()))
    free = Q(held_until__lte=clock.now())
    if former:
        free |= Q(former=former)
    Username.objects.filter(free, key__in=keys).delete()
    try:
        with transaction.atomic():
            if former is None or key != former.username_key:
                Username.objects.create(key=key, held_until=until)
            skeletons.hold(key, looks, instead_of=former)
            # This comes after the insert, because an erasure releases and blocks a name in one
            # transaction.
            if skeletons.blocked(looks):
                raise UsernameTaken
    except IntegrityError:
        raise UsernameTaken from None


def take_similar_username(wanted: str) -> str:
    """Reserve the username ``wanted``, or a similar one if it is taken, and return it.

    A similar name has a number appended, such as ``alice-2``.

    Raises:
        UsernameTaken: all names that were tried are taken.
    """
    numbered = [wanted, *(f"{wanted}-{n}" for n in range(2, 10))]
    looks = {name: usernames.skeletons(name) for name in numbered}
    taken = skeletons.taken(set().union(*looks.values()))
    free = [name for name in numbered if taken.isdisjoint(looks[name])]
    for name in (*free[:1], *(f"{wanted}-{secrets.digits(6)}" for _attempt in range(3))):
        with suppress(UsernameTaken):
            take_username(name, until=None)
            return name
    raise UsernameTaken


def create_user(
    username: str,
    password: str,
    *,
    id: uuid.UUID | None = None,
    staff: bool = False,
    language: str = "",
) -> User:
    """Create a user with a username that the caller has taken with :func:`take_username`.

    Args:
        username: the username.
        password: the hash of the password.
        id: the id of the user, if a pending sign-up has reserved one.
        staff: whether the user is an administrator.
        language: the language of the user's emails and pages, or "" if unknown.

    Raises:
        UsernameTaken: the same sign-up has already become a user.
    """
    user = User(
        username=username,
        username_key=usernames.key(username),
        password=password,
        language=language,
        is_staff=staff,
        is_superuser=staff,
    )
    user.id = id or user.id
    try:
        with transaction.atomic():
            user.save(force_insert=True)
    except IntegrityError:
        if User.objects.filter(Q(pk=user.pk) | Q(username_key=user.username_key)).exists():
            raise UsernameTaken from None
        raise
    return user


def keep_username(signup: PendingSignup) -> None:
    """Delete the pending sign-up, and make its username permanently taken.

    Raises:
        UsernameTaken: the sign-up has expired, or was already completed.
    """
    running = PendingSignup.objects.filter(pk=signup.pk, expires_at__gt=clock.now())
    if not running.delete()[0]:
        raise UsernameTaken
    Username.objects.filter(key=signup.username_key).update(held_until=None)


def lock_row(user: User) -> User:
    """Lock the row of ``user`` until the transaction ends; return the user as read under the lock.

    Other transactions can still write rows with a foreign key to the user (``FOR NO KEY UPDATE``),
    because they may already have a lock that this transaction needs next.

    Raises:
        AccountChanged: the account was deactivated or its credentials were changed since
            ``user`` was read, so the person who made the request may no longer be the owner.
    """
    as_read = User.objects.select_for_update(no_key=True).filter(
        pk=user.pk, credential_version=user.credential_version, is_active=True
    )
    if held := as_read.first():
        return held
    raise AccountChanged


def lock_row_as_is(user: User) -> User:
    """Lock and return the row of ``user``, even if the account was deactivated or changed.

    Raises:
        AccountChanged: the account was erased since ``user`` was read.
    """
    if held := User.objects.select_for_update(no_key=True).filter(pk=user.pk).first():
        return held
    raise AccountChanged


@transaction.atomic
def rename(
    user: User,
    name: str,
    *,
    held: timedelta = FORMER_NAME_LIFE,
    lock: Callable[[User], User] = lock_row,
) -> User:
    """Change the username of ``user`` to ``name``, and return the changed user.

    The former name is reserved for ``held``, because the user may want it back. Nobody can sign in
    with it.

    ``name``: the new username in the form that ``usernames.clean`` returns.
    ``lock``: :func:`lock_row`, or :func:`lock_row_as_is` if the account may be deactivated.

    Raises:
        UsernameTaken: the name is taken, or looks like one that is taken.
        AccountChanged: the account was changed after ``user`` was read from the database.
    """
    owner = lock(user)
    key, former = usernames.key(name), owner.username_key
    # This also covers a change of case, which can make a name look like another person's.
    take_username(name, until=None, former=owner)
    if key != former:
        until = clock.now() + held
        Username.objects.filter(key=former).update(held_until=until, former=owner)
    owner.username, owner.username_key, owner.updated_at = name, key, clock.now()
    owner.save(update_fields=["username", "username_key", "updated_at"])
    return owner


def block_names(user: User, keys: Collection[str]) -> None:
    """Release the usernames ``keys`` of ``user``, whose account is being deleted, and block them.

    For a year, nobody can take one of them, or a name that looks the same.
    """
    stored = NameSkeleton.objects.filter(name__in=keys).values_list("skeleton", flat=True)
    skeletons.block({*stored, *usernames.skeletons(user.username)})
    Username.objects.filter(key__in=keys).delete()


def prune_names() -> int:
    """Delete former usernames that are no longer reserved or blocked; return how many."""
    now = clock.now()
    ended = Username.objects.filter(held_until__lte=now, former__isnull=False)
    return ended.delete()[0] + BlockedName.objects.filter(until__lte=now).delete()[0]


def confirm_email(user: User, email: str) -> None:
    """Add the confirmed email address ``email`` to ``user``; make it primary if it is the first.

    Pending sign-ups with the same email address are deleted.

    Raises:
        EmailTaken: an account already has the email address.
    """
    key, now = emails.key(email), clock.now()
    # The email address of the sign-up counts as old as the account: see ``recovery.rule``.
    is_first = not user.email and now < user.date_joined + AT_CREATION
    at = user.date_joined if is_first else now
    try:
        with transaction.atomic():
            EmailAddress.objects.create(user=user, email=email, key=key, confirmed_at=at)
    except IntegrityError:
        raise EmailTaken from None
    delete_signups(PendingSignup.objects.filter(email_key=key).exclude(pk=user.pk))
    if not user.email:
        user.save_email(email)


def note_answer(email_key: str) -> None:
    """Record that the mailbox ``email_key`` has answered: see :class:`EmailAddress`."""
    rows = EmailAddress.objects.filter(key=email_key, vouched_at__isnull=False)
    if rows.update(vouched_at=None):
        User.objects.filter(emails__key=email_key).update(updated_at=clock.now())


def is_email_verified(user: User) -> bool:
    """Return whether the mailbox of the primary email address of ``user`` is verified.

    ``User.email`` is always a confirmed address, but perhaps only Support has confirmed it.
    """
    return user.email != "" and _VOUCHED.first(user=user.pk, email=user.email) is None


def delete_signups_for(email: str) -> None:
    """Delete the pending sign-ups with the email address ``email``; release their usernames."""
    delete_signups(PendingSignup.objects.filter(email_key=emails.key(email)))


def unlock(user: User) -> None:
    """Unlock an account, which then has no password; invalidate its emailed links."""
    rows = User.objects.filter(pk=user.pk, password=user.password)
    if rows.update(password=make_password(None)):
        void_proofs_and_links(user)
        user.refresh_from_db()


def delete_signups(rows: QuerySet[PendingSignup]) -> int:
    """Delete the pending sign-ups ``rows``, release their usernames, and return their number."""
    held = dict(rows.values_list("pk", "username_key"))
    PendingSignup.objects.filter(pk__in=held).delete()
    Username.objects.filter(key__in=held.values(), held_until__isnull=False).delete()
    return len(held)


def create_administrator(username: str, email: str, password: str, *, language: str = "") -> User:
    """Create a superuser with a confirmed email address, on behalf of the operator.

    ``password``: a password hash. The username may be a reserved one.

    Raises:
        ValidationError: the username or email address is invalid.
        UsernameTaken: the username is taken, or looks like one that is taken.
        EmailTaken: an account already has the email address.
    """
    username = usernames.clean(username, by_operator=True)
    email = emails.clean(email) if email else ""
    with transaction.atomic():
        take_username(username, until=None)
        user = create_user(username, password, staff=True, language=language)
        if email:
            confirm_email(user, email)
    return user


@receiver(superuser_requested)
def _create_requested(username: str, email: str, password: str, **_signal: Any) -> None:
    create_administrator(username, email, password)


def replace_password(owner: User, hashed: str) -> None:
    """Replace the password hash of ``owner`` and store the old one, in the caller's transaction."""
    now = clock.now()
    owner.keep_password(now)
    User.objects.filter(pk=owner.pk).update(password=hashed, password_at=now)


def void_proofs_and_links(user: User) -> None:
    """Invalidate all proofs and emailed links of ``user`` by increasing ``credential_version``.

    Pending sign-ins and emailed links contain the version for which they were created.
    """
    User.objects.filter(pk=user.pk).update(credential_version=F("credential_version") + 1)

"""Finding and making users. What is unique is decided by the database, never by a look before."""

import uuid
from contextlib import suppress
from datetime import datetime, timedelta

from django.contrib.auth.hashers import make_password
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import F, Q, QuerySet
from django.utils.translation import gettext_lazy as _

from accounts.common import clock, secrets
from accounts.common.errors import PublicError
from accounts.common.text import fold
from accounts.users import emails, former_credentials, skeletons, usernames
from accounts.users.disputes import AT_ONCE
from accounts.users.models import Address, PendingSignup, User, Username

FORMER_NAME_LIFE = timedelta(days=30)


class UsernameTaken(PublicError):
    """Somebody holds that name, in any case or writing, or one that looks the same."""

    code = "username_taken"
    message = _("That username is taken. Choose another.")


class AccountChanged(PublicError):
    """The account was changed at the same moment, perhaps by its owner elsewhere."""

    code = "outdated"
    status = 409
    message = _("Your account was changed at the same moment. Look at it again.")


class AddressTaken(PublicError):
    """Somebody has confirmed that address. Only told to those who may know."""

    code = "email_taken"
    message = _("That email address belongs to another account.")


def login_key(login: str) -> str:
    """The canonical form of a typed name or address, whether anybody has it or not."""
    try:
        return emails.key(emails.clean(login)) if "@" in login else usernames.key(login)
    except ValidationError:
        return fold(login)


def find(login: str) -> User | PendingSignup | None:
    """Who signs in with that name or address, in any case, or None.

    An address finds users only: a pending sign-up's address is nobody's yet. Known and unknown
    names cost the same two queries, addresses one.
    """
    key = login_key(login)
    if "@" in key:
        return User.objects.filter(addresses__key=key).first()
    user = User.objects.filter(username_key=key).first()
    pending = PendingSignup.objects.filter(username_key=key, expires_at__gt=clock.now()).first()
    return user or pending


def find_by_id(text: str) -> User | None:
    """The user of that public id, or None."""
    try:
        return User.objects.filter(pk=uuid.UUID(text)).first()
    except ValueError:
        return None


def hold_name(name: str, *, until: datetime | None, former: User | None = None) -> None:
    """Hold ``name`` until then, or for good; :class:`UsernameTaken`.

    Neither the name nor what it looks like may be held by somebody else. A hold that ended is free,
    and one that is kept for ``former``, who takes another name, is free to that person.
    """
    key, looks = usernames.key(name), usernames.skeletons(name)
    keys = {key} | skeletons.held_by(looks)
    end_pending(PendingSignup.objects.filter(username_key__in=keys, expires_at__lte=clock.now()))
    free = Q(held_until__lte=clock.now())
    if former:
        free |= Q(former=former)
    Username.objects.filter(free, key__in=keys).delete()
    try:
        with transaction.atomic():
            if former is None or key != former.username_key:
                Username.objects.create(key=key, held_until=until)
            skeletons.hold(key, looks, instead_of=former)
    except IntegrityError:
        raise UsernameTaken from None


def hold_like(wanted: str) -> str:
    """Hold ``wanted`` for good, or the same with a number behind it; what is held now.

    :class:`UsernameTaken` if others were faster, again and again.
    """
    numbered = [wanted, *(f"{wanted}-{n}" for n in range(2, 10))]
    looks = {name: usernames.skeletons(name) for name in numbered}
    taken = skeletons.taken(set().union(*looks.values()))
    free = [name for name in numbered if taken.isdisjoint(looks[name])]
    for name in (*free[:1], *(f"{wanted}-{secrets.digits(6)}" for _again in range(3))):
        with suppress(UsernameTaken):
            hold_name(name, until=None)
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
    """A user whose name is already held for it. ``password`` is a hash, never clear text.

    :class:`UsernameTaken` if the same sign-up has become a user meanwhile.
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


def keep_name(signup: PendingSignup) -> None:
    """Give the name that ``signup`` holds for good; :class:`UsernameTaken` if it has ended."""
    running = PendingSignup.objects.filter(pk=signup.pk, expires_at__gt=clock.now())
    if not running.delete()[0]:
        raise UsernameTaken
    Username.objects.filter(key=signup.username_key).update(held_until=None)


def hold(user: User) -> User:
    """The row of ``user``, held until the transaction ends.

    :class:`AccountChanged` if the credentials were changed since ``user`` was read: whoever asked
    for this may be out by now. Whoever writes a row that belongs to the user doesn't wait for this
    (``no_key``): they may hold what this transaction is going to ask for.
    """
    as_read = User.objects.select_for_update(no_key=True).filter(
        pk=user.pk, credential_version=user.credential_version, is_active=True
    )
    held = as_read.first()
    if held is None:
        raise AccountChanged
    return held


@transaction.atomic
def rename(user: User, name: str) -> User:
    """``user`` as it is with another name, which is clean; :class:`UsernameTaken`.

    Nobody else gets the former name for 30 days: its owner may want it back, and others may still
    write to whoever had it. Nobody signs in by it meanwhile, since it'll be somebody else's then.
    """
    owner = hold(user)
    key, former = usernames.key(name), owner.username_key
    # Another case may look like somebody else's name.
    hold_name(name, until=None, former=owner)
    if key != former:
        until = clock.now() + FORMER_NAME_LIFE
        Username.objects.filter(key=former).update(held_until=until, former=owner)
    owner.username, owner.username_key = name, key
    owner.save(update_fields=["username", "username_key"])
    return owner


def prune_names() -> int:
    """Forget former names that are free again; how many."""
    ended = Username.objects.filter(held_until__lte=clock.now(), former__isnull=False)
    return ended.delete()[0]


def confirm_address(user: User, address: str) -> None:
    """Give a proven address to ``user``, as the primary one if it has none.

    :class:`AddressTaken` if another was first. Sign-ups that wait for the same address end here.
    """
    key, now = emails.key(address), clock.now()
    # The address that the account was made with is as old as the account: see ``disputes``.
    is_first = not user.email and now < user.date_joined + AT_ONCE
    at = user.date_joined if is_first else now
    try:
        with transaction.atomic():
            Address.objects.create(user=user, address=address, key=key, confirmed_at=at)
    except IntegrityError:
        raise AddressTaken from None
    end_pending(PendingSignup.objects.filter(address_key=key).exclude(pk=user.pk))
    if not user.email:
        user.email = address
        user.save(update_fields=["email"])


def end_pending_at(address: str) -> None:
    """End the sign-ups that wait for a proven address, and let their names go."""
    end_pending(PendingSignup.objects.filter(address_key=emails.key(address)))


def unlock(user: User) -> None:
    """Replace the mark of a locked account by an unusable password; void what was mailed."""
    rows = User.objects.filter(pk=user.pk, password=user.password)
    if rows.update(password=make_password(None)):
        outdate(user)
        user.refresh_from_db()


def end_pending(rows: QuerySet[PendingSignup]) -> int:
    """Delete pending sign-ups and let their names go; how many there were."""
    held = dict(rows.values_list("pk", "username_key"))
    PendingSignup.objects.filter(pk__in=held).delete()
    Username.objects.filter(key__in=held.values(), held_until__isnull=False).delete()
    return len(held)


def create_administrator(username: str, email: str, password: str, *, language: str = "") -> User:
    """A superuser with a confirmed address, made by whoever runs the server.

    ``password`` is a hash. ``ValidationError``, :class:`UsernameTaken`, :class:`AddressTaken`.
    """
    username = usernames.clean(username, by_operator=True)
    address = emails.clean(email) if email else ""
    with transaction.atomic():
        hold_name(username, until=None)
        user = create_user(username, password, staff=True, language=language)
        if address:
            confirm_address(user, address)
    return user


def replace_password(owner: User, hashed: str) -> None:
    """Replace the password hash in the caller's transaction; keep the former one for disputes."""
    now = clock.now()
    former_credentials.keep_password(owner, now)
    User.objects.filter(pk=owner.pk).update(password=hashed, password_at=now)


def outdate(user: User) -> None:
    """Void every proof and mailed link of ``user`` by a new ``credential_version``."""
    User.objects.filter(pk=user.pk).update(credential_version=F("credential_version") + 1)

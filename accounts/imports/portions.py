"""Checks and writes a portion of the rows of a file."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sized
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, NamedTuple

from django.apps import apps
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import Model
from django.utils.translation import get_supported_language_variant
from django.utils.translation import gettext as _

from accounts.activity import events
from accounts.activity.models import OPERATOR
from accounts.activity.services import Actor, record_many
from accounts.common import clock, localization, secrets
from accounts.common.pages import absolute
from accounts.emails.models import PendingEmail
from accounts.imports.models import UNVERIFIED_LIFE
from accounts.imports.parts import BadRow, FoundEmail, FoundPerson, FoundRow
from accounts.mail.message import TO_OWNER, Message
from accounts.mail.services import post_all
from accounts.twofactor.models import (
    IMPORTED_CODE,
    IMPORTED_CODES,
    RECOVERY_CODE,
    Authenticator,
    Passkey,
    RecoveryCodes,
    canonical,
    seal_seed,
    sealed_codes,
)
from accounts.twofactor.services import MOST_AUTHENTICATORS
from accounts.users import emails, skeletons, usernames
from accounts.users import services as users
from accounts.users.forms import DISPLAY_NAME_LENGTH, refuse_blank
from accounts.users.forms import canonical as canonical_text
from accounts.users.models import EmailAddress, NameSkeleton, PendingSignup, User, Username

MOST_ROWS = 50
MOST_CODES = 20
LONGEST_GROUP = 150
NUMBERED = range(2, 10)
# Shorter seeds can be guessed. Google Authenticator has made some of 80 bits.
SEED = re.compile("([0-9a-f]{2}){10,128}")
# Values that only one account can have: in words, and the columns that identify them.
UNIQUE = {
    "accounts.Identity": ("An account at an identity provider", ("issuer", "subject")),
    "accounts.Passkey": ("A passkey", ("credential_id",)),
    "oauth.PairwiseSubject": ("An id that apps know", ("subject",)),
}
EMAIL, CLAIM, ID = "An email address", "An unconfirmed email address", "The id"
NO_NAME = "No similar username is free."
SAME_NAME = "The username is taken, and nothing else tells the person from its owner."
# The columns with the time at which the person got something.
SINCE = ("made_at", "connected_at")

type NumberedRow = tuple[int, FoundPerson | BadRow]
# A word of ``UNIQUE``, and the values of its columns.
type Key = tuple[str, ...]


class Note(NamedTuple):
    """A message to the operator about a row. ``number`` is 1 for the first row of the file."""

    number: int
    sentence: str
    is_refusal: bool = False


@dataclass
class Taken:
    """The values that accounts or earlier rows have: skeletons of usernames, and other keys."""

    looks: set[str] = field(default_factory=set)
    keys: set[Key] = field(default_factory=set)


@dataclass
class Candidate:
    """A person of the file, in the form in which the database stores it."""

    number: int
    found: FoundPerson
    user: User
    verified: list[FoundEmail]
    unverified: list[FoundEmail]
    rows: list[Model] = field(default_factory=list)
    looks: set[str] = field(default_factory=set)

    @property
    def excluded(self) -> set[Key]:
        """The keys for which this row is refused if another account has them."""
        return self.keys | {(EMAIL, emails.key(row.email)) for row in self.unverified}

    def note(self, sentence: str) -> None:
        """Add a message about the row, which the operator gets if the row is not refused."""
        self.found.notes.append(sentence)

    @property
    def keys(self) -> set[Key]:
        """The keys of the values that this person has."""
        keys: set[Key] = {(EMAIL, emails.key(row.email)) for row in self.verified}
        keys |= {(CLAIM, emails.key(row.email)) for row in self.unverified}
        if self.found.id:
            keys.add((ID, str(self.found.id)))
        for row in self.rows:
            word, columns = UNIQUE.get(row._meta.label, ("", ()))
            if word:
                keys.add((word, *(str(getattr(row, column)) for column in columns)))
        return keys


class Portion:
    """A portion of the rows of a file. ``taken``: the values that earlier rows have used."""

    def __init__(self, taken: Taken) -> None:
        self._taken = taken
        self._refusals: list[Note] = []
        self._accepted: list[Candidate] = []

    def check(self, rows: Iterable[NumberedRow]) -> list[Note]:
        """Check each row; return the messages to the operator."""
        candidates = []
        for number, row in rows:
            try:
                if isinstance(row, BadRow):
                    raise row
                # Copied, because the row is checked again if the database refuses another row.
                candidates.append(_candidate(number, replace(row, notes=[*row.notes])))
            except BadRow as error:
                self._refuse(number, str(error))
        self._read_taken(candidates)
        self._read_groups(candidates)
        self._read_apps(candidates)
        for each in candidates:
            if shared := each.excluded & self._taken.keys:
                self._refuse(each.number, f"{min(shared)[0]} belongs to another account.")
            else:
                self._taken.keys |= each.keys
                self._accepted.append(each)
        self._name()
        notes = (Note(each.number, text) for each in self._accepted for text in each.found.notes)
        return [*self._refusals, *notes]

    def write(self, *, notify: bool) -> None:
        """Write the accepted rows."""
        rows = self._accepted
        self._write_users()
        self._write_addresses()
        by_model: dict[type[Model], list[Model]] = defaultdict(list)
        for row in chain.from_iterable(each.rows for each in rows):
            by_model[type(row)].append(row)
        for model, made in by_model.items():
            model._default_manager.bulk_create(made)
        self._write_groups()
        record_many(((each.user.pk, events.IMPORTED, "") for each in rows), Actor(name=OPERATOR))
        if notify:
            told = (each.user for each in rows if each.user.email and each.user.is_active)
            post_all(map(_moved, told))

    def _write_users(self) -> None:
        rows = self._accepted
        Username.objects.bulk_create(Username(key=each.user.username_key) for each in rows)
        NameSkeleton.objects.bulk_create(
            NameSkeleton(skeleton=look, name_id=each.user.username_key)
            for each in rows
            for look in sorted(each.looks)
        )
        User.objects.bulk_create(each.user for each in rows)

    def _write_addresses(self) -> None:
        """Write the addresses, and delete pending sign-ups with one of them."""
        rows = self._accepted
        keys = [emails.key(row.email) for each in rows for row in each.verified]
        users.delete_signups(PendingSignup.objects.filter(email_key__in=keys))
        EmailAddress.objects.bulk_create(
            EmailAddress(
                user=each.user,
                email=row.email,
                key=emails.key(row.email),
                confirmed_at=row.verified_at or each.user.date_joined,
                vouched_at=row.vouched_at,
            )
            for each in rows
            for row in each.verified
        )
        ends = clock.now() + UNVERIFIED_LIFE
        PendingEmail.objects.bulk_create(
            PendingEmail(
                user=each.user, email=row.email, key=emails.key(row.email), expires_at=ends
            )
            for each in rows
            for row in each.unverified
        )

    def _refuse(self, number: int, sentence: str) -> None:
        self._refusals.append(Note(number, sentence, is_refusal=True))

    def _read_taken(self, candidates: list[Candidate]) -> None:
        """Record which values of ``candidates`` belong to accounts."""
        keys = set().union(*(each.excluded for each in candidates))
        sources = {
            EMAIL: (EmailAddress, ("key",)),
            CLAIM: (PendingEmail, ("key",)),
            ID: (User, ("pk",)),
        } | {
            word: (apps.get_model(label), columns)
            for label, (word, columns) in UNIQUE.items()
            if _is_installed(label)
        }
        for word, (model, columns) in sources.items():
            values = {key[-1] for key in keys if key[0] == word}
            rows = model._default_manager.filter(**{f"{columns[-1]}__in": values})
            found = rows.values_list(*columns) if values else ()
            self._taken.keys |= {(word, *map(str, row)) for row in found}

    def _read_groups(self, candidates: list[Candidate]) -> None:
        """Leave out groups with permissions: an import gives nobody the rights of staff."""
        names = {name for each in candidates for name in each.found.groups}
        rows = Group.objects.filter(name__in=names, permissions__isnull=False)
        privileged = set(rows.values_list("name", flat=True))
        for each in candidates:
            wanted = list(dict.fromkeys(each.found.groups))
            each.found.groups = [
                n for n in wanted if n not in privileged and 1 <= len(n) <= LONGEST_GROUP
            ]
            for name in wanted:
                if name not in each.found.groups:
                    reason = "it has rights" if name in privileged else "its name is too long"
                    each.note(f"The group {name[:LONGEST_GROUP]!r} is left out: {reason}.")

    def _read_apps(self, candidates: list[Candidate]) -> None:
        """Leave out consents to apps that do not exist on this site."""
        wanted = {app for each in candidates for row in each.rows if (app := _app_of(row))}
        if not wanted:
            return
        known = apps.get_model("oauth.Client")._default_manager.in_bulk(wanted)
        for each in candidates:
            missing = {_app_of(row) for row in each.rows} - {"", *known}
            each.rows = [row for row in each.rows if _app_of(row) not in missing]
            for app in sorted(missing):
                each.note(f"The app {app!r} is left out: this site does not know it.")

    def _name(self) -> None:
        """Give each person the username in the file, or a similar one."""
        wanted = [_wanted(each.found) for each in self._accepted]
        self._read_looks(wanted)
        pairs = list(zip(list(self._accepted), wanted, strict=True))
        similar = [_similar(name, each.number) for each, name in pairs if self._is_taken(name)]
        self._read_looks(chain.from_iterable(similar))
        for each, name in pairs:
            names = (name, *(_similar(name, each.number) if each.keys else ()))
            free = next((n for n in names if not self._is_taken(n)), "")
            if not free:
                self._accepted.remove(each)
                self._refuse(each.number, NO_NAME if each.keys else SAME_NAME)
                continue
            each.user.username = free
            each.user.username_key = usernames.key(free)
            each.looks = usernames.skeletons(free)
            self._taken.looks |= each.looks
            if free != each.found.username:
                former = repr(each.found.username) if each.found.username else "missing"
                each.note(f"The username is {free}; in the file, it is {former}.")

    def _read_looks(self, names: Iterable[str]) -> None:
        self._taken.looks |= skeletons.taken(set().union(*map(usernames.skeletons, names)))

    def _is_taken(self, name: str) -> bool:
        return not self._taken.looks.isdisjoint(usernames.skeletons(name))

    def _write_groups(self) -> None:
        """Make people members of their groups. Missing groups are created, without any right."""
        names = {name for each in self._accepted for name in each.found.groups}
        Group.objects.bulk_create([Group(name=n) for n in sorted(names)], ignore_conflicts=True)
        groups = Group.objects.in_bulk(names, field_name="name")
        User.groups.through.objects.bulk_create(
            User.groups.through(user_id=each.user.pk, group_id=groups[name].pk)
            for each in self._accepted
            for name in each.found.groups
        )


def _candidate(number: int, found: FoundPerson) -> Candidate:
    """Return ``found`` in the form in which the database stores it.

    Raises:
        BadRow: a value is not allowed, or there are too many.
    """
    parts: tuple[Sized, ...] = (
        found.emails,
        found.rows,
        found.groups,
        found.seeds,
        found.recovery_codes,
    )
    if max(map(len, parts)) > MOST_ROWS:
        raise BadRow(f"The person has more than {MOST_ROWS} of a kind.")
    if not (found.username or found.emails):
        raise BadRow("The person has neither a username nor an email address.")
    verified, unverified = _addresses(found)
    now = clock.now()
    user = User(
        email=verified[0].email if verified else "",
        password=found.password or make_password(None),
        display_name=_display_name(found.display_name),
        language=_language(found.language),
        is_active=found.is_active,
    )
    user.id = found.id or user.id
    user.date_joined = min(found.joined or now, now)
    if found.columns:
        _set_columns(user, found.columns)
    made = _rows_of(user, found)
    if not (found.password or verified or made):
        found.notes.append("Nobody can sign in yet: there is no password and no verified address.")
    return Candidate(number, found, user, verified, unverified, made)


def _rows_of(user: User, found: FoundPerson) -> list[Model]:
    """Return the rows of ``user``. Recovery codes are kept only together with a second factor."""
    rows = [*_authenticators(found), *(r for r in found.rows if _is_installed(r.label))]
    made = [_made(user, row) for row in rows]
    factors = [row for row in made if isinstance(row, Authenticator | Passkey)]
    user.has_factor = any(row.confirmed for row in factors)
    if not user.has_factor:
        return [row for row in made if not isinstance(row, RecoveryCodes)]
    codes = _codes(found)
    return [*made, _made(user, codes)] if codes else made


def _addresses(found: FoundPerson) -> tuple[list[FoundEmail], list[FoundEmail]]:
    """Return the verified addresses and the other addresses, without invalid ones."""
    cleaned: dict[str, FoundEmail] = {}
    for given in found.emails:
        try:
            row = given._replace(email=emails.clean(given.email.strip()))
        except ValidationError:
            found.notes.append("An email address is not valid: it is left out.")
            continue
        key = emails.key(row.email)
        if key not in cleaned or not cleaned[key].is_verified:
            cleaned[key] = row
    verified = [row for row in cleaned.values() if row.is_verified]
    return verified, [row for row in cleaned.values() if not row.is_verified]


def _set_columns(user: User, columns: dict[str, Any]) -> None:
    columns = columns | {"time_zone": localization.canonical_name(str(columns.get("time_zone")))}
    for name, value in columns.items():
        if value is not None:
            setattr(user, name, value)
    _clean(user, {field.name for field in User._meta.fields} - columns.keys())


def _made(user: User, found: FoundRow) -> Model:
    """Return the row ``found`` of ``user``, with checked values."""
    model = apps.get_model(found.label)
    names = {field.name for field in model._meta.fields}
    since = {name: user.date_joined for name in SINCE if name in names}
    row: Model = model(user=user, **since | found.columns)
    if isinstance(row, Authenticator | Passkey):
        row.name = _display_name(str(row.name)) or str(model._meta.verbose_name).capitalize()
    _clean(row, {field.name for field in model._meta.fields if field.is_relation})
    return row


def _clean(row: Model, exclude: set[str]) -> None:
    """Check and convert the values of ``row``. Django treats empty values as missing ones.

    Raises:
        BadRow: a value is not allowed.
    """
    empty = {f.name for f in row._meta.fields if getattr(row, f.attname) in f.empty_values}
    try:
        row.clean_fields(exclude | empty)
    except ValidationError as error:
        raise BadRow(f"{row._meta.label}: {', '.join(error.message_dict)} is not valid.") from None


def _authenticators(found: FoundPerson) -> list[FoundRow]:
    usable = {seed: columns for seed, columns in found.seeds.items() if SEED.fullmatch(seed)}
    if len(usable) < len(found.seeds) or len(usable) > MOST_AUTHENTICATORS:
        found.notes.append(
            "An authenticator app is left out: its secret is not valid, or there are too many."
        )
    return [
        FoundRow("accounts.Authenticator", columns | {"sealed_seed": seal_seed(seed)})
        for seed, columns in list(usable.items())[:MOST_AUTHENTICATORS]
    ]


def _codes(found: FoundPerson) -> FoundRow | None:
    codes = list(dict.fromkeys(map(canonical, found.recovery_codes)))
    usable = [c for c in codes if RECOVERY_CODE.fullmatch(c) or IMPORTED_CODE.fullmatch(c)]
    if len(usable) < len(codes) or len(usable) > MOST_CODES:
        found.notes.append("A recovery code is left out: it cannot be typed here.")
    sealed = sealed_codes(usable[:MOST_CODES], secrets.token(16))
    columns = {"name": IMPORTED_CODES, "sealed": sealed, "saved_at": found.joined or clock.now()}
    return FoundRow("accounts.RecoveryCodes", columns) if usable else None


def _is_installed(label: str) -> bool:
    """Return whether this site has the model ``label``. It may have no OpenID Provider."""
    return label.startswith("accounts.") or apps.is_installed("accounts.oauth")


def _app_of(row: Model) -> str:
    """Return the id of the app of a consent; an empty string if ``row`` is something else."""
    return str(getattr(row, "client_id", ""))


def _wanted(found: FoundPerson) -> str:
    """Return an allowed username: the one in the file, or one made from a name or address."""
    with suppress(ValidationError):
        return usernames.clean(found.username)
    texts = (found.username, found.display_name, *(row.email for row in found.emails))
    return next(filter(None, map(usernames.suggest, texts)), "person")


def _similar(name: str, number: int) -> list[str]:
    """Return ``name`` with different suffixes. The last is the row's number, also in a trial."""
    short = name[: usernames.MAX_LENGTH - usernames.SUFFIX_LENGTH]
    return [f"{short}-{n}" for n in (*NUMBERED, f"{number % 10**6:06}")]


def _display_name(text: str) -> str:
    """Return ``text`` as a display name, or an empty string if it is not allowed."""
    name = canonical_text(text).strip()[:DISPLAY_NAME_LENGTH]
    try:
        refuse_blank(name)
    except ValidationError:
        return ""
    return name


def _language(code: str) -> str:
    """Return the language of this site that ``code`` names, such as ``de`` for ``de_AT``."""
    try:
        return get_supported_language_variant(code.lower().replace("_", "-"))
    except LookupError:
        return ""


def _moved(user: User) -> Message:
    """Return the email that tells ``user`` how to sign in to this site."""
    about = {"site": settings.AUTHSITE.site_name, "username": user.username, "email": user.email}
    with localization.speaking(user.language):
        return Message(
            to=user.email,
            subject=_("Your account is now at %(site)s") % about,
            heading=_("Your account has moved"),
            greeting=_("Hello %(name)s,") % {"name": user.username},
            paragraphs=[
                _("Your username is %(username)s. You sign in as before.") % about,
                _("If your password doesn’t work here, reset it on the sign-in page."),
            ],
            action_label=_("Sign in"),
            action_url=absolute("account_login"),
            reason=TO_OWNER % about,
        )

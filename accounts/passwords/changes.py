"""Sets new passwords, either with a reset link or in a session with recent authentication.

A reset signs in only the browser that requested the link. Otherwise, an attacker could send a
victim the reset link of the attacker's own account, and the victim would be signed in to it (login
CSRF).
"""

import uuid
from collections.abc import Collection
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.activity import events
from accounts.activity.events import Event
from accounts.activity.services import Actor, record
from accounts.apikeys import services as apikeys
from accounts.codes import services as codes
from accounts.codes.services import LinkEnded, Purpose, WrongCode
from accounts.common import clock
from accounts.common.client_info import ClientInfo, Device
from accounts.common.errors import PublicError
from accounts.common.localization import speaking
from accounts.common.pages import absolute
from accounts.common.proofs import FACTORS, Method, Proof
from accounts.common.signals import credentials_changed
from accounts.common.text import written_code
from accounts.mail.message import TO_OWNER, Message, staff_note
from accounts.mail.services import Queue, post
from accounts.passwords import services as passwords
from accounts.recovery import services as recovery
from accounts.recovery.rule import Kind
from accounts.recovery.services import Assessment
from accounts.sessions import known_browsers
from accounts.signin import mailed_codes, policy
from accounts.signin.mailed_codes import Recipient
from accounts.signin.policy import Requirement
from accounts.throttle import services as throttle
from accounts.throttle.limits import CODE_GUESS, LOGIN_REPEAT
from accounts.throttle.services import around, give_back, hit
from accounts.tokens import token_challenges
from accounts.tokens.token_challenges import FactorResponse
from accounts.twofactor import services as twofactor
from accounts.users import emails, former_credentials
from accounts.users import services as users
from accounts.users.models import User
from accounts.users.services import AccountChanged


def reset_message(
    username: str, email: str, token: str, code: str = "", device: Device | None = None
) -> Message:
    """Return the email with the link to set a new password.

    ``username`` appears in the greeting. If it is empty, there is no greeting.
    ``code``: a code with which an app can set a new password instead; empty for none.
    ``device``: the device that has requested the code.
    """
    about = {"email": email, "site": settings.AUTHSITE.site_name}
    asked = _("Someone, probably you, asked to reset the password for your account.")
    enter = _("Enter this code in the app where you asked for it:")
    about_code = [(_("Requested from"), str(device)), (_("Valid for"), _("10 minutes"))]
    return Message(
        **_shared(username, email, token),
        paragraphs=[asked, enter] if code else [asked],
        code=written_code(code) if code else "",
        facts=about_code if code else [],
        questions=[
            (
                _("Was this you?"),
                _("Set a new password. The link works once and expires after 30 minutes."),
            ),
        ],
        closing=[_("Not you? You don’t need to do anything. Your password stays the same.")],
        reason=_("Sent to %(email)s because someone asked to reset a password at %(site)s.")
        % about,
    )


def reset_by_staff_message(username: str, email: str, token: str, why: str) -> Message:
    """Return the email with a link to set a new password, sent by a member of staff.

    ``why``: the reason of the member of staff.
    """
    about = {"email": email, "site": settings.AUTHSITE.site_name, "username": username}
    return Message(
        **_shared(username, email, token),
        paragraphs=[_("A member of our staff sent you this link to set a new password.")],
        facts=staff_note(why),
        questions=[
            (
                _("Did you ask for help?"),
                _("Set a new password. The link works once and expires after 30 minutes."),
            ),
        ],
        closing=[_("Didn’t ask for help? Don’t use the link, and don’t forward this email.")],
        reason=TO_OWNER % about,
    )


def _shared(username: str, email: str, token: str) -> dict[str, Any]:
    return {
        "to": email,
        "subject": _("Set a new password for %(site)s") % {"site": settings.AUTHSITE.site_name},
        "greeting": _("Hello %(name)s,") % {"name": username} if username else "",
        "action_label": _("Set a new password"),
        "action_url": absolute("account_reset_password_key", token),
    }


LINK = mailed_codes.RESET
# The purpose of a code by which an API client resets a password.
CODE = Purpose("password.code")
# The purpose of a link by which Support unlocks an account for the reader of one address.
DECISION = Purpose("password.decision", life=LINK.life)
# Stored instead of an email address for a reset link that was not sent by email.
NO_EMAIL = "-"


def send_reset(login: str, nonce: str, client: ClientInfo, *, has_code: bool = False) -> None:
    """Send a reset link by email to the account with the username or email address ``login``.

    The work is the same for known, unknown, pending and deactivated accounts, so that timing
    reveals nothing.

    ``nonce``: random text that distinguishes this link from all others.
    ``has_code``: whether the email also contains a code, which is valid only with ``nonce``.

    Raises:
        RateLimited: too many emails were requested.
    """
    recipient = mailed_codes.recipient_for(LINK, login, client, _with_former_emails)
    user = recipient.user
    # A former mailbox may belong to a thief, so the email to it does not contain the username.
    username = user.username if user and not recipient.is_former else ""
    with transaction.atomic():
        key = emails.key(recipient.email) if recipient.email else ""
        subject, code = recipient.subject(nonce), ""
        token = codes.issue_link(LINK, subject, key)
        if has_code:
            code = codes.issue_code(CODE, subject, key, is_sent=bool(recipient.email))
        with speaking(recipient.language):
            mail = reset_message(username, recipient.email, token, code, client.device)
            post(mail, life=LINK.life, queue=Queue.CODES)


def send_reset_by_staff(user: User, email: str, actor: Actor) -> None:
    """Email a reset link to ``email``, an address of ``user``, for ``actor``, a member of staff.

    Raises:
        AccountChanged: the account was changed after ``user`` was read from the database.
    """
    with transaction.atomic():
        owner = users.lock_row(user)
        _post_link(owner, email, actor)
        record(owner, events.RESET_SENT, actor, detail=email)


def send_decision(user: User, email: str, actor: Actor, event: Event) -> None:
    """Email a link that unlocks the account of ``user``, as the member of staff ``actor`` decided.

    Until the link is used, the account stays locked. Nobody else can unlock it, because no other
    mailbox gets such a link. A recovery request is stopped. The case at Support ends when the link
    is used, and an earlier link of this kind is invalid.

    ``email``: the current or former address of ``user`` to which the link is sent.
    ``event``: the event to record, of which every address is notified.

    Raises:
        AccountChanged: the account was changed after ``user`` was read from the database.
    """
    with transaction.atomic():
        owner = users.lock_row(user)
        recovery.stop(recovery.running(owner))
        codes.issued(DECISION, f"{owner.pk} ").delete()
        _post_link(owner, email, actor, DECISION)
        record(owner, event, actor, detail=email)


def _post_link(owner: User, email: str, actor: Actor, purpose: Purpose = LINK) -> None:
    recipient = Recipient(emails.key(email), owner, email)
    subject = recipient.subject(mailed_codes.new_nonce())
    token = codes.issue_link(purpose, subject, recipient.key)
    with speaking(owner.language):
        mail = reset_by_staff_message(owner.username, email, token, actor.reason)
        post(mail, life=LINK.life, queue=Queue.CODES)


def link_without_mail(user: User) -> str:
    """Return the token of a reset link for the locked account of ``user``. No email is sent.

    Call this for a browser that has shown a proof of ownership. Opening the link does not prove
    access to a mailbox.
    """
    return codes.issue_link(LINK, Recipient("", user).subject(mailed_codes.new_nonce()), NO_EMAIL)


def _with_former_emails(recipient: Recipient) -> Recipient:
    """Return the recipient of a reset link, which may be a former address of a locked account.

    A lock may have suspended the only address of an account, or a thief may have removed it. If no
    account has the typed address, but a locked account had it, the link is sent there. In every
    other case, ``recipient`` is returned. The link alone does not unlock the account:
    ``accounts.recovery.rule`` decides whether the mailbox counts.
    """
    row = former_credentials.find_notified_email(recipient.key)
    if row is None or recipient.user:
        return recipient
    return Recipient(recipient.key, row.user, row.label, is_former=True)


@dataclass(frozen=True)
class Reset:
    """A valid reset link of ``user``, or the code that was emailed with it.

    ``email_key``: the canonical form of the address to which the link was sent; ``NO_EMAIL`` if it
        was not sent by email.
    ``purpose``: ``CODE`` for a code; ``DECISION`` if Support has decided that the link unlocks the
        account.
    """

    user: User
    subject: str
    email_key: str
    purpose: Purpose

    @property
    def is_decided(self) -> bool:
        """Whether Support has decided that the link unlocks the account."""
        return self.purpose == DECISION

    @property
    def by_mail(self) -> bool:
        """Whether the link was sent by email."""
        return self.email_key != NO_EMAIL

    @property
    def nonce(self) -> str:
        """The text that distinguishes this link from all others."""
        return self.subject.split()[-1]


def find_reset(token: str) -> Reset | None:
    """Return the valid reset link with ``token``, or None.

    A link is invalid if it was used, has expired or is older than the last change of credentials.
    Unless the account is locked, the account must still have the address to which the link was
    sent.
    """
    found = ((purpose, codes.find_link(purpose, token)) for purpose in (LINK, DECISION))
    purpose, link = next((pair for pair in found if pair[1]), (LINK, None))
    match link.subject.split() if link else []:
        case [user_id, version, _nonce]:
            as_mailed = User.objects.filter(pk=user_id, credential_version=version, is_active=True)
            user = as_mailed.first()
            if link and user and (user.lock or user.emails.filter(key=link.email).exists()):
                return Reset(user, link.subject, link.email, purpose)
    return None


def find_reset_by_code(login: str, nonce: str, typed: str, client: ClientInfo) -> Reset:
    """Return the reset whose emailed code is ``typed``. The code stays valid until :func:`reset`.

    ``login``, ``nonce``: the values with which the code was requested.

    Raises:
        WrongCode: the code is wrong, used or expired, or the account was changed after the
            request.
        UsedUp: the code has no attempts left.
        RateLimited: there were too many guesses.
    """
    budgets = around(CODE_GUESS, client)
    hit(*budgets)
    recipient = _with_former_emails(mailed_codes.recipient_of(login))
    subject = recipient.subject(nonce)
    if not codes.try_code(CODE, subject, typed) or recipient.user is None:
        raise WrongCode
    give_back(*budgets)
    return Reset(recipient.user, subject, emails.key(recipient.email), CODE)


def hash_for(found: Reset, password: str) -> str:
    """Return the hash of ``password`` for :func:`reset`.

    Call this before using up a second factor. Otherwise, its code would be lost if the site is too
    busy to hash the password.

    Raises:
        RateLimited: every hashing slot is busy, or too many passwords were hashed for
            ``found``.
    """
    hit(LOGIN_REPEAT.of(found.subject))
    return passwords.hash_password(password)


def reset(
    found: Reset,
    token: str,
    hashed: str,
    actor: Actor,
    *,
    end_keys: Collection[str],
    shown: tuple[Proof, ...],
    removes_factors: bool = False,
) -> User:
    """Set a password with the reset link ``found``, revoke every session, and return the user.

    ``token``: the secret of the link, or the code.
    ``hashed``: the hash of the password, by :func:`hash_for`.
    ``end_keys``: the ids of the API keys to revoke.
    ``shown``: the proofs of ownership that this browser has shown. They must be sufficient to
        unlock a locked account or to remove factors (``accounts.recovery.rule``).
    ``removes_factors``: whether to remove all second factors, because the user has lost them.

    Raises:
        LinkEnded: the link was used or has expired, or the account has changed since.
        NotDue: ``shown`` is not sufficient, and no waiting period that began with it has ended.
        NotOffered: the factors are to be removed, but the user is staff.
    """
    with transaction.atomic():
        if not codes.redeem(found.purpose, found.subject, token, found.email_key):
            raise LinkEnded
        users.note_answer(found.email_key)
        try:
            _open(found, shown, actor, removes_factors=removes_factors)
            event = events.PASSWORD_RESET
            user = _replace(found.user, hashed, event, actor, keep=None, end_keys=end_keys)
        except AccountChanged:
            raise LinkEnded from None
    if found.by_mail and actor.client and not known_browsers.find_browser(actor.client, found.user):
        throttle.refund(found.email_key, actor.client, found.user.username_key, found.email_key)
    return user


def _open(found: Reset, shown: tuple[Proof, ...], actor: Actor, *, removes_factors: bool) -> None:
    """Require that the account may be unlocked, and remove lost factors, before a reset."""
    users.lock_row(found.user)
    if found.is_decided:
        recovery.note_opened(found.user, None)
        if removes_factors:
            twofactor.remove_all(found.user, events.FACTORS_RECOVERED, actor)
    elif removes_factors:
        recovery.remove_factors(found.user, *shown, actor=actor)
    elif found.user.lock:
        # Check the proofs again: somebody may have objected while the password was hashed.
        recovery.note_opened(found.user, recovery.check(found.user, *shown))


def change(user: User, password: str, actor: Actor, *, end_keys: Collection[str]) -> None:
    """Set ``password``, and revoke every session of ``user`` except the current one.

    ``actor``: the user in the current session. The caller has checked recent authentication.
    ``end_keys``: the ids of the API keys to revoke.

    Raises:
        AccountChanged: the account was changed after ``user`` was read from the database.
        RateLimited: the password was changed too often in this session.
    """
    hit(LOGIN_REPEAT.of(actor.session))
    hashed = passwords.hash_password(password)
    event = events.PASSWORD_CHANGED if user.has_usable_password() else events.PASSWORD_SET
    with transaction.atomic():
        _replace(user, hashed, event, actor, keep=actor.session, end_keys=end_keys)


def _replace(
    user: User,
    hashed: str,
    event: Event,
    actor: Actor,
    *,
    keep: uuid.UUID | None,
    end_keys: Collection[str],
) -> User:
    """Replace the password of ``user``, and return the user with the new ``credential_version``."""
    owner = users.lock_row(user)
    was_locked = owner.is_locked_down
    users.replace_password(owner, hashed)
    # The account is no longer locked, so that the notice about this change contains a link to lock
    # it.
    owner.password = hashed
    apikeys.revoke_chosen(owner, end_keys, actor)
    credentials_changed.send(
        User, user=owner, event=event.name, actor=actor, keep=keep, was_locked=was_locked
    )
    return User.objects.get(pk=owner.pk)


# The key of the request in the session data.
KEY = "reset_request"


@dataclass(frozen=True)
class ResetRequest:
    """A request for a reset link.

    ``nonce``: the part of the link's subject that no other link has.
    ``next_url``: the page to open after the sign-in.
    ``remember``: whether the new session will outlive the browser.
    """

    nonce: str
    next_url: str = ""
    remember: bool = False


def store(request: HttpRequest, reset_request: ResetRequest) -> None:
    """Store ``reset_request`` in this browser's session data, in place of an earlier one."""
    request.session[KEY] = asdict(reset_request)


def pop(request: HttpRequest, found: Reset) -> ResetRequest | None:
    """Delete and return the request of this browser; None if ``found`` is not the link for it."""
    data = request.session.pop(KEY, None)
    return ResetRequest(**data) if data and data["nonce"] == found.nonce else None


# The key, in the session data, of the proofs that this browser has shown, with their account and
# time.
SHOWN = "reset_shown"
LIFE = timedelta(minutes=15)


class ResetRequirement(Enum):
    """A requirement of a reset before the new password is set."""

    # A link from the operator, which replaces the mailbox and the password.
    OPERATOR = "operator"
    # A second factor, or the proofs that unlock the account.
    PROOF = "proof"


@dataclass(frozen=True)
class ResetProgress:
    """The progress of a password reset in this browser.

    ``found``: the reset link.
    ``proofs``: the proofs that this browser has shown during the reset, and with which it may sign
        in.
    ``shown``: ``proofs``, and the former password if it was shown. The former password proves
        ownership of the account, but cannot be used to sign in.
    ``assessment``: how the user can recover the account with ``shown``.
    """

    found: Reset
    proofs: tuple[Proof, ...]
    shown: tuple[Proof, ...]
    assessment: Assessment

    @property
    def first_step(self) -> tuple[Proof, ...]:
        """A tuple of one proof: the first one that was shown, or else access to the mailbox."""
        return self.proofs[:1] or (Proof.now(Method.MAIL),)

    @property
    def requirement(self) -> ResetRequirement | None:
        """The requirement that must be met before the password is set, or None.

        If the policy requires a second factor but the account has none, the user adds one at the
        next sign-in.
        """
        user = self.found.user
        # A decision must not let the reader of a mailbox open staff pages: see below.
        if self.found.is_decided and (not user.is_privileged or twofactor.has_any(user)):
            return None
        requirement = policy.next_requirement(user, self.proofs)
        if requirement is Requirement.PASSWORD and Kind.PASSWORD not in self.assessment.kinds:
            # Members of staff can add a second factor with the mailbox and the password. Therefore
            # the mailbox alone must not be enough to set the password.
            return ResetRequirement.OPERATOR
        if user.lock:
            return None if self.assessment.may_finish else ResetRequirement.PROOF
        return ResetRequirement.PROOF if requirement is Requirement.SECOND_FACTOR else None

    @property
    def has_shown_factor(self) -> bool:
        """Whether a second factor was shown, even one that is too new to prove ownership."""
        return any(proof.method in FACTORS for proof in self.proofs)

    @property
    def offers_removal(self) -> bool:
        """Whether the page offers to remove all second factors because they are lost."""
        user = self.found.user
        is_lost = twofactor.has_any(user) and not self.has_shown_factor
        may_finish = self.found.is_decided or self.assessment.may_finish
        return is_lost and not user.is_privileged and may_finish


def progress_of(request: HttpRequest, found: Reset) -> ResetProgress:
    """Return the progress of the reset with the link ``found`` in this browser.

    If the link was sent by email, access to the mailbox is the first proof.
    """
    stored = _stored(request, found)
    former = (Proof.now(Method.PASSWORD),) if stored["password"] else ()
    return _progress(found, *map(Proof.from_json, stored["proofs"]), former=former)


def _progress(found: Reset, *proofs: Proof, former: tuple[Proof, ...] = ()) -> ResetProgress:
    first = (Proof.now(Method.MAIL, found.email_key),) if found.by_mail else ()
    proofs = (*first, *proofs)
    shown = (*proofs, *former)
    return ResetProgress(found, proofs, shown, recovery.assess(found.user, *shown))


class ResetOnPage(PublicError):
    """The reset needs a step that an API client cannot do, such as the recovery of an account."""

    code = "recovery_required"
    status = 403
    message = gettext_lazy("Open the link in the email to continue on the site.")

    def __init__(self) -> None:
        super().__init__()
        self.more = {"url": absolute("account_reset_password")}


def progress_with(found: Reset, response: FactorResponse | None, actor: Actor) -> ResetProgress:
    """Return the progress of a reset over the API, after which nothing more is required.

    ``response``: the second factor, or None. It is used up.

    Raises:
        ResetOnPage: the account is locked, or has or lacks a factor that only the page can
            check.
        SecondFactorRequired: the account requires a second factor, and there is no
            ``response``.
        WrongFactorCode, WrongPasskey: ``response`` is wrong.
        RateLimited: there were too many guesses.
    """
    progress, user = _progress(found), found.user
    if progress.requirement is ResetRequirement.PROOF and user.lock is None:
        if response is None:
            raise token_challenges.second_factor_required(user, progress.first_step)
        proof = token_challenges.second_proof(user, progress.first_step, response, actor)
        progress = _progress(found, proof)
    if progress.requirement is not None:
        raise ResetOnPage
    return progress


def _stored(request: HttpRequest, found: Reset) -> dict[str, Any]:
    stored: dict[str, Any] = request.session.get(SHOWN) or {}
    # The proofs belong to the user and the version of the credentials, so a link by email can
    # continue with proofs from a sign-in.
    is_same = stored.get("subject", "").rpartition(" ")[0] == found.subject.rpartition(" ")[0]
    if is_same and clock.now() < datetime.fromisoformat(stored["at"]) + LIFE:
        return stored
    return {"subject": found.subject, "proofs": [], "password": False}


def note_password(request: HttpRequest, found: Reset) -> None:
    """Record that this browser has shown the former password of the account of ``found``."""
    _store(request, {**_stored(request, found), "password": True})


def note(request: HttpRequest, found: Reset, proof: Proof) -> None:
    """Record that this browser has shown ``proof`` for the account of ``found``."""
    stored = _stored(request, found)
    stored["proofs"] = [*stored["proofs"], proof.to_json()]
    _store(request, stored)


def _store(request: HttpRequest, stored: dict[str, Any]) -> None:
    """Store the proofs ``stored`` in the session data, under a new session key.

    The key is renewed because a browser with these proofs has more rights (ASVS 7.2.4).
    """
    request.session.cycle_key()
    request.session[SHOWN] = {**stored, "at": clock.now().isoformat()}

"""Explains to staff why a user cannot sign in.

Every reason is computed by the code that decides at sign-in: the authentication policy, the rate
limits and the stored state. Nothing is changed or counted.

If no reason is found, the explanation names what this site cannot see, such as a provider.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from django.conf import settings
from django.contrib.auth.hashers import is_password_usable
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.activity import events
from accounts.activity.events import Failure
from accounts.administration.budgets import REFUSALS, Refusal
from accounts.administration.person import Facts
from accounts.common import clock
from accounts.common.localization import in_full, in_words, listed
from accounts.common.proofs import Method, Proof
from accounts.emails import services as emails
from accounts.invitations import services as invitations
from accounts.invitations.services import LONGEST_DAYS
from accounts.mail import services as mail
from accounts.mail.services import Queue
from accounts.recovery import services as recovery
from accounts.recovery.models import OPEN
from accounts.recovery.rule import Kind, Outcome
from accounts.sessions import connected
from accounts.signin import policy
from accounts.signin.policy import Requirement
from accounts.signup.services import LIFE
from accounts.twofactor import services as twofactor
from accounts.users.emails import masked
from accounts.users.models import PendingSignup, User, hasher_of


@dataclass(frozen=True)
class Block:
    """A reason why a user cannot sign in.

    ``code``: identifies the reason, for programs.
    ``sentence``: the reason in a sentence, for staff.
    ``until``: when the reason ends by itself; None if it does not.
    ``advice``: what staff can do about it.
    ``owner``: another account that staff may want to open.
    """

    code: str
    sentence: str
    until: datetime | None = None
    advice: str = ""
    owner: User | None = None


# The ways to sign in, in words for staff.
WAYS = {
    Method.PASSWORD: gettext_lazy("their password"),
    Method.MAIL: gettext_lazy("an emailed code"),
    Method.PROVIDER: gettext_lazy("another site"),
    Method.PASSKEY: gettext_lazy("a passkey"),
}
SHOWN = {
    Kind.PASSWORD: gettext_lazy("the password"),
    Kind.MAILBOX: gettext_lazy("a mailbox"),
    Kind.FACTOR: gettext_lazy("a second factor"),
}
# The maximum number of networks whose limits are shown.
NETWORKS = 5
# The queues of emails for which somebody is waiting on a page.
AWAITED = {Queue.CODES, Queue.STRANGERS}
# For this long after an invitation was accepted, somebody may open its link again.
INVITED = timedelta(hours=1)
# The newest of these events says how somebody last failed to sign in.
TOLD = {
    events.SIGN_IN_FAILED,
    events.FACTOR_FAILED,
    events.FACTOR_FAILED_NEW,
    events.FACTOR_BLOCKED,
}
SECOND_STEP = "second step"
# The code, the sentence and the advice for a failure. The state of the account explains other
# failures.
FAILURES: dict[str, tuple[str, str | Promise, str | Promise]] = {
    SECOND_STEP: (
        "second_step_failed",
        gettext_lazy("The second step failed when someone last tried to sign in as %(name)s."),
        gettext_lazy("The clock of the phone may be wrong, or somebody else knows the password."),
    ),
    Failure.CODE: (
        "wrong_code",
        gettext_lazy("The emailed code was wrong when someone last tried to sign in as %(name)s."),
        gettext_lazy(
            "The newest code works for 10 minutes, in the browser that asked for the code."
        ),
    ),
    Failure.PASSKEY: (
        "passkey_refused",
        gettext_lazy("The passkey was refused when someone last tried to sign in as %(name)s."),
        "",
    ),
    Failure.COMPROMISED: (
        "password_compromised",
        gettext_lazy(
            "Programs of %(name)s can’t sign in: the password is on a list of stolen ones."
        ),
        gettext_lazy("When they sign in on the site, they can set a new password."),
    ),
    Failure.PASSWORD: (
        "wrong_password",
        gettext_lazy("The password was wrong when someone last tried to sign in as %(name)s."),
        gettext_lazy("If they forgot the password, send them a link to set a new one."),
    ),
}
# Events that end sessions against the will of the user.
ENDED = {events.ENDED_BY_STAFF, events.ALL_ENDED}


def explain(facts: Facts) -> list[Block]:
    """Return every reason why the user cannot sign in, the most important first.

    The sentences contain no email address of a user, because some staff may not see all of them.
    """
    account = facts.account
    if isinstance(account, PendingSignup):
        reasons = [_unconfirmed(facts), *_of_taken(facts), *_of_budgets(facts)]
        return [*reasons, *_of_mails(facts)]
    reasons = [
        *_of_state(facts),
        *_of_secrets(facts),
        *_of_budgets(facts),
        *_of_policy(facts),
        *_of_recovery(facts),
        *_of_providers(facts),
    ]
    found = [
        # Limits of networks come last: an attacker's network must not hide what stops the user
        # everywhere.
        *sorted(reasons, key=lambda block: block.code.startswith("network_")),
        *_of_emails(facts),
        *_of_mails(facts),
        *_of_sessions(facts),
        *_of_failures(facts),
        *_of_apps(facts),
        *_of_keys(facts),
        *_of_invitation(account),
    ]
    return found or list(_unseen(facts))


def blocks_for(facts: Facts, *, is_masked: bool) -> list[Block]:
    """Return the result of :func:`explain`; if masked, without the owners of taken addresses."""
    found = explain(facts)
    if not is_masked:
        return found
    return [
        replace(block, sentence=masked(block.sentence), advice=masked(block.advice), owner=None)
        for block in found
    ]


def _unconfirmed(facts: Facts) -> Block:
    signup = cast(PendingSignup, facts.account)
    known = {"name": signup.username, "email": signup.email}
    sentence = _("%(name)s can’t sign in because the sign-up isn’t confirmed yet.") % known
    begun_at = signup.expires_at - LIFE
    receipts = [row for row in facts.receipts if row.created_at >= begun_at]
    sent = next((row for row in receipts if not row.failure), None)
    if facts.taken:
        advice = ""
    elif sent:
        advice = _(
            "The mail server accepted the email with the code for %(email)s: %(time)s. If that "
            "address is misspelled, the person can sign up again with the right address."
        ) % {**known, "time": in_words(sent.done_at)}
    elif receipts or facts.waiting:
        advice = _("The email with the code for %(email)s hasn’t been sent yet.") % known
    else:
        advice = _("No email with the code was sent to %(email)s.") % known
    return Block("not_confirmed", sentence, advice=advice)


def _of_taken(facts: Facts) -> Iterator[Block]:
    """Return a reason for each unconfirmed address that belongs to another account."""
    name = {"name": facts.account.username}
    for owner in facts.taken.values():
        sentence = _("%(name)s can’t confirm an address that belongs to another account.")
        advice = _("The owner can sign in to that account, or remove the address there.")
        yield Block("address_taken", sentence % name, advice=advice, owner=owner)


def _of_state(facts: Facts) -> Iterator[Block]:
    user, name = facts.user, {"name": facts.user.username}
    if not user.is_active:
        sentence = _("%(name)s can’t sign in because the account is deactivated.")
        advice = _("The history below says who deactivated it.")
        yield Block("switched_off", sentence % name, advice=advice)
    if user.is_locked_down:
        sentence = _("%(name)s can’t sign in because the account is locked.")
        advice = _("It stays locked until its owner sets a new password by email.")
        yield Block("locked", sentence % name, advice=advice if facts.emails else "")
        if not _can_unlock(facts):
            sentence = _("%(name)s has nothing that unlocks the account.")
            advice = _("The account has no email address. Ask the operator of this site.")
            yield Block("no_way_to_unlock", sentence % name, advice=advice)
    elif user.is_active and not _ways(facts):
        sentence = _("%(name)s has no way to sign in.")
        advice = _("No password, email address, passkey or other site is set up. Ask the operator.")
        yield Block("no_way_in", sentence % name, advice=advice)
    if user.deletion_due:
        sentence = _("%(name)s will be deleted. Earliest time: %(time)s") % {
            **name,
            "time": in_words(user.deletion_due),
        }
        advice = _("The next sign-in and our email ask whether to keep the account.")
        yield Block("deletion_requested", sentence, advice=advice)


def _can_unlock(facts: Facts) -> bool:
    """Return whether the owner can unlock the account, by their credentials or by a link."""
    if facts.user.lock is None:
        return bool(facts.emails) or any(row.configured for row in facts.identities)
    owned = recovery.ownership_of(facts.user, facts.recovery_row)
    return owned.outcome(owned.counting) in {Outcome.OPEN, Outcome.WAIT}


def _ways(facts: Facts) -> list[Method]:
    """Return the methods by which the user can begin a sign-in now."""
    user, held = facts.user, facts.held
    if user.is_locked_down or not user.is_active:
        return []
    is_possible = {
        Method.PASSWORD: user.has_usable_password(),
        Method.MAIL: bool(facts.emails) and not settings.AUTHSITE.is_strict,
        Method.PROVIDER: any(row.configured and not row.suspended_at for row in facts.identities),
        Method.PASSKEY: bool(held.passkeys or held.unconfirmed),
    }
    return [method for method in WAYS if is_possible[method]]


def _of_secrets(facts: Facts) -> Iterator[Block]:
    """Return the stored secrets that the site cannot decrypt or read."""
    user, advice = facts.user, _("The operator of this site must restore a lost encryption key.")
    if facts.held.unreadable:
        sentence = _("%(name)s can’t sign in with codes: this site can’t read their secret.")
        yield Block("factor_unreadable", sentence % {"name": user.username}, advice=advice)
    if is_password_usable(user.password) and hasher_of(user.password) is None:
        sentence = _("%(name)s can’t sign in with a password: this site can’t read its hash.")
        yield Block("password_unreadable", sentence % {"name": user.username}, advice=advice)


def _of_budgets(facts: Facts) -> Iterator[Block]:
    """Return the used-up rate limits of the account, its browsers and the networks of attempts."""
    waits: dict[tuple[Refusal, str], int] = {}
    for use in facts.uses:
        refusal = REFUSALS[use.where, use.kind]
        seconds = max(facts.levels.wait(use.budgets), waits.get((refusal, use.place), 0))
        places = {place for other, place in waits if other is refusal}
        if seconds and (use.place in places or len(places) < NETWORKS):
            waits[refusal, use.place] = seconds
    for (refusal, place), seconds in waits.items():
        sentence = str(refusal.sentence) % {"name": facts.account.username, "place": place}
        until = clock.now() + timedelta(seconds=seconds)
        yield Block(refusal.code, sentence, until, str(refusal.advice))


def _of_policy(facts: Facts) -> Iterator[Block]:
    """Return what the authentication policy requires after a first step that the user can take."""
    user = facts.user
    if not user.is_active:
        return
    name, ways = {"name": user.username}, _ways(facts)
    first = Proof.now(ways[0] if ways else Method.MAIL)
    advice = {
        Requirement.ENROLMENT: _("The site asks for this after the next sign-in."),
        Requirement.MAILBOX: _("The next sign-in asks for the password and an emailed code first."),
        Requirement.PASSWORD: _("The operator of this site can send a link to set it up."),
    }
    requirement = policy.next_requirement(user, (first,))
    if requirement is Requirement.MAILBOX and not facts.emails:
        requirement = Requirement.PASSWORD
    lacks_passkey = _("%(name)s must add a passkey before signing in.")
    if requirement in advice:
        lacks_any = _("%(name)s must add a second factor before signing in.")
        sentence = lacks_passkey if twofactor.needs_passkey(user) else lacks_any
        yield Block("factor_missing", sentence % name, advice=advice[requirement])
    elif requirement is Requirement.SECOND_FACTOR and facts.held.authenticators:
        after_code = policy.next_requirement(user, (first, Proof.now(Method.TOTP)))
        if after_code is Requirement.PASSKEY:
            hint = _("For staff, a code from an authenticator app isn’t enough.")
            yield Block("passkey_required", lacks_passkey % name, advice=hint)
        elif after_code is Requirement.SECOND_FACTOR:
            sentence = _("%(name)s can sign in only with a passkey, not with a code.")
            hint = _("If the passkey is lost, a recovery code works instead.")
            yield Block("passkey_required", sentence % name, advice=hint)


def _of_recovery(facts: Facts) -> Iterator[Block]:
    name, request = {"name": facts.user.username}, facts.recovery
    for shown in facts.recovery_row.shown_to_support if facts.recovery_row else ():
        sentence = _("Someone asked us to decide who owns %(name)s, and showed %(shown)s.")
        words = listed(str(SHOWN.get(Kind(kind), kind)) for kind in shown)
        advice = _("Choose the address that gets the account. Until then, no waiting period ends.")
        yield Block("recovery_case", sentence % (name | {"shown": words}), advice=advice)
    if request is None:
        return
    if not request.is_due:
        sentence = _("A request to recover the account of %(name)s is in its waiting period.")
        advice = _("When the waiting period ends, they can finish by showing the same proofs.")
        yield Block("recovery_waiting", sentence % name, request.due_at, advice)
    else:
        sentence = _("Someone asked to recover the account of %(name)s and can finish now.")
        until = {"until": in_full(request.due_at + OPEN)}
        advice = _("They must show the same proofs again. The request expires: %(until)s.") % until
        yield Block("recovery_waiting", sentence % name, advice=advice)


def _of_providers(facts: Facts) -> Iterator[Block]:
    """Return the providers by which the user can no longer sign in."""
    ways = listed(str(WAYS[way]) for way in _ways(facts))
    advice = _("They can sign in with: %(ways)s.") % {"ways": ways} if ways else ""
    for row in facts.identities:
        known = {"name": facts.user.username, "site": row.site}
        if row.configured is None:
            sentence = _("%(name)s can’t sign in with %(site)s: this site doesn’t offer it.")
            yield Block("provider_gone", sentence % known, advice=advice)
        elif row.suspended_at:
            sentence = _("%(name)s can’t sign in with %(site)s since the account was locked.")
            yield Block("provider_suspended", sentence % known, advice=advice)


def _of_emails(facts: Facts) -> Iterator[Block]:
    """Return unconfirmed and removed addresses, unless the user has signed in since."""
    user, name = facts.user, {"name": facts.user.username}
    advice = _("They can sign in with the confirmed addresses in the list below.")
    yield from _of_taken(facts)
    pending = [row for row in facts.pending if row.key not in facts.taken]
    if pending and not _is_over(user, pending[-1].expires_at - emails.LIFE):
        sentence = _("%(name)s can’t sign in with an address that isn’t confirmed yet.")
        yield Block("address_not_confirmed", sentence % name, advice=advice)
    if facts.removed and not _is_over(user, facts.removed[0].removed_at):
        sentence = _("%(name)s can’t sign in with an address that was removed.")
        yield Block("address_removed", sentence % name, advice=advice)


def _of_mails(facts: Facts) -> Iterator[Block]:
    """Return whether an email to the user was refused, or is delayed in the outbox."""
    name = {"name": facts.account.username}
    newest = {row.recipient: row for row in reversed(facts.receipts)}
    failures = {row.failure for row in newest.values()} - {""}
    if failures or any(row.refused_at for row in facts.waiting):
        sentence = _("The last email to %(name)s couldn’t be delivered.")
        advice = _("The address may be wrong, or the mailbox may be full or closed.")
        if failures == {mail.EXPIRED}:
            advice = _("The code or link expired before the email was sent. Tell the operator.")
        yield Block("mail_failed", sentence % name, advice=advice)
        return
    codes = [row for row in facts.waiting if row.queue in AWAITED]
    if codes:
        sentence = _("An email with a code or link for %(name)s hasn’t been sent yet.")
        advice = _("Waiting since: %(time)s. After more than a minute, tell the operator.")
        since = in_words(codes[-1].created_at)
        yield Block("mail_waiting", sentence % name, advice=advice % {"time": since})


def _of_sessions(facts: Facts) -> Iterator[Block]:
    """Return the sessions that session protection revoked since the last sign-in of the user."""
    user, name = facts.user, {"name": facts.user.username}
    ended = next((row for row in facts.sign_ins if row.event in ENDED), None)
    if ended and not _is_over(user, ended.at):
        sentence = _("%(name)s was signed out, and hasn’t signed in since.")
        advice = _("They only need to sign in again.")
        yield Block("session_ended", sentence % name, advice=advice)
    asked_at = max(filter(None, (row.challenged_at for row in facts.sessions)), default=None)
    ended_at = max(filter(None, (row.ended_at for row in facts.stopped)), default=None)
    if asked_at and not _is_over(user, asked_at):
        sentence = _("%(name)s must confirm their identity: another browser used the session.")
    elif ended_at and not _is_over(user, ended_at):
        sentence = _("%(name)s was signed out because another browser used the session.")
    else:
        return
    advice = _("If it was their own browser, they only need to sign in again.")
    yield Block("session_protection", sentence % name, advice=advice)


def _of_failures(facts: Facts) -> Iterator[Block]:
    """Return the last failure, unless the user has signed in or set a password since."""
    user = facts.user
    row = next((row for row in facts.failures if row.event in TOLD), None)
    if row is None or _is_over(user, row.at) or (user.password_at and user.password_at > row.at):
        return
    is_step = row.event is not events.SIGN_IN_FAILED
    if is_step and facts.held.unreadable:
        return
    failure = SECOND_STEP if is_step else row.detail or Failure.PASSWORD
    if failure in FAILURES:
        code, sentence, advice = FAILURES[failure]
        yield Block(code, str(sentence) % {"name": user.username}, advice=str(advice))


def _of_apps(facts: Facts) -> Iterator[Block]:
    """Return the apps, connected or tried, that the user may not use now."""
    user = facts.user
    apps = {row.client_id: row.client for row in facts.connections}
    tried = {row.detail for row in facts.failures if row.event is events.APP_REFUSED}
    if tried:
        apps |= {app.pk: app for app in connected.apps().restricted() if app.label in tried}
    for app in apps.values():
        known = {"name": user.username, "app": app.label, "group": app.required_group}
        advice = _("Other apps aren’t affected.")
        if app.disabled_at:
            sentence = _("%(name)s can’t sign in to %(app)s because the app is disabled.")
            advice = _("A superuser can enable it. Other apps aren’t affected.")
            yield Block("app_disabled", sentence % known, advice=advice)
        elif app.required_group and app.required_group.name not in user.group_names:
            sentence = _("%(app)s needs the group “%(group)s”, and %(name)s isn’t in it.")
            yield Block("not_in_group", sentence % known, advice=advice)
        elif app.required_factor == "passkey" and not facts.held.passkeys:
            sentence = _("%(app)s needs a passkey, and %(name)s has none.")
            yield Block("app_factor_missing", sentence % known, advice=advice)
        elif app.required_factor and not facts.held.count:
            sentence = _("%(app)s needs a second factor, and %(name)s has none.")
            yield Block("app_factor_missing", sentence % known, advice=advice)


def _of_keys(facts: Facts) -> Iterator[Block]:
    """Return the API keys that have expired in the last month."""
    for key in facts.keys:
        if key.is_over:
            known = {"name": facts.user.username, "key": key.label}
            sentence = _("The API key “%(key)s” of %(name)s has expired.") % known
            yield Block("key_expired", sentence, advice=_("They can create a new one."))


def _of_invitation(user: User) -> Iterator[Block]:
    """Return that the invitation was accepted, until the user has signed in twice."""
    joined = user.date_joined
    if user.last_login and user.last_login > joined + INVITED:
        return
    if clock.now() < joined + timedelta(days=LONGEST_DAYS) and invitations.is_accepted_by(user):
        known = {"name": user.username, "time": in_words(joined)}
        sentence = _("The invitation for %(name)s was accepted, so its link no longer works.")
        advice = _("The account has existed since: %(time)s. They can sign in to it.") % known
        yield Block("invitation_used", sentence % known, advice=advice)


def _unseen(facts: Facts) -> Iterator[Block]:
    """Return the ways to sign in whose problems this site cannot see."""
    unseen = [] if facts.clients else [_("the network that they use")]
    sites = [row.site for row in facts.identities if row.configured and not row.suspended_at]
    unseen += [_("whether %(site)s lets them in") % {"site": site} for site in sites]
    if facts.emails and not facts.receipts:
        unseen.append(_("whether emails reach them"))
    if unseen:
        sentence = _("We can’t see: %(unseen)s.") % {"unseen": listed(unseen, ";")}
        advice = _("Nothing else stops %(name)s from signing in.") % {"name": facts.user.username}
        yield Block("not_checked", sentence, advice=advice)


def _is_over(user: User, at: datetime) -> bool:
    """Return whether ``user`` has signed in after ``at``, so that an earlier problem is solved."""
    return user.last_login is not None and user.last_login > at

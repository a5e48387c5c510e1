"""Explains to staff why a user cannot sign in.

Every reason comes from the code that decides at sign-in: the authentication policy, the rate limits
and the stored state. Nothing here is a second version of their rules. Reading changes nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.contrib.auth.hashers import is_password_usable
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.activity import events
from accounts.activity.events import Failure
from accounts.administration.person import Facts
from accounts.common import clock
from accounts.common.client_info import NO_CLIENT
from accounts.common.localization import in_words
from accounts.common.proofs import Method, Proof
from accounts.emails import services as emails
from accounts.mail import services as mail
from accounts.recovery import services as recovery
from accounts.recovery.models import OPEN, Recovery
from accounts.recovery.rule import Kind
from accounts.signin import policy
from accounts.signin.policy import Requirement
from accounts.twofactor import services as twofactor
from accounts.twofactor.models import Factor
from accounts.users.emails import masked
from accounts.users.models import PendingSignup, User, hasher_of


@dataclass(frozen=True)
class Block:
    """Something that stops a user from signing in.

    ``code``: the reason, for programs.
    ``sentence``: the reason in a sentence, for staff.
    ``until``: when it ends by itself; None if it does not.
    ``advice``: what helps.
    """

    code: str
    sentence: str
    until: datetime | None = None
    advice: str = ""


def _of_apps(facts: Facts) -> Iterator[Block]:
    """Return the connected apps to which the user can no longer sign in."""
    user = facts.user
    for app in {row.client_id: row.client for row in facts.connections}.values():
        known = {"name": user.username, "app": app.label, "group": app.required_group}
        if app.disabled_at:
            sentence = _("%(name)s can’t sign in to %(app)s because the app is disabled.")
            advice = _("A superuser can enable it. Other apps aren’t affected.")
            yield Block("app_disabled", sentence % known, advice=advice)
        elif app.required_group and app.required_group.name not in user.group_names:
            sentence = _("%(name)s can’t sign in to %(app)s: it’s for the group “%(group)s”.")
            advice = _("Other apps aren’t affected.")
            yield Block("not_in_group", sentence % known, advice=advice)


SHOWN = {
    Kind.PASSWORD: gettext_lazy("the password"),
    Kind.MAILBOX: gettext_lazy("a mailbox"),
    Kind.FACTOR: gettext_lazy("a second factor"),
}
# The most networks whose limits are shown.
NETWORKS = 5
NETWORK = "network_attempts_used_up"


def explain(facts: Facts) -> list[Block]:
    """Return everything that stops the account from signing in, the most important first.

    The sentences contain no email address of a user, because some staff may not see all of them.
    """
    account = facts.account
    if isinstance(account, PendingSignup):
        return [_unconfirmed(account), *_of_mails(account)]
    reasons = [
        *_of_state(account),
        *_of_secrets(facts),
        *_of_budgets(facts),
        *_of_policy(facts),
        *_of_recovery(account),
        *_of_providers(facts),
    ]
    return [
        # An attacker's network must not hide what stops the user in every network.
        *sorted(reasons, key=lambda block: block.code == NETWORK),
        *_of_emails(facts),
        *_of_mails(account),
        *_of_sessions(facts),
        *_of_failures(facts),
        *_of_apps(facts),
    ]


def blocks_for(facts: Facts, *, is_masked: bool) -> list[Block]:
    """Return what :func:`explain` returns, without whole addresses if masked."""
    shown = masked if is_masked else str
    return [
        replace(block, sentence=shown(block.sentence), advice=shown(block.advice))
        for block in explain(facts)
    ]


def _unconfirmed(signup: PendingSignup) -> Block:
    of_signup = {"name": signup.username, "email": signup.email}
    sentence = _("%(name)s can’t sign in because the sign-up isn’t confirmed yet.")
    advice = _(
        "The code to confirm it went to %(email)s. If that address is misspelled, the person "
        "can sign up again with the right one."
    )
    return Block("not_confirmed", sentence % of_signup, advice=advice % of_signup)


def _of_state(user: User) -> Iterator[Block]:
    name = {"name": user.username}
    if not user.is_active:
        sentence = _("%(name)s can’t sign in because the account is deactivated.")
        advice = _("The history below says who deactivated it.")
        yield Block("switched_off", sentence % name, advice=advice)
    if user.is_locked_down:
        sentence = _("%(name)s can’t sign in because the account is locked.")
        advice = _("It stays locked until its owner sets a new password by email.")
        yield Block("locked", sentence % name, advice=advice)
    if user.deletion_due:
        sentence = _("%(name)s will be deleted. Earliest time: %(time)s") % {
            **name,
            "time": in_words(user.deletion_due),
        }
        advice = _("The next sign-in asks whether to keep the account. The email has a link, too.")
        yield Block("deletion_requested", sentence, advice=advice)


def _of_secrets(facts: Facts) -> Iterator[Block]:
    """Return what the site cannot decrypt, or cannot read for another reason."""
    user, advice = facts.user, _("The operator of this site must restore a lost encryption key.")
    if not _has_readable_codes(facts):
        sentence = _("%(name)s can’t sign in with codes: this site can’t read their secret.")
        yield Block("factor_unreadable", sentence % {"name": user.username}, advice=advice)
    if is_password_usable(user.password) and hasher_of(user.password) is None:
        sentence = _("%(name)s can’t sign in with a password: this site can’t read its hash.")
        yield Block("password_unreadable", sentence % {"name": user.username}, advice=advice)


def _has_readable_codes(facts: Facts) -> bool:
    has = facts.held
    factors: list[Factor] = [*has.authenticators, *filter(None, [has.recovery_codes])]
    return all(factor.is_readable for factor in factors)


def _of_budgets(facts: Facts) -> Iterator[Block]:
    """Return the used-up limits of the account, and of the networks of its last failed attempts."""
    name, now = {"name": facts.user.username}, clock.now()
    clients = list({client.network: client for client in facts.clients}.values())[:NETWORKS]
    passwords, codes = (
        facts.levels.wait([budget for budget in budgets if budget.limit.is_shared])
        for budgets in (facts.of_passwords(NO_CLIENT), facts.of_codes(NO_CLIENT))
    )
    if passwords:
        yield Block(
            "attempts_used_up",
            _("%(name)s can’t sign in because too many wrong passwords were typed.") % name,
            now + timedelta(seconds=passwords),
            _(
                "This may be an attack. While it lasts, even the right password is refused. "
                "Passkeys still work, and so do passwords in a browser that the account knows."
            ),
        )
    if codes:
        sentence = _("%(name)s can’t sign in because too many wrong codes were typed.")
        advice = _("Someone knows the password and is guessing codes. Passkeys still work.")
        yield Block("codes_used_up", sentence % name, now + timedelta(seconds=codes), advice)
    for client in clients:
        own = [budget for budget in facts.spent_by(client) if not budget.limit.is_shared]
        if seconds := facts.levels.wait(own):
            sentence = _("Nobody can sign in as %(name)s from %(ip)s after too many attempts.")
            advice = _("Other networks and browsers that the account knows aren’t affected.")
            until = now + timedelta(seconds=seconds)
            yield Block(NETWORK, sentence % (name | {"ip": client.ip}), until, advice)


def _of_policy(facts: Facts) -> Iterator[Block]:
    """Ask the policy what it requires after the first step that the user can take."""
    user = facts.user
    if not user.is_active:
        return
    name = {"name": user.username}
    first = Proof.now(Method.PASSWORD if user.has_usable_password() else Method.MAIL)
    advice = {
        Requirement.ENROLMENT: _("The site asks for it after the next sign-in."),
        Requirement.MAILBOX: _("The next sign-in asks for the password and an emailed code first."),
        Requirement.PASSWORD: _("The operator of this site can send a link for that."),
    }
    requirement = policy.next_requirement(user, (first,))
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


def _of_recovery(user: User) -> Iterator[Block]:
    name, request = {"name": user.username}, recovery.running(user)
    for shown in Recovery.cases_of(user):
        sentence = _("Someone asked us to decide who owns %(name)s, and showed %(shown)s.")
        words = ", ".join(str(SHOWN.get(Kind(kind), kind)) for kind in shown)
        advice = _("Decide for one address. Until then, no wait ends.")
        yield Block("recovery_case", sentence % (name | {"shown": words}), advice=advice)
    if request is None:
        return
    if not request.is_due:
        sentence = _("A request to recover the account of %(name)s is in its waiting period.")
        advice = _("When it ends, they can finish with the same proofs.")
        yield Block("recovery_waiting", sentence % name, request.due_at, advice)
    else:
        sentence = _("Someone asked to recover the account of %(name)s and can finish now.")
        until = {"until": in_words(request.due_at + OPEN)}
        advice = _("They need the same proofs. The request expires: %(until)s.") % until
        yield Block("recovery_waiting", sentence % name, advice=advice)


def _of_providers(facts: Facts) -> Iterator[Block]:
    """Return the providers with which the user can no longer sign in, if no other one works."""
    if any(row.configured and row.suspended_at is None for row in facts.identities):
        return
    advice = _("They can sign in with their password, if they have one, or with an emailed code.")
    for row in facts.identities:
        known = {"name": facts.user.username, "site": row.site}
        if row.configured is None:
            sentence = _("%(name)s can’t sign in with %(site)s: this site doesn’t offer it.")
            yield Block("provider_gone", sentence % known, advice=advice)
        else:
            sentence = _("%(name)s can’t sign in with %(site)s since the account was locked.")
            yield Block("provider_suspended", sentence % known, advice=advice)


def _of_emails(facts: Facts) -> Iterator[Block]:
    """Return addresses that do not sign in, unless the user has signed in since they changed."""
    user, name = facts.user, {"name": facts.user.username}
    advice = _("The confirmed addresses in the list below work.")
    if facts.pending and not _is_over(user, facts.pending[-1].expires_at - emails.LIFE):
        sentence = _("%(name)s can’t sign in with an address that isn’t confirmed yet.")
        yield Block("address_not_confirmed", sentence % name, advice=advice)
    if facts.removed and not _is_over(user, facts.removed[0].removed_at):
        sentence = _("%(name)s can’t sign in with an address that was removed.")
        yield Block("address_removed", sentence % name, advice=advice)


def _of_mails(account: User | PendingSignup) -> Iterator[Block]:
    """Return whether the last email to the primary address did not arrive."""
    name, receipt = {"name": account.username}, next(iter(mail.last_receipt(account.email)), None)
    is_refused = mail.waiting_for([account.email]).filter(refused_at__isnull=False).exists()
    if is_refused or (receipt and receipt.failure):
        sentence = _("The last email to %(name)s couldn’t be delivered.")
        advice = _("The address may be wrong, or the mailbox may be full or closed.")
        yield Block("mail_failed", sentence % name, advice=advice)


def _of_sessions(facts: Facts) -> Iterator[Block]:
    """Return what session protection did since the last sign-in of the user."""
    user, name = facts.user, {"name": facts.user.username}
    asked_at = max(filter(None, (row.challenged_at for row in facts.sessions)), default=None)
    ended_at = max(filter(None, (row.ended_at for row in facts.stopped)), default=None)
    if asked_at and not _is_over(user, asked_at):
        sentence = _("%(name)s must confirm their identity: another browser used the session.")
    elif ended_at and not _is_over(user, ended_at):
        sentence = _("%(name)s was signed out because another browser used the session.")
    else:
        return
    advice = _("If it was their own browser, signing in again is all it takes.")
    yield Block("session_protection", sentence % name, advice=advice)


def _of_failures(facts: Facts) -> Iterator[Block]:
    """Return what failed since the last sign-in of the user."""
    user, rows, name = facts.user, facts.failures, {"name": facts.user.username}
    kinds = {row.event for row in rows if not _is_over(user, row.at)}
    if kinds & {events.FACTOR_FAILED, events.FACTOR_FAILED_NEW, events.FACTOR_BLOCKED}:
        sentence = _("The second step failed when someone last tried to sign in as %(name)s.")
        advice = _("The clock of the phone may be wrong, or somebody else knows the password.")
        if _has_readable_codes(facts):
            yield Block("second_step_failed", sentence % name, advice=advice)
        return
    last = next((row for row in rows if row.event is events.SIGN_IN_FAILED), None)
    if last is None or _is_over(user, last.at):
        return
    if last.detail == Failure.CODE:
        sentence = _("The emailed code was wrong when someone last tried to sign in as %(name)s.")
        advice = _("Only the newest code works, for 10 minutes, in the browser that asked for it.")
        yield Block("wrong_code", sentence % name, advice=advice)
    elif last.detail == Failure.PASSKEY:
        sentence = _("The passkey was refused when someone last tried to sign in as %(name)s.")
        yield Block("passkey_refused", sentence % name)
    elif last.detail in {Failure.PASSWORD, ""}:
        sentence = _("The password was wrong when someone last tried to sign in as %(name)s.")
        advice = _("If they forgot it, a link to set a new password helps.")
        yield Block("wrong_password", sentence % name, advice=advice)


def _is_over(user: User, at: datetime) -> bool:
    """Return whether ``user`` has signed in after ``at``, so that what happened then is settled."""
    return user.last_login is not None and user.last_login > at

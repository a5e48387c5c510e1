"""The list of proofs that unlock an account, for the page that asks for them."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from accounts.common import localization
from accounts.recovery import rule
from accounts.recovery.rule import Kind, Outcome
from accounts.recovery.services import Assessment

# The label and the icon of each kind of proof.
WORDS = {
    Kind.PASSWORD: (_("Your password"), "lock"),
    Kind.MAILBOX: (_("Your email"), "mail"),
    Kind.FACTOR: (_("Your passkey or a code"), "key"),
}


@dataclass(frozen=True)
class Entry:
    """A kind of proof that the page asks for, with the names of the credentials that count."""

    label: Promise
    icon: str
    names: Sequence[str]
    is_shown: bool


class Checklist:
    """The proofs that unlock an account, and which of them were shown.

    Until a proof that counts was shown, the list contains every kind and no names. Otherwise it
    would tell a stranger which credentials the account has.
    """

    def __init__(self, found: Assessment) -> None:
        self._found, self._is_open = found, found.outcome is not Outcome.NOTHING
        counting = rule.kinds(found.ownership.counting) if self._is_open else set(Kind)
        self.shown = found.kinds if self._is_open else frozenset()
        self.missing = counting - self.shown
        self.needed = min(found.ownership.needed, len(Kind))
        self.needs_factor = self._is_open and Kind.FACTOR in counting
        # Whether enough kinds were shown, but a second factor is still missing.
        self.lacks_factor = Kind.FACTOR in self.missing and len(self.shown) >= self.needed
        # Whether Support must decide although enough kinds were shown.
        has_enough = len(self.shown) >= self.needed and not self.lacks_factor
        self.is_equal_to_others = has_enough and not found.may_finish
        kinds = [kind for kind in Kind if kind in counting]
        self.entries = [Entry(*WORDS[k], self._names(k), k in self.shown) for k in kinds]

    def _names(self, kind: Kind) -> Sequence[str]:
        ownership = self._found.ownership
        if not self._is_open or ownership.lock is None:
            return ()
        if kind is Kind.PASSWORD:
            on = {"date": localization.date_in_words(ownership.lock.horizon)}
            return [gettext("The password that you had on %(date)s") % on]
        things = [thing for thing in ownership.counting if thing.kind is kind]
        oldest_first = sorted(things, key=lambda t: (str(t.since or ""), t.name))
        return list(dict.fromkeys(thing.name for thing in oldest_first))

"""What an act of staff is. ``accounts.administration.acts`` lists all acts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.functional import Promise

from accounts.administration import roles
from accounts.administration.roles import NotInRole
from accounts.administration.steps import Account, Order, Target
from accounts.common.errors import RateLimited
from accounts.throttle.limits import Limit
from accounts.users.models import User
from accounts.users.rights import ACTING, Role, role_of


@dataclass(frozen=True, eq=False)
class Act:
    """What staff can do with an account.

    ``name``: the name in URLs.
    ``label``: what the button says.
    ``does``: what the act does, and what stays.
    ``shows``: what the owner of the account will see.
    ``run``: does it.
    ``targets``: returns what the act can be limited to, or None if it always concerns everything.
    ``everything``: how a form names the choice without a target; empty if a target is necessary.
    ``is_possible``: returns whether there is something to do; None if there is whenever there is a
        target.
    ``for_signups``: whether the act works for a sign-up that is not confirmed yet.
    ``has_modes``: whether the act may also happen after the waiting period.
    ``limit``: how often all staff together may do the act on one account, and the error that is
        raised beyond that.
    ``is_severe``: whether the owner may lose something.
    ``roles``: the roles that include the act.
    ``is_in_api``: whether the act is also a call of the staff API.
    """

    name: str
    label: str | Promise
    does: str | Promise
    shows: str | Promise
    run: Callable[[Order], None]
    is_possible: Callable[[Any], bool] | None = None
    targets: Callable[[Any], list[Target]] | None = None
    everything: str | Promise = ""
    for_signups: bool = False
    has_modes: bool = False
    limit: tuple[Limit, type[RateLimited]] | None = None
    is_severe: bool = False
    roles: frozenset[Role] = ACTING
    is_in_api: bool = True

    def check(self, staff: User, account: Account) -> None:
        """Require that ``staff`` may do the act with ``account``.

        Raises:
            NotInRole, NotAllowedOnStaff: see :func:`roles.check`.
        """
        roles.check(staff, account)
        if role_of(staff) not in self.roles:
            raise NotInRole

    def suits(self, account: Account) -> bool:
        """Return whether the act would change something for ``account`` now."""
        if not (self.for_signups or isinstance(account, User)):
            return False
        return self.is_possible(account) if self.is_possible else bool(self.targets_of(account))

    def targets_of(self, account: Account) -> list[Target]:
        """Return what the act can be limited to."""
        return self.targets(account) if self.targets else []

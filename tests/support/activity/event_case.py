"""A case of an event: the act that causes it and what its row says."""

from dataclasses import dataclass
from functools import partial

from tests.support.activity.event_steps import HERE, NOWHERE, THERE, Act


@dataclass(frozen=True)
class Case:
    """The act that causes an event, its preparation, what its row says and who is notified.

    ``place`` is the IP address and device of the row.
    """

    act: Act
    place: tuple[str, str] = HERE
    proof: str = ""
    actor: str = ""
    user: str = "alice"
    in_session: bool = True
    prepare: Act = id
    # By default, a change is mailed to every email and anything else to the primary one.
    notified: tuple[str, ...] = ()


by_operator = partial(Case, place=NOWHERE, actor="@operator", in_session=False)
by_visitor = partial(Case, place=THERE, in_session=False)

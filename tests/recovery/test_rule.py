"""The rule of recovery: its table, and a search for a thief who gains by some order of acts."""

from dataclasses import replace
from itertools import combinations
from random import Random

import pytest

from accounts.recovery import rule
from accounts.recovery.rule import Kind, Lock, Opening, Outcome, Ownership, Thing, lock_of
from tests.support.recovery_states import merged
from tests.support.recovery_world import DAY, OWNER, START, THIEF, World, end_of, next_worlds

P, M, F = Kind
LOCK = Lock(START, START - 7 * DAY)
OLD = START - 50 * DAY
OPEN, WAIT, SUPPORT, NOTHING = Outcome


def things(*kinds, since=OLD, until=None):
    return frozenset(Thing(kind, f"{kind}", since, until) for kind in kinds)


def table(*kinds_and_outcomes):
    return [(set(kinds), outcome) for *kinds, outcome in kinds_and_outcomes]


@pytest.mark.parametrize(
    "shown, outcome",
    table(
        (P, M, OPEN), (M, WAIT), (P, SUPPORT), (NOTHING,)
    ),
)  # fmt: skip
def test_two_things_open_a_locked_account_without_a_factor(shown, outcome):
    """Withstands a thief in the account."""
    assert Ownership(things(P, M), LOCK).outcome(things(*shown)) is outcome


@pytest.mark.parametrize(
    "shown, outcome",
    table(
        (P, M, F, OPEN), (P, F, OPEN), (M, F, OPEN),
        (P, M, WAIT), (M, WAIT), (P, SUPPORT), (F, SUPPORT), (NOTHING,),
    ),
)  # fmt: skip
def test_a_locked_account_that_had_a_factor_is_opened_with_it(shown, outcome):
    assert Ownership(things(P, M, F), LOCK).outcome(things(*shown)) is outcome


@pytest.mark.parametrize("shown, outcome", table((M, OPEN), (P, M, OPEN), (P, SUPPORT)))
def test_a_mailbox_opens_an_account_that_is_neither_locked_nor_has_a_factor(shown, outcome):
    assert Ownership(things(P, M)).outcome(things(*shown)) is outcome


@pytest.mark.parametrize(
    "shown, outcome", table((M, WAIT), (P, M, WAIT), (M, F, OPEN), (P, F, OPEN))
)
def test_a_lost_factor_is_waited_for(shown, outcome):
    """Withstands a thief with a second factor."""
    assert Ownership(things(P, M, F)).outcome(things(*shown)) is outcome


def test_without_a_lock_only_what_the_account_has_now_counts():
    found = things(F, until=START - DAY)
    assert Ownership(things(P, M) | found).outcome(things(P) | found) is SUPPORT


def test_staff_never_wait():
    """Withstands a member of staff: staff remove a factor by waiting."""
    ownership = Ownership(things(P, M, F), LOCK, is_staff=True)
    assert ownership.outcome(things(P, M)) is SUPPORT
    assert ownership.outcome(things(P, F)) is OPEN


def test_two_mailboxes_are_one_thing():
    """Withstands a thief in the account."""
    two = frozenset({Thing(M, "a"), Thing(M, "b")})
    assert Ownership(two | things(P), LOCK).outcome(two) is WAIT


@pytest.mark.parametrize(
    "since, until, counts, is_there",
    [
        (None, None, True, True),
        (START - 7 * DAY, None, True, True),
        (START - 6 * DAY, None, False, True),
        (OLD, START - 6 * DAY, True, True),
        (OLD, START - 7 * DAY, True, True),
        (OLD, START - 8 * DAY, False, False),
    ],
)
def test_a_thing_counts_if_the_account_had_it_at_the_horizon(since, until, counts, is_there):
    thing = Thing(M, "a", since, until)
    assert (LOCK.counts(thing), LOCK.is_there(thing)) == (counts, is_there)


def test_what_was_removed_long_before_the_lock_counts_only_beside_something_still_there():
    """Withstands a thief with the mailbox."""
    lock = lock_of(START, START - 20 * DAY, OLD, None)
    former = things(P, M, until=START - 8 * DAY)
    ownership = Ownership(former | things(F), lock)
    assert ownership.outcome(former) is NOTHING
    assert not ownership.may_lock(former)
    assert ownership.outcome(former | things(F)) is OPEN
    beside = things(P, until=START - 8 * DAY) | things(M)
    assert Ownership(beside, lock).outcome(beside) is OPEN


def test_the_horizon_is_a_week_before_the_first_wrong_change_or_the_creation():
    """Withstands a thief in the account: waits until the things added are old."""
    assert lock_of(START, START - DAY, OLD, None).horizon == START - 8 * DAY
    assert lock_of(START, START, START - DAY, None).horizon == START - DAY + rule.AT_CREATION


def test_a_lock_after_an_opening_reaches_behind_it_only_with_a_change_from_before():
    """Withstands a thief in the account."""
    opening = Opening(START - 3 * DAY, 2)
    assert lock_of(START, START - DAY, OLD, opening).horizon == opening.at + rule.AT_CREATION
    assert lock_of(START, START - 3 * DAY, OLD, opening).horizon == START - 10 * DAY


def test_an_opening_is_undone_only_with_more_than_opened_the_account():
    opening = Opening(START - 3 * DAY, 2)
    behind = lock_of(START, START - 4 * DAY, OLD, opening)
    ownership = Ownership(things(P, M, F), behind, opening=opening)
    assert ownership.outcome(things(P, F)) is SUPPORT
    assert ownership.outcome(things(P, M, F)) is OPEN
    assert replace(ownership, opening=Opening(opening.at, 1)).outcome(things(P, F)) is OPEN
    after = lock_of(START, START - DAY, OLD, opening)
    assert replace(ownership, lock=after).outcome(things(P, F)) is OPEN
    at_opening = Lock(START, opening.at)
    assert replace(ownership, lock=at_opening).outcome(things(P, F)) is OPEN


def test_a_mailbox_locks_alone_once_in_thirty_days_and_not_after_an_opening_with_more():
    ownership = Ownership(things(P, M), LOCK)
    assert ownership.may_lock(things(M))
    assert not ownership.may_lock(things(M), {f"{M}"})
    assert not ownership.may_lock(things(P))
    assert ownership.may_lock(things(P, M), {f"{M}"})
    assert not replace(ownership, opening=Opening(START - DAY, 2)).may_lock(things(M))
    assert replace(ownership, opening=Opening(START - DAY, 1)).may_lock(things(M))


def test_a_second_opening_does_not_raise_what_the_first_one_needs_to_be_undone():
    first = Opening(START - 3 * DAY, 2)
    ownership = Ownership(things(P, M, F), lock_of(START, START - DAY, OLD, first), opening=first)
    assert ownership.opened(START, things(P, M, F)) == first
    assert replace(ownership, lock=None).opened(START, things(M)) == first
    assert replace(ownership, opening=None).opened(START, things(P, M)) == Opening(START, 2)
    behind = replace(ownership, lock=lock_of(START, START - 4 * DAY, OLD, first))
    assert behind.opened(START, things(P, M, F)) == Opening(START, 3)


def test_one_thing_locks_an_account_that_had_no_mailbox():
    assert Ownership(things(P, F), LOCK).may_lock(things(P))


def test_a_provider_is_no_address_so_that_one_thing_locks():
    provider = frozenset({Thing(M, "7", OLD, is_provider=True)})
    assert Ownership(things(P) | provider, LOCK).may_lock(things(P))


def test_two_things_lock_from_inside_whatever_opened_the_account():
    ownership = Ownership(things(P, M, F), LOCK, opening=Opening(START - DAY, 3))
    assert ownership.may_lock(things(P, F), is_inside=True)
    assert not ownership.may_lock(things(P, F))
    assert not ownership.may_lock(things(M), is_inside=True)


def account(*kinds, young=None, days=0, **about):
    since = {young: START - days * DAY}
    return World(
        frozenset(Thing(kind, f"{kind} {n}", since.get(kind)) for n, kind in enumerate(kinds)),
        **about,
    )


ACCOUNTS = {
    "mailbox": account(M),
    "password": account(P),
    "password, mailbox": account(P, M),
    "mailbox, factor": account(M, F),
    "password, factor": account(P, F),
    "all three": account(P, M, F),
    "two mailboxes": account(P, M, M),
    "two factors": account(P, M, F, F),
    "staff": account(P, M, F, is_staff=True),
    "young factor": account(P, M, F, young=F, days=3),
    "young mailbox": account(P, M, F, young=M, days=3),
    "young account": account(P, M, F, young=F, days=1, created=START - 2 * DAY),
}


def subsets(keys):
    return [set(some) for n in range(len(keys) + 1) for some in combinations(sorted(keys), n)]


def beginnings():
    """Yield each account with every loss, and every theft of strictly fewer things that count.

    The thief begins outside, or with a copied session that was authenticated just now.
    """
    for name, world in ACCOUNTS.items():
        keys = {thing.key: thing.kind for thing in world.things}
        counting = rule.lock_of(START, START, world.created, None)
        old = {thing.key for thing in world.things if counting.counts(thing)}
        for lost in subsets(keys):
            owned = keys.keys() - lost
            shows = {keys[key] for key in owned & old}
            for stolen in subsets(keys):
                if len({keys[key] for key in stolen}) >= len(shows):
                    continue
                has = {(OWNER, key) for key in owned} | {(THIEF, key) for key in stolen}
                is_strong = len(shows) >= 2 and (F in shows or F not in keys.values())
                for inside in ({OWNER}, {OWNER, THIEF}) if stolen else ({OWNER, THIEF},):
                    begun = replace(world, has=frozenset(has), inside=frozenset(inside))
                    yield (name, sorted(lost), sorted(stolen), sorted(inside)), begun, is_strong


def wrong_end(world, *, is_strong):
    """Return the end of a history if it is not one that the rule promises, else None.

    Declared: a thief who changes nothing may stay signed in beside the owner. Support decides if
    the owner cannot show two things, the factor among them if one was held, or if a lock names a
    time at which the owner shows no more than the thief.
    """
    end, last = end_of(world)
    if end == "support":
        owners, thiefs = (rule.kinds(last.shown_by(who)) for who in (OWNER, THIEF))
        has_factor = F in rule.kinds(last.ownership.counting)
        can_open = len(owners) >= 2 and (F in owners or not has_factor)
        return end if is_strong and can_open and len(owners) > len(thiefs) else None
    return None if end in {OWNER, "both"} else end


def wrong_histories(length, away):
    """Yield every history of at most ``length`` acts of the thief that ends as it should not.

    ``away``: how many days the owner is away. States with the same future are played once.
    """
    seen = set()
    found = (((*about, away), *merged(begun), strong) for about, begun, strong in beginnings())
    for depth in range(length + 1):
        level = []
        for acts, world, back, is_strong in found:
            # The hashes take less memory than the states. Two of a million collide with a
            # probability of 1 in 10 million.
            if (state := hash((world, back, is_strong))) in seen:
                continue
            seen.add(state)
            if end := wrong_end(world, is_strong=is_strong):
                yield acts, end
            if depth < length:
                level.append((acts, world, back, is_strong))
        found = (
            ((*acts, act), *merged(after, back_then), is_strong)
            for acts, world, back, is_strong in level
            for act, after, back_then in next_worlds(world, away, back)
        )


@pytest.mark.parametrize(
    "length, away",
    [
        *((2, away) for away in range(3)),
        *(pytest.param(6, away, marks=pytest.mark.proof) for away in range(3)),
    ],
)
def test_no_thief_with_fewer_things_ends_up_inside_while_the_owner_is_out(length, away):
    """Withstands a thief in the account: by any order of acts."""
    assert list(wrong_histories(length, away)) == []


def test_states_that_are_merged_have_the_same_future():
    random = Random(8)  # noqa: S311 no secret
    starts = list(beginnings())
    for _ in range(40):
        (_about, world, is_strong), away, back = random.choice(starts), random.randrange(3), None
        for _act in range(8):
            one = merged(world, back)
            following = list(next_worlds(world, away, back))
            assert [(act, merged(*then)) for act, *then in following] == [
                (act, merged(*then)) for act, *then in next_worlds(one[0], away, one[1])
            ]
            ends = [wrong_end(each, is_strong=is_strong) for each in (world, one[0])]
            assert ends[0] == ends[1]
            if following:
                _act, world, back = random.choice(following)


@pytest.mark.parametrize("number", [200, pytest.param(20_000, marks=pytest.mark.proof)])
def test_no_thief_gains_by_a_longer_history(number):
    random = Random(number)  # noqa: S311 no secret
    starts = list(beginnings())
    found = []
    for _ in range(number):
        about, world, is_strong = random.choice(starts)
        away, back, acts = random.randrange(3), None, []
        for _act in range(random.randrange(7, 15)):
            if following := list(next_worlds(world, away, back)):
                act, world, back = random.choice(following)
                acts.append(act)
        if end := wrong_end(world, is_strong=is_strong):
            found.append((about, away, acts, end))
    assert found == []

"""Limits."""

import dataclasses

import pytest
import redis
from django.test import Client

from accounts.common import metrics
from accounts.common.client_info import ClientInfo
from accounts.common.errors import RateLimited
from accounts.throttle import database_store, limits, redis_store, services
from accounts.throttle.limits import LOGIN_SUBSCRIBER, Budget, Limit
from accounts.throttle.models import Refusals
from accounts.throttle.services import around, check, give_back, hit, wait
from tests.support.process import LATER_SECONDS, free_port, within
from tests.support.services import Redis, Sentinel
from tests.support.signin import set_up
from tests.support.signing import queries, refusing
from tests.support.site import together
from tests.support.standards import proves
from tests.support.steps import WRONG, make_user, sign_in

SUBJECT = "somebody"
TEN = Limit("test.ten", "", burst=10, per=60)
OTHER = Limit("test.other", "", burst=10, per=60)


@pytest.fixture(params=["database", "refused", pytest.param("redis", marks=pytest.mark.redis)])
def store(request, settings, monkeypatch):
    """Keep budgets in the database, with no Redis or an unreachable one, or in Redis."""
    monkeypatch.setitem(redis_store._resting, "until", 0.0)
    url = ""
    if request.param == "redis":
        # On a busy machine, Redis may answer later than a site waits for it.
        monkeypatch.setattr(redis_store, "TIMEOUT_SECONDS", LATER_SECONDS)
        redis_store._connect.cache_clear()
        server = request.getfixturevalue("redis_server")
        server.flush()
        url = server.url
    elif request.param == "refused":
        url = f"redis://127.0.0.1:{free_port()}/0"
    set_up(settings, redis_url=url)
    yield
    if request.param == "redis":
        assert redis_store._resting["until"] == 0, "Redis has failed, so the database counted"


def allowed(*budgets):
    try:
        hit(*budgets)
    except RateLimited:
        return False
    return True


@proves("V2.3.2")
@pytest.mark.django_db(transaction=True)
def test_exactly_the_burst_of_many_concurrent_acts_passes(store, clock):
    """Each act takes from two budgets, in either order; one of them was used before."""
    mine: list[Budget] = [TEN.of(SUBJECT), OTHER.of(SUBJECT)]
    for _ in range(3):
        hit(OTHER.of(SUBJECT))

    passed = together(24, lambda i: allowed(*mine[:: 1 - 2 * (i % 2)]))

    assert sum(passed) == OTHER.burst - 3
    assert [allowed(mine[0]) for _ in range(4)] == [True] * 3 + [False], (
        "an act takes from all budgets or from none"
    )


def test_each_limit_and_subject_has_a_budget_that_refills_up_to_the_burst(store, clock):
    assert [allowed(TEN.of(SUBJECT)) for _ in range(20)] == [True] * 10 + [False] * 10
    assert wait(TEN.of(SUBJECT)) == 60
    with pytest.raises(RateLimited):
        check(TEN.of("unused"), TEN.of(SUBJECT))
    for _ in range(11):
        check(TEN.of("unused"))
    assert wait(TEN.of("unused")) == 0, "a check costs nothing"
    assert allowed(TEN.of(SUBJECT, "else"))
    assert allowed(OTHER.of(SUBJECT))
    clock.advance(seconds=60)
    assert [allowed(TEN.of(SUBJECT)) for _ in range(2)] == [True, False], "refusals cost nothing"
    clock.advance(days=30)
    assert [allowed(TEN.of(SUBJECT)) for _ in range(11)] == [True] * 10 + [False]
    give_back()
    give_back(TEN.of(SUBJECT), OTHER.of("unused"))
    assert [allowed(TEN.of(SUBJECT)) for _ in range(2)] == [True, False]
    assert [allowed(OTHER.of("unused")) for _ in range(11)] == [True] * 10 + [False]


@pytest.mark.parametrize("scale, burst, after", [(2.0, 20, 30), (0.5, 5, 120), (0.01, 1, 6000)])
def test_limits_scale_multiplies_burst_and_refill_rate(clock, settings, scale, burst, after):
    set_up(settings, limits_scale=scale)

    assert sum(allowed(TEN.of(SUBJECT)) for _ in range(50)) == burst
    assert wait(TEN.of(SUBJECT)) == after


@pytest.mark.parametrize("minutes, at_once", [(120, 1), (6, 1), (5, 0)])
def test_a_clock_that_was_ahead_delays_nobody_longer_than_a_full_refill(
    store, clock, minutes, at_once
):
    """Withstands a failure: two nodes have different clocks.

    Clocks of nodes can differ by minutes, which must give no client more than the limit.
    """
    clock.advance(minutes=minutes)
    assert [allowed(TEN.of(SUBJECT)) for _ in range(11)] == [True] * 10 + [False]
    clock.advance(minutes=-minutes)

    assert sum(allowed(TEN.of(SUBJECT)) for _ in range(2)) == at_once
    assert wait(TEN.of(SUBJECT)) == 60
    clock.advance(seconds=60)
    assert [allowed(TEN.of(SUBJECT)) for _ in range(2)] == [True, False]
    clock.advance(minutes=9)
    assert [allowed(TEN.of(SUBJECT)) for _ in range(10)] == [True] * 9 + [False]


def test_hidden_limits_refuse_no_action_and_count_only_those_that_the_others_allow(store, clock):
    acts = [hit(TEN.of(n % 2), silent=[OTHER.of(SUBJECT)]) for n in range(14)]

    assert acts == [True] * 10 + [False] * 4
    assert [allowed(TEN.of(0)) for _ in range(4)] == [True] * 3 + [False], "a hidden refusal shows"
    with pytest.raises(RateLimited):
        hit(TEN.of(0), silent=[OTHER.of("else")])
    assert [hit(silent=[OTHER.of("else")]) for _ in range(11)] == [True] * 10 + [False]
    clock.advance(seconds=30)
    assert not hit(silent=[OTHER.of("else")])
    clock.advance(seconds=30)
    assert hit(silent=[OTHER.of("else")]), "a hidden refusal costs nothing"
    assert not hit(silent=[TEN.of("unused"), OTHER.of("else")])
    assert sum(hit(silent=[TEN.of("unused")]) for _ in range(11)) == 10


def test_an_act_that_another_process_overtakes_takes_from_no_budget(clock, monkeypatch):
    """Another process has used a budget up after this one has read that it is large enough."""
    used, free, hidden = OTHER.of(SUBJECT), TEN.of(SUBJECT), TEN.of("hidden")
    assert sum(allowed(used) for _ in range(11)) == 10
    with monkeypatch.context() as before:
        before.setattr(database_store, "refused", lambda _budgets, _now: {})
        with pytest.raises(RateLimited) as refused:
            hit(used, free, silent=[hidden])
        assert not allowed(used)
        assert not hit(free, silent=[used, hidden])

    assert refused.value.retry_after == 60
    left = [sum(allowed(budget) for _ in range(11)) for budget in (used, free, hidden)]
    assert left == [0, 9, 10]


def test_a_refusal_that_a_client_must_not_notice_changes_as_many_budgets_as_a_success():
    def statements(subject):
        with queries() as asked:
            hit(OTHER.of(subject), silent=[TEN.of("mallory"), TEN.of(subject)])
        return [(q["sql"][:20], q["sql"].count("WHEN '")) for q in asked.captured_queries]

    accepted = [statements(n) for n in range(10)]
    refused = statements("last")

    assert not hit(silent=[TEN.of("mallory")])
    assert refused == accepted[-1] == accepted[0]


def test_a_refusal_by_a_shared_budget_does_not_reveal_what_others_have_spent(clock):
    ours = dataclasses.replace(TEN, name="test.shared", is_shared=True)
    for _ in range(10):
        assert wait(ours.of()) == 0
        hit(ours.of(), TEN.of(SUBJECT))
    for seconds in (0, 30):
        clock.advance(seconds=seconds)

        with queries() as asked:
            assert wait() == 0
            with pytest.raises(RateLimited) as refused:
                hit(ours.of())

        assert refused.value.retry_after == wait(ours.of()) == 60
        assert wait(TEN.of(SUBJECT)) == 60 - seconds
        read = [query["sql"][:6] for query in asked.captured_queries if "budget" in query["sql"]]
        assert read == ["SELECT"], "a refusal changes no budget"


def test_a_sign_up_uses_up_no_budget_of_requested_emails():
    """Withstands a flood: nobody in the network could reset a password any more."""
    client = ClientInfo("192.0.2.1", "")

    hit(*services.of_sign_up(client))

    requested = [*around(limits.REQUEST_NETWORK, client), limits.REQUEST_EVERYONE.of()]
    assert not services.Levels(*requested).are_used(requested)


def test_each_mailbox_has_a_budget_for_each_line_and_gets_used_emails_back():
    alice, here = "alice@example.org", ClientInfo("192.0.2.1", "")
    there = ClientInfo("10.0.0.1", "")
    used = [*services.of_mailbox(alice, here), services.of_request("alice", here)]
    others = [services.of_mailbox("bob@example.org", here)[0], services.of_mailbox(alice, there)[0]]
    others += [services.of_request(*each) for each in (("bob", here), ("alice", there))]
    others.append(services.of_request(alice, here))

    hit(*used)
    assert not services.Levels(*others).are_used(others)
    services.refund(alice, here, "alice")
    assert not services.Levels(*used).are_used(used)


def test_the_own_budgets_that_a_call_uses_are_told_and_no_others(clock):
    own = dataclasses.replace(TEN, name="test.own", is_own=True)
    with services.own_levels() as levels:
        hit(own.of(1), TEN.of(1))
    hit(own.of(2))

    assert levels == {own.of(1): 60_000}


@pytest.mark.parametrize(
    "line, times",
    [("2001:db8:0:{:x}::1", 2), ("2001:db8:0:{:x}00::1", 4), ("192.0.2.{:d}", 4)],
    ids=["/56", "/48", "/24"],
)
def test_a_wide_network_gets_a_few_times_the_budget_of_one_ip(clock, line, times):
    """Withstands a flood."""
    places = [ClientInfo(line.format(i), "") for i in range(8)]

    passed = [sum(allowed(*around(TEN, place)) for _ in range(11)) for place in places]

    assert passed == [TEN.burst] * times + [0] * (8 - times)


def test_one_network_cannot_use_up_half_of_a_shared_budget():
    """Withstands a flood."""
    pairs = [
        (getattr(limits, name.replace("EVERYONE", "NETWORK")).times(4), everyone)
        for name, everyone in vars(limits).items()
        if name.endswith("_EVERYONE")
    ]
    assert len(pairs) == 3
    pairs += [
        (limits.LOGIN_SUBSCRIBER, limits.LOGIN_NAME),
        (limits.FACTOR_SUBSCRIBER_DAY, limits.FACTOR_ACCOUNT),
    ]

    for line, everyone in pairs:
        assert everyone.is_shared
        assert everyone.burst > 2 * line.burst, everyone.name
        assert everyone.per < line.per / 2, everyone.name


@proves("V16.3.3")
def test_refusals_are_written_at_most_every_five_seconds_and_none_is_lost(clock, caplog):
    make_user("alice")
    refused = metrics.LIMITS_HIT.labels("login.line")._value
    before = refused.get()
    clock.advance(minutes=5)
    for _ in range(LOGIN_SUBSCRIBER.burst + 4):
        sign_in(Client(), "alice", WRONG)
    assert Refusals.objects.get(limit="login.line").count == 1, "the first at once"

    clock.advance(seconds=5)
    with refusing("\nINSERT INTO accounts_refusals"):
        sign_in(Client(), "alice", WRONG)
    assert "Refusals could not be written" in caplog.text
    clock.advance(seconds=5)
    sign_in(Client(), "alice", WRONG)
    assert Refusals.objects.get(limit="login.line").count == 6

    sign_in(Client(), "alice", WRONG)
    today = clock.now().date()
    assert (today, "login.line", 7) in services.counts(today, "day"), "a page shows the newest, too"
    assert refused.get() == before + 7


def test_a_redis_that_has_failed_is_asked_again_after_five_seconds(settings, monkeypatch):
    """Withstands a failure: each attempt may take as long as a timeout."""
    now = {"seconds": 100.0}
    monkeypatch.setattr(redis_store, "monotonic", lambda: now["seconds"])
    monkeypatch.setitem(redis_store._resting, "until", 0.0)
    set_up(settings, redis_url=f"redis://127.0.0.1:{free_port()}/0")

    for seconds in (0, 5):
        now["seconds"] += seconds
        assert services._store() is redis_store
        assert allowed(TEN.of(SUBJECT))
        assert services._store() is database_store
    now["seconds"] += 4.9
    assert services._store() is database_store


@pytest.mark.parametrize(
    "url, how, is_encrypted",
    [
        ("redis+sentinel://alice:a%2Fb@one,two:26380/limits/2", ["alice", "a/b", 2], False),
        ("rediss+sentinel://one,two:26380/limits", [None, None, 0], True),
    ],
)
def test_the_url_of_the_sentinels_says_where_they_are_and_how_to_sign_in_to_the_server(
    url, how, is_encrypted
):
    pool = redis_store._connect(url).connection_pool
    sentinels = [each.connection_pool for each in pool.sentinel_manager.sentinels]

    def values(pool, *names):
        return [pool.connection_kwargs[name] for name in names]

    assert values(pool, "username", "password", "db") == how
    assert [values(each, "host", "port") for each in sentinels] == [["one", 26379], ["two", 26380]]
    for each in (pool, *sentinels):
        assert issubclass(each.connection_class, redis.SSLConnection) is is_encrypted
    for each in (pool, *sentinels, redis_store._connect("redis://one").connection_pool):
        assert values(each, "socket_timeout", "socket_connect_timeout") == [0.5, 0.5]


@pytest.mark.proof
@pytest.mark.redis
def test_limits_are_counted_by_the_server_that_the_sentinels_choose(settings, monkeypatch):
    """Without the database, because the database would count while Redis does not answer."""
    monkeypatch.setattr(redis_store, "REST_SECONDS", 0.0)
    with Redis() as first, Redis() as second, Sentinel(first) as sentinel:
        with redis.Redis.from_url(second.url) as replica:
            replica.replicaof("127.0.0.1", first.port)
            assert within(LATER_SECONDS, lambda: replica.info()["master_link_status"] == "up")
        with redis.Redis.from_url(f"redis://127.0.0.1:{sentinel.port}") as told:
            assert within(LATER_SECONDS, lambda: told.sentinel_slaves("limits"))
        url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{sentinel.port}/limits"
        set_up(settings, redis_url=url)
        assert [allowed(TEN.of(SUBJECT)) for _ in range(11)] == [True] * 10 + [False]
        first.stop()

        assert within(LATER_SECONDS, redis_store.can_write)
        assert [allowed(OTHER.of(SUBJECT)) for _ in range(11)] == [True] * 10 + [False]
        assert not allowed(TEN.of(SUBJECT))

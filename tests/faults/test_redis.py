"""What the site says about a Redis that does not answer."""

from tests.support.process import LATER_SECONDS, free_port, within
from tests.support.site import Site


def test_a_redis_that_does_not_answer_at_start_is_named_in_the_log():
    with Site(REDIS_URL=f"redis://:hunter2@127.0.0.1:{free_port()}/0") as site:
        assert within(LATER_SECONDS, lambda: "REDIS_URL: Redis does not answer" in site.log())
        assert "hunter2" not in site.log()

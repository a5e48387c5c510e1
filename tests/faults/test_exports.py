"""The server is killed while it makes an export."""

import io
import json
from zipfile import ZipFile

import pytest

from tests.support.process import LATER_SECONDS, within
from tests.support.site import CHEAP_HASHES, Site
from tests.support.steps import join, sql

DATA = "/accounts/data/"
EVENTS = 60_000
# A long history.
GROW = f"""
INSERT INTO accounts_activity
    (user_id, kind, at, ip, browser, system, proof, session, actor, detail, key, reason)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {EVENTS})
SELECT (SELECT id FROM accounts_user), 'signed_in', datetime('now', '-' || i || ' minutes'),
    hex(randomblob(20)), '', '', '', NULL, '', '', '', '' FROM n
"""


@pytest.mark.server
def test_after_kill_9_in_the_middle_another_process_makes_the_whole_file():
    with Site(**CHEAP_HASHES) as site:
        alice = site.client()
        join(site, alice, "alice")
        sql(site, GROW)
        assert alice.post(DATA).status == 302
        begun = "SELECT count(*) FROM accounts_exportpart"
        assert within(LATER_SECONDS, lambda: sql(site, begun) != [(0,)])
        site.kill()
        assert sql(site, "SELECT made_at FROM accounts_export") == [(None,)]
        sql(site, "UPDATE accounts_export SET due_at = '2020-01-01 00:00:00'")
        site.start()

        made = "SELECT id FROM accounts_export WHERE made_at IS NOT NULL"
        assert within(2 * LATER_SECONDS, lambda: sql(site, made))
        answer = alice.post(DATA, {"download": sql(site, made)[0][0]})
        with ZipFile(io.BytesIO(answer.body)) as file:
            data = json.loads(file.read("data.json"))
            assert len(data["tables"]["accounts.Activity"]) > EVENTS
            assert file.read("index.html").endswith(b"</html>\n")
        assert within(LATER_SECONDS, lambda: sql(site, begun) == [(0,)])

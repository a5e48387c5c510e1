"""``EVENT_LOG``: each event of the history as a line of JSON."""

import io
import json

import pytest
from django.db import transaction

from accounts.activity import events, services
from accounts.activity.services import Actor, record
from accounts.common.client_info import ClientInfo
from tests.support.signin import set_up
from tests.support.steps import sign_in

CURL = ClientInfo("192.0.2.1", "curl/8\n\x1b[31m")


def happen(user, event=events.RENAMED, detail="alicia@example.org"):
    record(user, event, Actor(CURL), detail=detail, mail=False)


@pytest.mark.django_db(transaction=True)
def test_each_stored_event_is_a_line_without_names(alice, client, settings, tmp_path):
    file = tmp_path / "events.jsonl"
    set_up(settings, event_log=str(file))
    with transaction.atomic():
        happen(alice)
        transaction.set_rollback(True)
    assert not file.exists()

    happen(alice)
    file.rename(tmp_path / "rotated.jsonl")
    sign_in(client, "alice", "a wrong password here")

    (first,) = (tmp_path / "rotated.jsonl").read_text().splitlines()
    last = json.loads(file.read_text())
    told = ("sign_in_failed", str(alice.pk), "password")
    assert (last["event"], last["user"], last["reason"]) == told
    line = json.loads(first)
    assert (line["type"], line["ip"], line["by"]) == ("user.updated", "192.0.2.1", "user")
    assert "alicia" not in first
    assert first.isascii()
    assert first.isprintable()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.django_db(transaction=True)
def test_a_full_disk_fails_no_request(alice, client, settings, caplog):
    set_up(settings, event_log="/dev/full")

    happen(alice)

    assert "No space left" in caplog.text


@pytest.mark.django_db(transaction=True)
def test_the_lines_of_the_server_go_to_its_standard_output(alice, settings, monkeypatch):
    stream = io.StringIO()
    monkeypatch.setattr(services, "stream", stream)
    set_up(settings, event_log="stdout")

    happen(alice)

    assert json.loads(stream.getvalue())["event"] == "renamed"

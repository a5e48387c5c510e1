"""Roles of staff: who may act on whom. The table in ``docs/administration.md`` comes from here.

``WRITE_DOCS=1`` writes the table into the page.
"""

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from django.contrib.auth.models import Group, Permission

from accounts.activity.services import Actor
from accounts.administration import acts
from accounts.common.errors import PublicError
from accounts.users.models import User
from accounts.users.rights import Role, role_of
from tests.support.administration import member, people, staff_of_every_role
from tests.support.steps import make_user

PAGE = Path(__file__).resolve().parents[2] / "docs" / "administration.md"
BEGIN, END = "<!-- table of rights -->\n", "<!-- end -->"
# An act that would have something to do, and does nothing.
IDLE: Any = {"run": lambda _: None, "is_possible": lambda _: True, "targets": lambda _: []}
WORDS = {"": "yes", "not_in_role": "not in role", "not_allowed_on_staff": "no"}


def result(name, staff, user):
    try:
        acts.perform(name, staff, Actor(), user, reason="asked", mode="now")
    except PublicError as error:
        return WORDS[error.code]
    return WORDS[""]


def test_the_table_of_roles_acts_and_targets_in_the_docs_is_what_the_code_decides(
    clock, monkeypatch
):
    """Withstands a member of staff."""
    for name, known in acts.ACTS.items():
        monkeypatch.setitem(acts.ACTS, name, replace(known, **IDLE))
    rows = [f"| role | acts on | {' | '.join(f'`{name}`' for name in acts.ACTS)} |\n"]
    rows.append("| --- " * (2 + len(acts.ACTS)) + "|\n")
    cells = 0
    staff, targets = staff_of_every_role(), people()
    for role, actor in staff.items():
        for kind, user in (targets | {"the own account": actor}).items():
            clock.advance(minutes=10)
            found = [result(name, actor, user) for name in acts.ACTS]
            cells += len(found)
            rows.append(f"| {role} | {kind} | {' | '.join(found)} |\n")
    table = "".join(rows)
    if os.environ.get("WRITE_DOCS"):
        text = re.sub(
            f"{BEGIN}.*{END}", lambda _: BEGIN + table + END, PAGE.read_text(), flags=re.S
        )
        PAGE.write_text(text)

    assert cells >= 200
    assert BEGIN + table + END in PAGE.read_text()


def test_roles_follow_the_rights_not_the_names_of_groups():
    helpers = Group.objects.create(name="Helpers")
    helpers.permissions.add(Permission.objects.get(codename="help_user"))
    carol = make_user("carol", is_staff=True)
    carol.groups.add(helpers)

    assert role_of(User.objects.get(pk=carol.pk)) is Role.SUPPORT
    Group.objects.filter(name="Manager").update(name="Support (old)")
    assert role_of(member("dave", "Support (old)")) is Role.MANAGER
    for change in ({"is_staff": False}, {"is_active": False}):
        eve = member(f"eve{len(change)}{next(iter(change))}"[:12].replace("_", "-"), "Support")
        User.objects.filter(pk=eve.pk).update(**change)
        assert role_of(User.objects.get(pk=eve.pk)) is None

"""The pages cost the same among a thousand people and among a hundred thousand."""

import json

import pytest

from tests.support import site
from tests.support.site import Site

MOST_QUERIES, MOST_ABOUT_A_PERSON = 16, 32


def costs(postgres, folder, people):
    """Return the queries of each page, and the rows that they look at, among ``people``."""
    folder.mkdir()
    settings = {"DATABASE_URL": postgres.database(), "PEOPLE": str(people)}
    # Staff may read this many people.
    filled = Site(data_dir=folder, LIMITS_SCALE="1000", **settings)
    filled.make_database()
    grow = "import tests.administration.grow_people"
    return dict(json.loads(filled.manage("shell", "--no-imports", "-c", grow)))


@pytest.mark.proof
@pytest.mark.postgres
def test_a_page_costs_no_more_among_a_hundred_times_as_many_people(postgres, tmp_path, monkeypatch):
    """A statement that reads a table of people, sessions or events fails by its rows."""
    monkeypatch.setattr(site, "MANAGE_SECONDS", 600)

    few = costs(postgres, tmp_path / "few", 1_000)
    many = costs(postgres, tmp_path / "many", 100_000)

    assert len(few) > 10
    assert few.keys() == many.keys()
    most = {page: MOST_ABOUT_A_PERSON if "<id>" in page else MOST_QUERIES for page in many}
    assert {page: cost for page, cost in many.items() if cost["queries"] > most[page]} == {}
    grown = {
        page[:80]: (few[page], cost)
        for page, cost in many.items()
        if cost["queries"] > few[page]["queries"] or cost["rows"] > 2 * few[page]["rows"] + 1_000
    }
    assert grown == {}

"""Each requirement of the standards is proved by a test or has an answer."""

import pytest

from tests.support import standards


def test_each_requirement_has_a_test_or_an_answer_and_each_mark_a_requirement():
    known = {row["id"] for name in standards.STANDARDS for row in standards.requirements(name)}
    proved, answered = standards.proofs().keys(), standards.answers()

    assert proved <= known, "a mark names no requirement"
    assert answered.keys() <= known, "an answer names no requirement"
    assert known - proved - answered.keys() == set(), "nothing answers these requirements"
    assert proved & answered.keys() == set(), "a requirement has a test and an answer"
    assert {answer["kind"] for answer in answered.values()} <= set(standards.KINDS)


@pytest.mark.parametrize("name", standards.STANDARDS)
def test_the_page_about_a_standard_is_current(name):
    page = (standards.ROOT / f"docs/{name}.md").read_text()

    assert page == standards.page(name), "python -m tests.support.standards"

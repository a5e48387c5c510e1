"""Each requirement of the standards is proved by a test or has an answer."""

from tests.support import standards


def test_each_requirement_has_a_test_or_an_answer_and_each_mark_a_requirement():
    known = {row["id"] for row in standards.requirements()}
    proved, answered = standards.proofs().keys(), standards.answers()

    assert proved <= known, "a mark names no requirement"
    assert answered.keys() <= known, "an answer names no requirement"
    assert known - proved - answered.keys() == set(), "nothing answers these requirements"
    assert proved & answered.keys() == set(), "a requirement has a test and an answer"
    assert {answer["kind"] for answer in answered.values()} <= set(standards.KINDS)


def test_the_page_about_the_standard_is_current():
    assert standards.PAGE.read_text() == standards.page(), "python -m tests.support.standards"

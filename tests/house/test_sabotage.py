"""The defences that ``make proof`` removes still exist in the code."""

from tests.sabotage.run import ROOT, DoesNotApply, defences, edited, site_files


def test_every_defence_can_be_removed_and_names_its_test() -> None:
    files = site_files(ROOT)
    wrong = []
    for defence in defences():
        path, name = defence.test.split("::")
        if f"def {name.partition('[')[0]}(" not in (ROOT / path).read_text(encoding="utf-8"):
            wrong.append(f"{defence.name}: no test {defence.test}")
        try:
            edited(defence, files)
        except DoesNotApply as problem:
            wrong.append(f"{defence.name}: {problem}")

    assert wrong == []

"""The defences that ``make proof`` removes exist in the code. Mutation finds the other faults."""

from tests.sabotage.run import ROOT, DoesNotApply, defences, edited, site_files

MOST = 250


def test_every_defence_can_be_removed_and_names_its_test():
    files = site_files(ROOT)
    wrong = []
    assert len(defences()) <= MOST
    for defence in defences():
        path, name = defence.test.split("::")
        if f"def {name.partition('[')[0]}(" not in (ROOT / path).read_text(encoding="utf-8"):
            wrong.append(f"{defence.name}: no test {defence.test}")
        try:
            edited(defence, files)
        except DoesNotApply as problem:
            wrong.append(f"{defence.name}: {problem}")

    assert wrong == []

"""What a sample asks for: names, indexes, one column for each class; doubt is asked about."""

from __future__ import annotations

from pathlib import Path

import pytest

from tfrecords.errors import UsageError
from tfrecords.inputs.options import InputOptions
from tfrecords.inputs.rows import InputPath
from trainer.predicting import answers, sample
from trainer.predicting.answers import Answers
from trainer.predicting.wish import LabelForm, Wish

CLASSES = ("apu", "bart", "lisa")
NAME, INDEX = Wish(LabelForm.NAME), Wish(LabelForm.INDEX)


def ask(
    tmp_path: Path,
    text: str,
    wish: Wish | None = None,
    classes: tuple[str, ...] = CLASSES,
    said: list[str] | None = None,
) -> Answers:
    path = tmp_path / "s.csv"
    path.write_text(text, encoding="utf-8")
    say = said.append if said is not None else lambda note: None
    like = sample.read(
        InputPath("--like", str(path)), InputOptions(), lambda id_: id_ in ("1", "2"), say
    )
    return answers.of_sample(like, wish or Wish(), classes, say)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id,label\n1,apu\n2,apu\n", Answers(columns=(1,))),
        ("id,label\n1,0\n2,2\n", Answers(as_index=True, columns=(1,))),
        ("label,id\n0,1\n0,2\n", Answers(as_index=True, columns=(0,))),
        ("id,lisa,apu,bart\n1,0,0,1\n", Answers((2, 0, 1), columns=(1, 2, 3))),
        ("apu,id,bart,lisa\n.3,1,.3,.3\n", Answers((0, 1, 2), columns=(0, 2, 3))),
        ("id,bart\n1,0.5\n2,0.5\n", Answers((1,), columns=(1,))),
        ("id,bart\n1,apu\n2,bart\n", Answers(columns=(1,))),
        ("id,width,label\n1,7,apu\n2,7,apu\n", Answers(columns=(2,))),
        ("seq,label\n1,apu\n2,apu\n", Answers(columns=(1,))),
    ],
)
def test_it_is_told_by_header_and_values(tmp_path: Path, text: str, expected: Answers) -> None:
    assert ask(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("id\n1\n2\n", "a column of ids and none for answers"),
        ("id,label\n1,\n2,\n", "may expect names or indexes .* such as ''"),
        ("id,label\n1,cat\n2,cat\n", "none of its values is a class of the run, such as 'cat'"),
        ("id,label\n1,0.5\n2,0.5\n", "fractions such as 0.5: .* --positive_class=NAME"),
        ("id,label\n1,0\n2,3\n", "whole numbers up to 3, and the run's classes are 0 to 2"),
        ("id,apu,bart\n1,0,0\n", r"1 only in the run \('lisa'\)"),
        (
            "id,apu,bart,Lisa,x\n1,0,0,0,0\n",
            r"2 only in the sample \('Lisa', 'x'\), 1 only in the run \('lisa'\)",
        ),
        ("id,a,b\n1,0,0\n", r"2 only in the sample \('a', 'b'\), 3 only in the run"),
    ],
)
def test_what_is_not_clear_or_does_not_fit_is_refused(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        ask(tmp_path, text)


DIGITS = ("1", "10", "2")


def test_classes_that_are_numbers(tmp_path: Path) -> None:
    assert ask(tmp_path, "id,label\n1,10\n2,2\n", classes=DIGITS) == Answers(columns=(1,))
    for values in ("1,0\n2,0\n", "1,1\n2,0\n"):
        with pytest.raises(UsageError, match="--label_form=name or --label_form=index"):
            ask(tmp_path, f"id,label\n{values}", classes=DIGITS)
        for wish in (NAME, INDEX):
            found = ask(tmp_path, f"id,label\n{values}", wish, DIGITS)
            assert found.as_index == (wish is INDEX)


def test_a_person_decides(tmp_path: Path) -> None:
    assert ask(tmp_path, "id,label\n1,\n2,\n", NAME) == Answers(columns=(1,))
    assert ask(tmp_path, "id,label\n1,apu\n2,\n", INDEX) == Answers(as_index=True, columns=(1,))
    lisa = Wish(positive_class="lisa")
    assert ask(tmp_path, "id,label\n1,0.5\n2,0\n", lisa) == Answers((2,), columns=(1,))
    with pytest.raises(UsageError, match="--positive_class: the run knows no class 'lise'; did"):
        ask(tmp_path, "id,label\n1,0\n", Wish(positive_class="lise"))
    with pytest.raises(UsageError, match="leave out --label_form"):
        ask(tmp_path, "id,apu,bart,lisa\n1,0,0,1\n", NAME)
    with pytest.raises(UsageError, match=r"1 only in the sample \('label'\)"):
        ask(tmp_path, "id,label\n1,apu\n", Wish(probabilities=True))


def test_what_could_be_something_else_is_said(tmp_path: Path) -> None:
    said: list[str] = []
    ask(tmp_path, "id,label\n1,0\n2,0\n", said=said)
    assert "indexes of the run's classes in its order: 0 = 'apu', 1 = 'bart'" in said[-1]
    ask(tmp_path, "id,label\n1,apu\n2,new_whale\n", said=said)
    assert said[-1].endswith("the run does not know 'new_whale'")


@pytest.mark.parametrize(
    "values",
    [(LabelForm.NAME, True), (LabelForm.INDEX, False, "apu"), (LabelForm.AUTO, True, "apu")],
)
def test_wishes_that_exclude_each_other(values: tuple[LabelForm, bool]) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        Wish(*values)


def test_column_names_are_compared_as_classes_are_written(tmp_path: Path) -> None:
    decomposed, composed = "e\u0301", "é"
    found = ask(tmp_path, f"id,b,{decomposed}\n1,0,1\n", classes=("b", composed))
    assert found == Answers((0, 1), columns=(1, 2))

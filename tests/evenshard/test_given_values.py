"""Values as people give them from Python: taken for what they mean, or refused in one line."""

from __future__ import annotations

import dataclasses
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import evenshard
from evenshard import pictures

LISTS: dict[str, Callable[[], Any]] = {
    "text": lambda: "crop,flip",
    "list": lambda: ["crop", "flip"],
    "tuple": lambda: ("crop", "flip"),
    "generator": lambda: (name for name in ("crop", "flip")),
    "set": lambda: {"flip", "crop"},
    "frozenset": lambda: frozenset(("flip", "crop")),
    "keys": lambda: {"crop": 1, "flip": 2}.keys(),
    "array": lambda: np.array(["crop", "flip"]),
}


@pytest.mark.parametrize("given", LISTS.values(), ids=LISTS)
def test_a_list_in_any_form(given: Callable[[], Any]) -> None:
    bake = evenshard.PrepareConfig(input_dir="in", output_dir="o", include=given(), augment=given())
    assert bake.include == ("crop", "flip")
    assert {each.value for each in bake.augment} == {"crop", "flip"}
    train = evenshard.TrainConfig(data_dir="in", run_dir="o", augment=given(), classes=given())
    assert train.augment == train.classes == ("crop", "flip")


TABLES: dict[str, tuple[Any, str | None]] = {
    "none": (None, None),
    "text": ("train=a.csv,test=b.csv", "train=a.csv,test=b.csv"),
    "path": (Path("a.csv"), "a.csv"),
    "list": ([Path("a.csv"), "b.json"], "a.csv,b.json"),
    "generator": ((name for name in ("a.csv", "b.csv")), "a.csv,b.csv"),
    "splits": ({"train": "a.csv", "test": Path("b.tsv")}, "train=a.csv,test=b.tsv"),
    "empty list": ([], None),
}


@pytest.mark.parametrize(("given", "text"), TABLES.values(), ids=TABLES)
def test_tables_in_any_form(given: Any, text: str | None) -> None:
    config = evenshard.PrepareConfig(input_dir="in", output_dir="o", input_csv=given)
    assert config.input_csv == text


@pytest.mark.parametrize(
    "given", [3, [3], {"train": 3}, ["a,b.csv", "c.csv"], ["a=b.csv", "c.csv"], ["a", "b.csv"]]
)
def test_tables_that_would_be_others_are_refused(given: Any) -> None:
    with pytest.raises(evenshard.UsageError, match="input_csv=.*expected"):
        evenshard.PrepareConfig(input_dir="in", output_dir="o", input_csv=given)


def test_a_set_is_the_same_list_in_every_process() -> None:
    code = (
        "import evenshard; print(evenshard.TrainConfig(data_dir='a', run_dir='b', "
        "classes={'apu', 'bart', 'carl', 'lisa', 'moe'}).classes)"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": str(seed)}
            | {"PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in (1, 2)
    }  # fmt: skip
    assert said == {"('apu', 'bart', 'carl', 'lisa', 'moe')\n"}


@pytest.mark.parametrize("value", [None, True, 3, 2.5])
@pytest.mark.parametrize("name", ["include", "augment", "label_column"])
def test_what_is_no_list_is_said(name: str, value: object) -> None:
    with pytest.raises(evenshard.UsageError, match=f"^{name}={value}: text or a list of texts"):
        evenshard.plan("in", **{name: value})  # type: ignore[arg-type]  # It is wrong.


NUMBERS = [
    ("image_size", np.int64(32), (32, 32)),
    ("image_size", np.array([24, 32]), (24, 32)),
    ("image_size", [24, 32], (24, 32)),
    ("per_class", np.uint8(7), 7),
    ("max_reject_fraction", np.float32(0.1), 0.1),
    ("max_reject_fraction", np.float16(0.25), 0.25),
    ("max_reject_fraction", 1, 1.0),
    ("max_reject_fraction", "0.1", 0.1),
]


@pytest.mark.parametrize(("name", "given", "held"), NUMBERS)
def test_numbers_of_numpy(name: str, given: object, held: object) -> None:
    values: dict[str, Any] = {"input_dir": "in", "output_dir": "out", name: given}
    config = evenshard.PrepareConfig(**values)
    assert getattr(config, name) == held
    assert type(getattr(config, name)) is type(held)


TABLES: list[tuple[str, Callable[[Any], Any]]] = [
    ("input_csv", lambda table: evenshard.plan(input_csv=table)),
    ("input_dir", lambda table: evenshard.plan(table)),
    ("classes_map", lambda table: evenshard.plan("in", classes_map=table)),
    ("splits", lambda table: evenshard.plan("in", splits=table)),
    ("data_dir", lambda table: evenshard.train(table, "runs/a")),
    ("run_dir", lambda table: evenshard.train("shards", table)),
    ("data_dir", evenshard.open),
]


@pytest.mark.parametrize(("name", "call"), TABLES)
def test_a_table_in_the_place_of_a_path_is_shown_on_one_line(
    name: str, call: Callable[[Any], Any]
) -> None:
    for table in (np.zeros((40, 3)), pa.table({"path": ["a"] * 40, "label": ["b"] * 40})):
        with pytest.raises(evenshard.UsageError) as caught:
            call(table)
        said = str(caught.value)
        assert said.startswith(f"{name}=") and "expected" in said
        assert "\n" not in said and len(said) < 250


def test_text_that_looks_like_a_value_is_shown_as_text() -> None:
    with pytest.raises(evenshard.UsageError, match="^overwrite='False': True or False is expected"):
        evenshard.plan("in", overwrite="False")  # type: ignore[arg-type]  # It is wrong.


DATASET: list[tuple[Callable[[evenshard.Dataset], Any], str]] = [
    (lambda data: next(data.records(classes=[0])), "classes: text or a list of texts is expected"),
    (lambda data: next(data.records(classes=5)), "classes: text or a list of texts is expected"),
    (lambda data: data.find(3), "ids: text or a list of texts is expected, not 3"),
    (lambda data: data.sources("keys"), "columns: no column 'keys'; did you mean 'key'"),
    (lambda data: data.sources(where="a == 1"), "where='a == 1': an expression of pyarrow is exp"),
    (lambda data: data.pixels("lisa/0001.jpg"), "record is of type str: one of `records` or `fin"),
    (lambda data: data.tf_dataset(batch_size=8, shuffle=1000), "shuffle=1000: True or False is"),
    (lambda data: data.tf_dataset(batch_size=8, shuffle="False"), "shuffle='False': True or False"),
    (lambda data: data.tf_dataset(batch_size=8.0), "batch_size=8.0: a whole number is expected"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "said"), DATASET)
def test_a_data_set_says_what_it_expects(
    dataset: evenshard.Dataset, call: Callable[[evenshard.Dataset], Any], said: str
) -> None:
    with pytest.raises(evenshard.UsageError) as caught:
        call(dataset)
    assert str(caught.value).startswith(said) and "\n" not in str(caught.value)


def test_a_batch_size_of_numpy(dataset: evenshard.Dataset) -> None:
    assert len(dataset.tf_dataset(batch_size=np.int64(16))) == 4


def test_a_network_in_person_is_no_model() -> None:
    for model in (len, object()):
        with pytest.raises(evenshard.UsageError, match="^model is of type .*module:function"):
            evenshard.train("shards", "runs/a", model=model)  # type: ignore[arg-type]  # It is wrong.


IMAGE = np.zeros((4, 4, 3), np.uint8)
PICTURES: dict[str, tuple[Any, int]] = {
    "a tensor": (tf.constant(IMAGE), 1),
    "a batch": (tf.constant(IMAGE[None]), 1),
    "a list of tensors": ([tf.constant(IMAGE)] * 2, 2),
    "a generator": ((each for each in (IMAGE, IMAGE)), 2),
    "a column of paths": (np.array(["a.jpg", "b.jpg"], object), 2),
    "paths of numpy": (np.array(["a.jpg", "b.jpg"]), 2),
}


@pytest.mark.parametrize("case", PICTURES)
def test_pictures_in_any_form(case: str) -> None:
    given, count = PICTURES[case]
    items = pictures._items(given)
    assert len(items) == count
    for number, item in enumerate(items):
        pictures._check(number, item)
        assert type(pictures._name(number, item)) is str


NO_PICTURES: list[tuple[Any, str]] = [
    (None, "input is of type NoneType: a path, an array uint8"),
    (3, "input is of type int: "),
    (b"\xff\xd8", "input is of type bytes: "),
    (io.BytesIO(), "input is of type BytesIO: "),
    ({"a.jpg": IMAGE}, "input is of type dict: "),
    (np.array("a.jpg"), "input is of type ndarray: "),
    (IMAGE[None][:0], "input is empty"),
    ([], "input is empty"),
    ([b"\xff\xd8"], "input[0] is of type bytes: "),
    (tf.zeros((4, 4, 3)), "input[0] is float32[4, 4, 3]: "),
]


@pytest.mark.parametrize(("given", "said"), NO_PICTURES)
def test_what_is_no_picture_is_said(run: evenshard.Run, given: Any, said: str) -> None:
    with pytest.raises(evenshard.UsageError) as caught:
        run.predict(given)
    assert str(caught.value).startswith(said)


def test_several_runs_in_any_form(run: evenshard.Run, trained: Path) -> None:
    path = trained / "runs" / "a"
    for given in ([run], (run,), iter([path]), [str(path)], {path: 1}):
        assert len(evenshard.load_run(given)) == 1
    assert evenshard.load_run(run).classes == evenshard.Runs([path]).classes
    no_runs: list[tuple[Any, str]] = [
        ([], "run_dir is required"), (path, "a list of runs"), (run, "a list of runs"),
        (None, "a list of runs"), ([run, path], "the same run: give it once"),
        ([None], "run_dir=None: a path is expected"),
    ]  # fmt: skip
    for given, said in no_runs:
        with pytest.raises(evenshard.UsageError, match=said):
            evenshard.Runs(given)


def test_runs_of_other_classes_are_no_ensemble(run: evenshard.Run, trained: Path) -> None:
    config = dataclasses.replace(
        run.config, run_dir=str(trained / "runs" / "two"), classes=("apu", "lisa"), epochs=1
    )
    with pytest.raises(evenshard.UsageError, match="1 only in .*'bart'"):
        evenshard.Runs([run, evenshard.train(config)])

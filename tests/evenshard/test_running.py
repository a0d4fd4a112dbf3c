from __future__ import annotations

import random
import re
import shutil
import sys
import threading
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow.python.framework import config as framework

import evenshard
from evenshard.frameworks.tensorflow_state import trainer_session
from tests.support.datasets import fakes
from tests.support.processes import commands
from tests.support.runs import runs
from tfrecords.errors import TrainerError
from tfrecords.system import extras
from trainer.keras_settings import KerasSettings

TINY = {
    "model": "tests.support.networks.tiny:network",
    "batch_size": 16,
    "learning_rate": 0.02,
    "progress": "none",
}


def test_train_gives_what_the_command_gives(trained: Path, tmp_path: Path) -> None:
    done = commands.run(
        "evenshard", "train", f"--data_dir={trained / 'shards'}", f"--run_dir={tmp_path / 'run'}",
        "--model=tests.support.networks.tiny:network", "--epochs=2", "--batch_size=16",
        "--learning_rate=0.02", "--progress=none",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    runs.assert_same_end(trained / "runs" / "a", tmp_path / "run")


def test_it_says_how_it_went(run: evenshard.Run, trained: Path) -> None:
    assert run.run_dir == trained / "runs" / "a"
    assert run.classes == ("apu", "bart", "lisa")
    assert run.config.epochs == 2
    assert run.history["epoch"].to_pylist() == [1, 2]
    scores = run.history["val_macro_f1"].to_pylist()
    losses = run.history["val_loss"].to_pylist()
    # Of equals the one with the lower loss.
    assert run.best["epoch"] == max([1, 2], key=lambda n: (scores[n - 1], -losses[n - 1]))
    assert run.best["val_macro_f1"] == max(scores)
    assert run.report.is_file()
    assert "2 of 2 epochs; best is epoch" in repr(run)
    html = run._repr_html_()
    assert html.count("<svg") == 2
    assert "val_macro_f1" in html


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainerError, match="is not a run directory"):
        evenshard.load_run(tmp_path)


def test_a_configuration_stands_for_all_arguments(trained: Path, tmp_path: Path) -> None:
    config = evenshard.TrainConfig(
        data_dir=str(trained / "shards"), run_dir=str(tmp_path), epochs=2, **TINY
    )
    run = evenshard.train(config)
    assert run.best == pytest.approx(
        evenshard.load_run(trained / "runs" / "a").best
        | {name: run.best[name] for name in ("seconds", "images_per_second", "input_wait")}
    )


def test_a_paused_run_is_carried_on(
    dataset: evenshard.Dataset, trained: Path, tmp_path: Path
) -> None:
    paused = evenshard.train(dataset, tmp_path / "run", epochs=2, stop_after_epoch=1, **TINY)
    assert "1 of 2 epochs" in repr(paused)
    assert not paused.report.exists()
    assert len(evenshard.train(dataset, tmp_path / "run", epochs=2, **TINY).history) == 2
    runs.assert_same_end(trained / "runs" / "a", tmp_path / "run")
    with pytest.raises(evenshard.UsageError, match="or resume=False to start again"):
        evenshard.train(dataset, tmp_path / "run", epochs=2, seed=1, **TINY)


def test_a_run_that_was_trained_on_answers_as_it_is_now(
    dataset: evenshard.Dataset, trained: Path, tmp_path: Path
) -> None:
    """What was opened before would answer with weights that its history knows nothing of."""
    run_dir = tmp_path / "run"
    early = evenshard.train(dataset, run_dir, epochs=1, **TINY)
    image = np.random.default_rng(0).integers(0, 256, (1, 16, 16, 3), np.uint8)
    before = {which: early.predict(image, weights=which) for which in ("best", "last")}
    assert early._open("last", "auto", False) is early._open("last", "auto", False)
    evenshard.train(dataset, run_dir, epochs=3, **TINY)
    fresh = evenshard.load_run(run_dir, trust_run_code=True)
    assert early.config == fresh.config and early.config.epochs == 3
    for which in before:
        now = early.predict(image, weights=which).probabilities
        assert np.array_equal(now, fresh.predict(image, weights=which).probabilities)
    assert not np.array_equal(now, before["last"].probabilities)
    evenshard.train(dataset, run_dir, epochs=1, classes="apu,lisa", resume=False, **TINY)
    assert early.classes == ("apu", "lisa")
    assert early.predict(image).probabilities.shape == (1, 2)


def test_trainings_of_several_threads_end_as_they_would_alone(
    dataset: evenshard.Dataset, trained: Path, tmp_path: Path
) -> None:
    """Seeds and deterministic ops are the whole process's."""
    failed: list[Exception] = []

    def train(name: str) -> None:
        try:
            evenshard.train(dataset, tmp_path / name, epochs=2, **TINY)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=train, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    for name in ("a", "b"):
        runs.assert_same_end(trained / "runs" / "a", tmp_path / name)


def test_an_interrupted_run_stops_the_program(
    dataset: evenshard.Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import signal

    from trainer.train import loop

    execute = loop._execute

    def interrupted(*args: object) -> object:
        os.kill(os.getpid(), signal.SIGINT)
        return execute(*args)  # type: ignore[arg-type]  # Passed on as they came.

    monkeypatch.setattr(loop, "_execute", interrupted)
    with pytest.raises(KeyboardInterrupt, match="stopped after step 1; the same call carries on"):
        evenshard.train(dataset, tmp_path / "run", epochs=1, **TINY)


def test_tensorflow_is_afterwards_as_it_was(dataset: evenshard.Dataset, tmp_path: Path) -> None:
    framework.disable_op_determinism()
    odd = KerasSettings("channels_first", "float64", 1e-3)
    odd.apply()
    keras.config.set_dtype_policy("float64")
    random.seed(1)
    np.random.seed(2)
    tf.random.set_seed(3)
    expected = random.random(), np.random.random(), float(tf.random.uniform([]))
    random.seed(1)
    np.random.seed(2)
    tf.random.set_seed(3)
    try:
        run = evenshard.train(
            dataset, tmp_path / "run", epochs=1, precision="mixed_bfloat16", **TINY
        )
        run.predict(np.zeros((1, 8, 8, 3), np.uint8))
        assert keras.config.dtype_policy().name == "float64"
        assert KerasSettings.current() == odd
        assert not framework.is_op_determinism_enabled()
        assert (random.random(), np.random.random(), float(tf.random.uniform([]))) == expected
    finally:
        KerasSettings().apply()
        keras.config.set_dtype_policy("float32")


def test_code_of_a_run_is_trusted_by_the_call_that_names_it(
    dataset: evenshard.Dataset, tmp_path: Path
) -> None:
    pixels, model = (
        np.zeros((1, 8, 8, 3), np.uint8),
        "tests.support.networks.own_networks:subclassed",
    )
    options: dict[str, Any] = {**TINY, "model": model}
    run = evenshard.train(dataset, tmp_path / "run", epochs=1, **options)
    assert run.predict(pixels).probabilities.shape == (1, 3)
    opened = evenshard.load_run(tmp_path / "run")
    with pytest.raises(TrainerError, match="holds code .*: trust_run_code=True runs that code"):
        opened.predict(pixels)
    assert opened.predict(pixels, trust_run_code=True).ids == ("[0]",)
    trusting = evenshard.load_run(tmp_path / "run", trust_run_code=True)
    assert trusting.predict(pixels).ids == ("[0]",)


def test_settings_come_back_after_an_error_too() -> None:
    with pytest.raises(TrainerError), trainer_session():
        keras.config.set_dtype_policy("mixed_float16")
        raise TrainerError("no")
    assert keras.config.dtype_policy().name == "float32"


def test_predictions_of_files(run: evenshard.Run, trained: Path, tmp_path: Path) -> None:
    folder = run.predict(trained / "unlabelled", workers=1)
    assert folder.ids == ("1.jpg", "2.jpg")
    assert re.search(r"2 pictures, most often \w+ \([12]\)", repr(folder))
    assert folder.class_names == ("apu", "bart", "lisa")
    assert folder.probabilities.shape == (2, 3)
    np.testing.assert_allclose(folder.probabilities.sum(axis=1), 1, rtol=1e-5)
    likeliest = [folder.class_names[i] for i in folder.probabilities.argmax(axis=1)]
    assert list(folder.classes) == likeliest
    assert dict(folder.rejects) == {}
    packed = shutil.make_archive(str(tmp_path / "new"), "gztar", trained / "unlabelled")
    of_archive = run.predict(packed, workers=1)
    np.testing.assert_array_equal(of_archive.probabilities, folder.probabilities)
    listed = run.predict([str(trained / "unlabelled" / "2.jpg")], workers=1)
    np.testing.assert_array_equal(listed.probabilities, folder.probabilities[1:])
    assert listed.ids == (str(trained / "unlabelled" / "2.jpg"),)


def test_several_runs_predict_together(trained: Path, tmp_path: Path) -> None:
    first = trained / "runs" / "a"
    shutil.copytree(first, tmp_path / "a,copy")
    runs = evenshard.load_run([first, tmp_path / "a,copy"])
    assert len(runs) == 2 and runs.classes == ("apu", "bart", "lisa")
    one = runs.runs[0].predict(trained / "unlabelled", workers=1)
    both = runs.predict(trained / "unlabelled", workers=1)
    assert both.ids == one.ids
    np.testing.assert_allclose(both.probabilities, one.probabilities, atol=1e-6)
    images = [fakes.picture("a"), fakes.picture("b")]
    np.testing.assert_allclose(
        runs.predict(images).probabilities, runs.runs[1].predict(images).probabilities, atol=1e-6
    )
    with pytest.raises(evenshard.UsageError, match="run_dir: .* are the same run: give it once"):
        evenshard.load_run([first, first])


def test_predictions_of_some_of_the_files(run: evenshard.Run, trained: Path) -> None:
    only = run.predict(trained / "unlabelled", include="1.*", workers=1)
    assert only.ids == ("1.jpg",)
    rest = run.predict(trained / "unlabelled", exclude=["1.*", "x"], workers=1)
    assert rest.ids == ("2.jpg",)


def test_predictions_of_arrays_and_images_are_those_of_their_files(
    run: evenshard.Run, tmp_path: Path
) -> None:
    pictures = [fakes.picture(name, 20, 30) for name in "ab"]
    for number, picture in enumerate(pictures):
        picture.save(tmp_path / f"{number}.png")
    expected = run.predict(tmp_path, workers=1).probabilities
    arrays = [np.asarray(picture) for picture in pictures]
    for given in (np.stack(arrays), arrays, pictures, [tmp_path / "0.png", arrays[1]]):
        found = run.predict(given)
        np.testing.assert_array_equal(found.probabilities, expected)
    assert run.predict(arrays[0]).ids == ("[0]",)
    assert run.predict(pictures[0]).ids == ("[0]",)
    assert len(run.predict([pictures[0].convert(mode) for mode in ("L", "CMYK", "RGBA", "F")])) == 4


def test_an_images_orientation_counts(run: evenshard.Run, tmp_path: Path) -> None:
    picture = fakes.picture("turned", 20, 30)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.png", exif=exif)
    of_file = run.predict(tmp_path / "turned.png", workers=1).probabilities
    with Image.open(tmp_path / "turned.png") as image:
        np.testing.assert_array_equal(run.predict(image).probabilities, of_file)


def test_what_cannot_be_read_is_said(
    run: evenshard.Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    fakes.picture("a").save(tmp_path / "a.jpg")
    found = run.predict(tmp_path, workers=1)
    assert found.classes[0] is not None
    assert found.classes[1] is None
    assert np.isnan(found.probabilities[1]).all()
    assert found.rejects["b.jpg"].startswith("not_an_image: ")
    assert "note: 1 of 2 pictures could not be read; the first, 'b.jpg'" in capsys.readouterr().err
    assert found.table().to_pylist()[1] == {"id": "b.jpg", "class": None, "probability": None}
    assert "1 could not be read" in repr(found)
    assert "b.jpg" in found._repr_html_()
    absent = [tmp_path / "a.jpg", tmp_path / "absent.jpg"]
    assert run.predict(absent, workers=1).classes[1] is None
    mixed = run.predict([tmp_path / "absent.jpg", fakes.picture("a")])
    assert mixed.classes[0] is None
    assert "No such file" in mixed.rejects[str(tmp_path / "absent.jpg")]


@pytest.mark.parametrize(
    ("pictures", "text"),
    [
        ([], "input is empty"),
        ("absent/*.jpg", "input=absent"),
        (np.zeros((4, 4, 3)), r"input\[0\] is float64\[4, 4, 3\]"),
        (np.zeros((1, 4, 4, 2), np.uint8), r"input\[0\] is uint8\[4, 4, 2\]"),
        ([3], r"input\[0\] is of type int"),
    ],
)
def test_what_is_no_picture_is_refused(run: evenshard.Run, pictures: object, text: str) -> None:
    with pytest.raises(evenshard.UsageError, match=text):
        run.predict(pictures)  # type: ignore[arg-type]  # Text and paths alike.


def test_wrong_arguments_are_refused(run: evenshard.Run) -> None:
    with pytest.raises(evenshard.UsageError, match="^batch_size must be 1 or more"):
        run.predict("x", batch_size=0)
    with pytest.raises(evenshard.UsageError, match='^tta="flop"'):
        run.evaluate(tta="flop")
    with pytest.raises(evenshard.UsageError, match='^format="tflite"'):
        run.export("tflite")
    with pytest.raises(evenshard.UsageError, match="^run_dir is required"):
        evenshard.train("shards")


def test_evaluation(run: evenshard.Run) -> None:
    found = run.evaluate("validation")
    assert found.metrics["macro_f1"] == pytest.approx(run.best["val_macro_f1"], abs=1e-6)
    assert found.per_class["class"].to_pylist() == list(run.classes)
    assert sum(found.per_class["support"].to_pylist()) == found.pictures
    assert found.report.is_file()
    assert f"{found.pictures} pictures, macro_f1 " in repr(found)
    assert "balanced_accuracy" in found._repr_html_()
    with pytest.raises(TrainerError, match="or allow_leaks=True"):
        run.evaluate("train")


def test_export(run: evenshard.Run) -> None:
    (path,) = run.export("saved_model", parity_pictures=4).values()
    assert path == run.run_dir / "export" / "saved_model"
    assert path.is_dir()


def test_without_tensorflow_the_pip_line_comes_first(
    run: evenshard.Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    for call in (
        lambda: evenshard.train("shards", tmp_path / "run"),
        lambda: run.predict("x"),
        lambda: run.evaluate(),
        lambda: run.export(),
    ):
        with pytest.raises(extras.MissingExtraError, match=r"pip install 'evenshard\[trainer\]'"):
            call()
    assert not (tmp_path / "run").exists()


def test_a_run_is_opened_where_it_lies_now(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "runs" / "a", tmp_path / "moved")
    assert evenshard.load_run(tmp_path / "moved").best["epoch"] in (1, 2)

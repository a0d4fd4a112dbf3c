"""Predictions of unlabelled pictures: the bake's pixels, a complete CSV, nothing but the run."""

from __future__ import annotations

import csv
import dataclasses
import os
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tests.support.datasets import fakes
from tests.support.processes import commands
from tfrecords import example, framing, manifest
from tfrecords.errors import TrainerError, UsageError
from tfrecords.images import canonicalise
from tfrecords.inputs import listing
from tfrecords.inputs.rows import InputPath, SourceFile
from tfrecords.schema import TRAIN, ImageRecord, ImageSpec, Resize
from trainer import predict
from trainer.data import decoding, selection, stream
from trainer.data.decoding import Decoded
from trainer.predicting import run, writing
from trainer.runs import checkpoints, load

CLASSES = ("apu", "bart", "lisa")


def listed(source: str | Path) -> tuple[SourceFile, ...]:
    return listing.list_unlabelled(InputPath("--input", str(source)))


def read_csv(path: str | Path) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_the_submission_is_complete_and_says_what_was_rejected(
    run_dir: Path, folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out" / "submission.csv"
    found = run.run(str(run_dir), str(folder), str(output), batch_size=8, workers=1)
    header, *rows = read_csv(output)
    assert header == ["Id", "Expected"]
    assert [id_ for id_, _ in rows] == [row.key for row in listed(folder)]
    assert {name for _, name in rows} <= set(CLASSES)
    bad = {"bad.jpg": "not_an_image", "cut.jpg": "truncated", "empty.png": "empty"}
    header, *rejects = read_csv(f"{output}.rejects.csv")
    assert header == ["Id", "reason", "detail"]
    assert {id_: reason for id_, reason, _ in rejects} == bad
    # bart has most pictures in the train split.
    assert {name for id_, name in rows if id_ in bad} == {"bart"}
    assert found.fallback == "bart"
    assert not list(output.parent.glob("*tmp*")) and not Path(f"{output}.top_k.csv").exists()


def test_a_run_after_a_better_one_leaves_no_stale_file(
    run_dir: Path, folder: Path, tmp_path: Path
) -> None:
    output = tmp_path / "s.csv"
    run.run(str(run_dir), str(folder), str(output), workers=1, top_k=2)
    for name in ("bad.jpg", "cut.jpg", "empty.png"):
        (folder / name).unlink()
    run.run(str(run_dir), str(folder), str(output), workers=1)
    assert sorted(path.name for path in tmp_path.glob("s.csv*")) == ["s.csv"]


def test_every_form_of_input_gives_the_same_answers(
    run_dir: Path, folder: Path, tmp_path: Path
) -> None:
    opened = load.open_run(run_dir)
    archive, tar, table = tmp_path / "in.zip", tmp_path / "in.tar", folder / "list.csv"
    with zipfile.ZipFile(archive, "w") as file:
        for row in listed(folder):
            file.write(row.path, row.key)
    expected = answers(opened, str(folder))
    assert answers(opened, str(archive)) == expected
    with tarfile.open(tar, "w") as file:
        file.add(folder, ".")
    assert answers(opened, str(tar)) == expected
    assert answers(opened, f"{folder}/**") == expected
    table.write_text("path\n" + "".join(f"{id_}\n" for id_ in sorted(expected, reverse=True)))
    in_order = answers(opened, str(table))
    assert in_order == expected
    assert list(in_order) == sorted(expected, reverse=True)


def test_a_compressed_tar_is_made_plain_beside_the_output_and_removed(
    run_dir: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with tarfile.open(tmp_path / "in.tgz", "w:gz") as file:
        file.add(folder, ".")
    output = tmp_path / "out" / "s.csv"
    found = run.run(str(run_dir), str(tmp_path / "in.tgz"), str(output), workers=1)
    assert found.ids == tuple(row.key for row in listed(folder))
    assert len(found.rejects) == 3
    assert "in.tgz is compressed, and was decompressed to" in capsys.readouterr().err
    assert sorted(path.name for path in output.parent.iterdir()) == ["s.csv", "s.csv.rejects.csv"]


def test_a_table_as_contests_have_it(
    run_dir: Path, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "test.csv").write_bytes("part;number\nd1/01;1\nd0/00;2\ngone;3\n".encode("utf-16"))
    config = predict.PredictConfig(
        run_dir=str(run_dir),
        input=str(folder / "test.csv"),
        output=str(tmp_path / "s.csv"),
        path_column="part",
        max_reject_fraction=0.5,
        workers=1,
    )
    assert predict.main(config) == 0
    assert [id_ for id_, _ in read_csv(config.output)] == ["Id", "d1/01", "d0/00", "gone"]
    assert read_csv(f"{config.output}.rejects.csv")[1][:2] == ["gone", "missing"]
    said = capsys.readouterr().err
    assert "its fields are separated by ';'" in said and "1 of 3 files missing" in said


def answers(opened: load.LoadedRun, source: str) -> dict[str, str]:
    found = run.predict(opened, listed(source), "bart", workers=1)
    return {id_: found.expected(row) for row, id_ in enumerate(found.ids)}


def test_batches_and_workers_do_not_change_the_answer(run_dir: Path, folder: Path) -> None:
    opened = load.open_run(run_dir)
    asked = listed(folder)
    one = run.predict(opened, asked, "bart", top_k=3, batch_size=1, workers=1)
    many = run.predict(opened, asked, "bart", top_k=3, batch_size=64, workers=2)
    np.testing.assert_array_equal(one.labels, many.labels)
    np.testing.assert_allclose(one.probabilities, many.probabilities, atol=1e-6)


def test_probabilities_are_those_of_the_network(
    run_dir: Path, folder: Path, tmp_path: Path
) -> None:
    output = str(tmp_path / "s.csv")
    # Of three classes, five are asked for.
    found = run.run(str(run_dir), str(folder), output, top_k=5, workers=1)
    header, *rows = read_csv(f"{output}.top_k.csv")
    assert header == ["Id", "class_1", "p_1", "class_2", "p_2", "class_3", "p_3"]
    expected = dict(read_csv(output)[1:])
    opened = load.open_run(run_dir)
    for row, cells in enumerate(rows):
        if found.labels[row, 0] < 0:
            assert cells[1:] == [""] * 6
            continue
        assert cells[1] == expected[cells[0]]
        assert sorted(cells[1::2]) == list(CLASSES)
        assert sum(map(float, cells[2::2])) == pytest.approx(1, abs=1e-5)
        image = canonicalise.canonicalise(
            (folder / cells[0]).read_bytes(), opened.manifest.image, canonicalise.PixelLimits()
        )
        batch = canonicalise.decode_record(image.data, opened.manifest.image)[None]
        logits = opened.model(batch.astype(np.float32), training=False).numpy()[0]
        softmax = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        np.testing.assert_allclose(sorted(map(float, cells[2::2])), np.sort(softmax), atol=2e-5)


def test_flip_is_the_mean_of_both_probabilities(run_dir: Path) -> None:
    opened = load.open_run(run_dir)
    images = np.stack([np.asarray(fakes.picture(i, 16, 16)) for i in range(4)])
    softmax = [
        np.exp(load.function_of(opened.model)(side).numpy())
        for side in (images, images[:, :, ::-1])
    ]
    mean = sum(p / p.sum(axis=1, keepdims=True) for p in softmax) / 2
    flipped = np.exp(load.function_of(opened.model, "flip")(images).numpy())
    np.testing.assert_allclose(flipped, mean, atol=1e-6)
    assert np.abs(softmax[0] - softmax[1]).max() > 1e-4


def test_which_weights(run_dir: Path) -> None:
    heads = {which: load.open_run(run_dir, which).model.get_weights()[-2] for which in
             ("best", "last", "ema")}  # fmt: skip
    assert not np.array_equal(heads["last"], heads["ema"])


def test_an_average_that_is_not_there(run_dir: Path, tmp_path: Path) -> None:
    store = checkpoints.Store(tmp_path / "checkpoints")
    shutil.copy(run_dir / "config.json", tmp_path)
    whole = checkpoints.Store(run_dir / "checkpoints").latest()
    assert whole is not None
    arrays = {k: v for k, v in whole.arrays.items() if not k.startswith("average/")}
    assert len(arrays) < len(whole.arrays)
    store.save(dataclasses.replace(whole, arrays=arrays))
    load.open_run(tmp_path, "last", trust_run_code=True)
    with pytest.raises(TrainerError, match="without --ema; use best or last"):
        load.open_run(tmp_path, "ema", trust_run_code=True)


def test_errors_say_what_to_do(run_dir: Path, folder: Path, tmp_path: Path) -> None:
    output = str(tmp_path / "s.csv")
    with pytest.raises(UsageError, match="no class 'bert'; did you mean 'bart'"):
        run.run(str(run_dir), str(folder), output, fallback="bert")
    with pytest.raises(TrainerError, match="not a run directory"):
        run.run(str(tmp_path), str(folder), output)
    with pytest.raises(UsageError, match="is a folder"):
        run.run(str(run_dir), str(folder), str(tmp_path))
    with pytest.raises(TrainerError, match="none of 1 files .* 'bad.jpg': not_an_image"):
        run.run(str(run_dir), str(folder / "bad.jpg"), output, workers=1)
    assert not Path(output).exists()


@pytest.mark.parametrize(
    "spec",
    [
        ImageSpec(16, 16),
        ImageSpec(24, 16, Resize.PAD, "png"),  # type: ignore[arg-type]  # A name is converted.
        ImageSpec(140, 140, Resize.CROP),  # Chroma at half the size.
        ImageSpec(20, 20, Resize.SHORT_SIDE),
        ImageSpec(16, 16, encoding="raw"),  # type: ignore[arg-type]  # A name is converted.
    ],
    ids=lambda spec: f"{spec.resize.value}-{spec.encoding.value}",
)
@pytest.mark.parametrize("shrink", [1.0, 0.5])
def test_pixels_are_those_that_training_decodes(
    folder: Path, tmp_path: Path, spec: ImageSpec, shrink: float
) -> None:
    """Records as a bake stores them, through the training stream, against predict's batches."""
    size = (round(spec.height * shrink), round(spec.width * shrink))
    decoded = [decoding.decode(row, spec) for row in listed(folder)]
    records = store(tmp_path / "data", decoded, spec)
    source = selection.open_split(
        records, tmp_path / "data", TRAIN, selection.select(records).natural(), size
    )
    baked = {
        id_.decode(): image
        for images, _, ids in stream.stream_source(source, 8)
        for image, id_ in zip(images.numpy(), ids.numpy(), strict=True)
    }
    seen = 0
    for index, (images,) in run.batches(decoded, spec, [size], 8):
        for i, image in zip(index, images.numpy(), strict=True):
            np.testing.assert_array_equal(image, baked[decoded[i].source.key])
            seen += 1
            data_ = decoded[i].data
            if shrink == 1.0 and spec.fixed_size and data_ is not None:
                np.testing.assert_array_equal(image, canonicalise.decode_record(data_, spec))
    assert seen == len(baked) == 20


def store(data_dir: Path, decoded: list[Decoded], spec: ImageSpec) -> manifest.Manifest:
    data_dir.mkdir()
    good = [item for item in decoded if item.data is not None]
    shard = fakes._write_shard(
        data_dir / "fake-train.tfrecord-00000-of-00001",
        [ImageRecord(i.data or b"", n % 2, i.source.key, n, 0) for n, i in enumerate(good)],
    )
    split = manifest.SplitInfo(TRAIN, (10, 10), (0, 0), (shard,))
    return manifest.Manifest("fake", ("a", "b"), spec, (split,), {}, {}, {"dataset": "0"})


@pytest.fixture(scope="module")
def baked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of many forms of picture, and the data set that the bake makes of them."""
    root = tmp_path_factory.mktemp("bake")
    fakes.write_folders(root / "in", {"apu": 12, "bart": 6}, side=40)
    for number, format_ in enumerate(("PNG", "GIF", "WEBP", "BMP", "TIFF", "PPM")):
        body = fakes.picture_bytes(f"form{number}", format_, height=30, width=70)
        (root / "in" / "bart" / f"x.{format_.lower()}").write_bytes(body)
    cmyk = fakes.picture("cmyk", 50, 41).convert("CMYK")
    cmyk.save(root / "in" / "apu" / "cmyk.jpg")
    (root / "in" / "apu" / "bad.jpg").write_bytes(b"not a picture")
    done = commands.call(
        "beam_pipelines.prepare", f"--input_dir={root / 'in'}", f"--output_dir={root / 'out'}",
        "--image_size=16", "--workers=1", "--max_reject_fraction=1",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return root / "in", root / "out"


def test_pixels_are_those_of_the_real_bake(baked: tuple[Path, Path]) -> None:
    """Every picture that the bake stored, byte for byte and pixel for pixel."""
    assert_same_pixels(*baked)


@pytest.mark.slow
def test_pixels_are_those_of_the_real_bake_of_hostile_pictures(tmp_path: Path) -> None:
    root = os.environ.get("EVENSHARD_TEST_DATA")
    if root is None:
        pytest.skip("EVENSHARD_TEST_DATA does not name a folder")
    source = Path(root) / "hostile_images" / "nasty"
    done = commands.run(
        "beam_pipelines.prepare", f"--input_dir={source}", f"--output_dir={tmp_path / 'out'}",
        "--image_size=64", "--max_reject_fraction=1", "--splits=train:0.8,test:0.2",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert assert_same_pixels(source, tmp_path / "out") > 100


def assert_same_pixels(input_dir: Path, data_dir: Path) -> int:
    """Compares what predict decodes below `input_dir` with all originals of a data set."""
    found = manifest.load(data_dir)
    size = (found.image.height, found.image.width)
    decoded = {row.key: decoding.decode(row, found.image) for row in listed(input_dir)}
    records = [
        record
        for split in found.splits
        for shard in split.shards
        for record in map(example.decode, framing.read_records(str(data_dir / shard.filename)))
        if not record.copy
    ]
    assert records
    of_records = [decoded[record.id] for record in records]
    for record, item in zip(records, of_records, strict=True):
        assert item.data == record.image, record.id
    for index, (images,) in run.batches(of_records, found.image, [size], 64):
        for i, image in zip(index, images.numpy(), strict=True):
            baked_pixels = canonicalise.decode_record(records[i].image, found.image)
            np.testing.assert_array_equal(image, baked_pixels, err_msg=records[i].id)
    return len(records)


def test_the_command(run_dir: Path, folder: Path, tmp_path: Path) -> None:
    output = tmp_path / "s.csv"
    flags = [f"--run_dir={run_dir}", f"--input={folder}", f"--output={output}", "--workers=1"]
    done = commands.run(
        "trainer.predict", *flags, "--tta=flip", "--weights=ema", "--max_reject_fraction=0.2"
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(r"23 pictures in .*; most often \w+ \(\d+\), \w+ \(\d+\)", done.stdout)
    assert f"3 could not be read and got 'bart': why is in {output}.rejects.csv" in done.stdout
    assert len(read_csv(output)) == 24


@pytest.mark.parametrize(
    ("flags", "code", "said"),
    [
        (["--help"], 0, ""),
        (["--run_dir=r", "--input=i"], 2, "--output is required"),
        (["--run_dir=r", "--input=i", "--output=o", "--tpa=flip"], 2, "did you mean --tta"),
        (["--run_dir=r", "--input=i", "--output=o", "--top_k=-1"], 2, "--top_k must be 0 or more"),
        (["--run_dir=r", "--input=i", "--output=o", "--max_file_mb=0"], 2, "must be 1 or more"),
        (["--run_dir=r", "--input=i", "--output=o", "--include=["], 2, "--include: '['"),
        (["--run_dir=r", "--input=i", "--output=o", "--label_form=no"], 2, "--label_form=no"),
        (["--run_dir=r,gs://b/r", "--input=i", "--output=o"], 2, "--run_dir=gs://b/r"),
        (
            ["--run_dir=r", "--input=i", "--output=o", "--probabilities", "--positive_class=a"],
            2,
            "--probabilities and --positive_class exclude each other",
        ),
        (
            ["--run_dir=r", "--input=i", "--output=o", "--like=l", "--escape_formulas"],
            2,
            "--like keeps them",
        ),
    ],
)
def test_misuse(capsys: pytest.CaptureFixture[str], flags: list[str], code: int, said: str) -> None:
    assert predict.COMMAND.run(flags) == code
    assert said in capsys.readouterr().err


def test_what_an_earlier_prediction_left_is_removed_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left, absent = tmp_path / "answers.csv.top_k.csv", tmp_path / "answers.csv.rejects.csv"
    left.write_text("Id\n")
    writing._remove_earlier(left)
    writing._remove_earlier(absent)
    assert not left.exists()
    assert capsys.readouterr().err == f"removed {left}, which was of an earlier prediction\n"

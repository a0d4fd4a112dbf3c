"""Predictions as contests want them: like their sample, with probabilities, every row accounted."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from tests.support.datasets import fakes
from tfrecords.errors import TrainerError, UsageError
from tfrecords.inputs import listing
from tfrecords.inputs.rows import InputPath
from tfrecords.inputs.rules import InputRules
from trainer import predict
from trainer.predicting import run, writing
from trainer.predicting.run import Asked
from trainer.predicting.wish import LabelForm, Wish
from trainer.runs import load

CLASSES = ("apu", "bart", "lisa")


def read_csv(path: str | Path, separator: str = ",") -> list[list[str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file, delimiter=separator))


@pytest.fixture
def output(tmp_path: Path) -> str:
    return str(tmp_path / "out" / "s.csv")


@pytest.fixture
def named(run_dir: Path, folder: Path, tmp_path: Path) -> dict[str, str]:
    """The class of each picture, as a prediction without a sample has it."""
    run.run(str(run_dir), str(folder), str(tmp_path / "plain.csv"), workers=1)
    return {id_: name for id_, name in read_csv(tmp_path / "plain.csv")[1:]}


def test_like_a_sample(
    run_dir: Path, folder: Path, output: str, named: dict[str, str], tmp_path: Path
) -> None:
    like = tmp_path / "sample.csv"
    like.write_bytes(b'\xef\xbb\xbf"Id";"label"\r\n"07";"apu"\r\nbad;apu\r\n"00";"apu"\r\n')
    asked = Asked(str(folder), like=str(like))
    found = run.run(str(run_dir), asked, output, workers=1)
    assert Path(output).read_bytes().decode() == (
        f'\ufeff"Id";"label"\r\n"07";"{named["d1/07.jpg"]}"\r\nbad;bart\r\n"00";'
        f'"{named["d0/00.jpg"]}"\r\n'
    )
    assert found.ids == ("07", "bad", "00")
    assert read_csv(f"{output}.rejects.csv")[1][:2] == ["bad", "not_an_image"]


def test_a_name_with_tabs_beside_a_sample_without(
    run_dir: Path, folder: Path, tmp_path: Path
) -> None:
    like = tmp_path / "sample.csv"
    like.write_text("Id,label\n07,apu\n")
    with pytest.raises(UsageError, match="promises tabs, and the sample of --like has ','"):
        run.run(str(run_dir), Asked(str(folder), like=str(like)), str(tmp_path / "s.tsv"))
    assert not (tmp_path / "s.tsv").exists()


def test_like_a_sample_of_indexes(
    run_dir: Path, folder: Path, output: str, named: dict[str, str], tmp_path: Path
) -> None:
    like = tmp_path / "sample.csv"
    like.write_text("Id,label\n" + "".join(f"{number:02d},0\n" for number in range(20)))
    run.run(str(run_dir), Asked(str(folder), like=str(like)), output, workers=1)
    expected = {Path(key).stem: CLASSES.index(name) for key, name in named.items()}
    assert [[id_, int(value)] for id_, value in read_csv(output)[1:]] == [
        [f"{number:02d}", expected[f"{number:02d}"]] for number in range(20)
    ]


def test_like_a_sample_of_probabilities(
    run_dir: Path, folder: Path, output: str, tmp_path: Path
) -> None:
    run.run(
        str(run_dir), Asked(str(folder), wish=Wish(probabilities=True)), output, workers=1, top_k=1
    )
    header, *rows = read_csv(output)
    assert header == ["Id", *CLASSES]
    assert len(rows) == 23 and all(sum(map(Decimal, row[1:])) == 1 for row in rows)
    ours = {row[0]: dict(zip(CLASSES, row[1:], strict=True)) for row in rows}
    # Of what cannot be read, the shares of the training pictures: 9, 12 and 5.
    assert float(ours["bad.jpg"]["bart"]) == pytest.approx(12 / 26, abs=1e-8)
    assert read_csv(f"{output}.top_k.csv")[0] == ["Id", "class_1", "p_1"]

    like = tmp_path / "sample.csv"
    like.write_text("lisa,image,apu,bart\n0,d2/05,0,1\n1,cut,0,0\n")
    asked = Asked(str(folder), like=str(like))
    run.run(str(run_dir), asked, output, workers=1, fallback="lisa")
    header, first, second = read_csv(output)
    assert header == ["lisa", "image", "apu", "bart"]
    five = ours["d2/05.jpg"]
    assert first == [five["lisa"], "d2/05", five["apu"], five["bart"]]
    # With --fallback_class, that class for sure.
    assert second == ["1.000000000", "cut", "0.000000000", "0.000000000"]
    run.run(str(run_dir), Asked(str(folder), wish=Wish(positive_class="lisa")), output, workers=1)
    assert float(dict(read_csv(output)[1:])["d2/05.jpg"]) == pytest.approx(float(five["lisa"]))
    run.run(str(run_dir), Asked(str(folder), wish=Wish(LabelForm.INDEX)), output, workers=1)
    best = CLASSES.index(max(five, key=lambda name: float(five[name])))
    assert dict(read_csv(output)[1:])["d2/05.jpg"] == str(best)


def test_the_command_with_a_sample(
    run_dir: Path, folder: Path, output: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    like = tmp_path / "sample.csv"
    like.write_text("part,label\n00,apu\n01,apu\n02,apu\ngone,apu\n")
    (folder / "notes.txt").write_text("x")
    flags = [f"--run_dir={run_dir}", f"--input={folder}", f"--output={output}", "--workers=1",
             f"--like={like}", "--path_column=part", "--include=d*"]  # fmt: skip
    assert predict.COMMAND.run(flags) == 2
    said = capsys.readouterr().err
    assert "1 of 4 ids without a picture, answered with the fallback: 'gone'" in said
    assert "17 pictures without an id, not predicted: 'd0/03.jpg'" in said
    assert "left out unread: 4 excluded (bad.jpg, cut.jpg, empty.png, …" in said.replace(
        " and 1 more", ", …"
    )
    assert "1 of 4 ids have no picture in --input" in said and not Path(output).exists()
    assert predict.COMMAND.run([*flags, "--max_reject_fraction=0.3"]) == 0
    assert read_csv(output)[4] == ["gone", "bart"]
    assert read_csv(f"{output}.rejects.csv")[1][:2] == ["gone", "missing"]


def test_too_many_rejects_are_told_by_the_exit_code(
    run_dir: Path, folder: Path, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    flags = [f"--run_dir={run_dir}", f"--input={folder}", f"--output={output}", "--workers=1"]
    assert predict.COMMAND.run(flags) == 1
    assert "error: 3 of 23 pictures could not be read" in capsys.readouterr().err
    assert len(read_csv(output)) == 24


def test_what_is_left_out_is_said(folder: Path) -> None:
    (folder / "labels.txt").write_text("x")
    (folder / ".DS_Store").write_text("x")
    (folder / "more.zip").write_bytes(b"PK")
    said: list[str] = []
    rows = listing.list_unlabelled(
        InputPath("--input", str(folder)), say=said.append,
        rules=InputRules(exclude=("d2", "nothing")),
    )  # fmt: skip
    assert len(rows) == 3 + 14 + 1  # The archive has a row, and will be rejected.
    assert len(said) == 3
    assert "1 archive in it not opened, such as 'more.zip'" in said[0]
    assert said[1].endswith(
        "left out unread: 6 excluded (d2/02.jpg, d2/05.jpg, d2/08.jpg and 3 more), "
        "1 hidden (.DS_Store), 1 sidecar (labels.txt)"
    )
    assert said[2] == "'nothing' matches no file"
    for one in (folder / "d0" / "00.jpg", folder / "t.csv"):
        with pytest.raises(UsageError, match="--include and --exclude are for folders"):
            listing.list_unlabelled(
                InputPath("--input", str(one)), rules=InputRules(include=("*.jpg",))
            )


def test_formulas_are_said_and_escaped_if_asked(
    run_dir: Path, tmp_path: Path, output: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["-1.jpg", "=A1.jpg", "a,b.jpg", 'q"r.jpg', "x\ry.jpg"]
    for number, name in enumerate(names):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).write_bytes(fakes.picture_bytes(number))
    run.run(str(run_dir), str(tmp_path / "in"), output, workers=1)
    assert [row[0] for row in read_csv(output)] == ["Id", *names]
    assert "2 ids or classes begin as a formula does, such as '-1.jpg'" in capsys.readouterr().err
    run.run(str(run_dir), Asked(str(tmp_path / "in"), escape_formulas=True), output, workers=1)
    assert [row[0] for row in read_csv(output)][1:3] == ["'-1.jpg", "'=A1.jpg"]


def submission() -> writing.Submission:
    one = np.array([[0], [1]], np.int32)
    shares = np.array([0.5, 0.5])
    return writing.Submission(("1", "2"), ("a", "b"), one, one.astype(np.float32), "a", shares, ())


def test_a_full_disk_leaves_no_half_file_and_names_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if Path("/dev/full").exists():
        with pytest.raises(OSError, match="No space left on device: '/dev/full'"):
            writing._write_csv(Path("/dev/full"), ("Id",), [["1"]])

    def rows(*args: object) -> list[list[str]]:
        raise OSError(28, "No space left on device")

    paths = writing.Paths.of(str(tmp_path / "s.csv"))
    writing.write(submission(), paths)
    before = paths.submission.read_bytes()
    monkeypatch.setattr(writing, "_values", rows)
    with pytest.raises(OSError, match=r"No space left on device: '.*s\.csv'"):
        writing.write(submission(), paths)
    assert paths.submission.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["s.csv"]


def test_a_folder_that_cannot_be_written_to_is_told_first(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError, match="file"):
        writing.check_writable(str(tmp_path / "file" / "s.csv"))
    writing.check_writable(str(tmp_path / "new" / "folder" / "s.csv"))
    writing.check_writable("/dev/null")


@pytest.mark.parametrize("ending", ["", ".rejects.csv"])
def test_the_table_that_is_read_is_not_replaced(run_dir: Path, tmp_path: Path, ending: str) -> None:
    table = tmp_path / f"pictures.csv{ending}"
    table.write_text("path,label\na.jpg,apu\n")
    with pytest.raises(UsageError, match="would replace the --input"):
        run.run(str(run_dir), Asked(str(table)), str(tmp_path / "pictures.csv"))
    assert table.read_text() == "path,label\na.jpg,apu\n"


def test_the_sample_is_not_replaced(run_dir: Path, folder: Path, tmp_path: Path) -> None:
    like = tmp_path / "sample.csv"
    like.write_text("Id,label\n00,apu\n")
    with pytest.raises(UsageError, match="would replace the sample"):
        run.run(
            str(run_dir),
            Asked(str(folder), like=str(like)),
            f"{tmp_path}/../{tmp_path.name}/sample.csv",
        )
    with pytest.raises(UsageError, match="absent.csv: No such file"):
        run.run(str(run_dir), Asked(str(folder), like="absent.csv"), str(tmp_path / "s.csv"))


def test_a_network_that_diverged_is_told(run_dir: Path, folder: Path) -> None:
    opened = load.open_run(run_dir)
    opened.model.set_weights([weight * np.nan for weight in opened.model.get_weights()])
    rows = listing.list_unlabelled(InputPath("--input", str(folder / "d0")))
    with pytest.raises(TrainerError, match="its training diverged"):
        run.predict(opened, rows, "bart", workers=1)


def test_no_output_where_nothing_could_be_read(run_dir: Path, tmp_path: Path, output: str) -> None:
    like = tmp_path / "sample.csv"
    like.write_text("Id,label\nx,apu\n")
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "x.jpg").write_bytes(b"no picture")
    with pytest.raises(TrainerError, match="none of 1 files .* 'x': not_an_image"):
        run.run(str(run_dir), Asked(str(tmp_path / "in"), like=str(like)), output, workers=1)
    assert not Path(output).exists()

"""A run's page and the files beside it."""

from __future__ import annotations

import base64
import csv
import dataclasses
import html.parser
import re
from pathlib import Path

import pytest

from tests.support.runs import fake_run, run_configs
from tfrecords import manifest
from tfrecords.reporting import links
from trainer.metrics import label_issues, metrics, predictions
from trainer.report import page as report

WEIRD = (
    "<script>alert(1)</script>",
    "猫 & 犬",
    "$5 \\alpha_{x}",
    'say "hi"',
    "a" * 300,
    "new\nline",
    "🐟",
)
# What a page may not have: anything to be fetched.
_FETCHED = re.compile(r"""(?:src|href|xlink:href)\s*=\s*["'](?!data:|#)|url\((?!#)|@import""")


class _Page(html.parser.HTMLParser):
    """Collects what a test asks about; fails on an element that is never closed."""

    VOID = {"meta", "link", "img", "input", "br"}

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.images = 0
        self.rows = 0
        self.words: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.images += tag == "img"
        self.rows += tag == "tr"
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def check_page(path: Path) -> _Page:
    """Asserts that a page is whole and loads nothing."""
    text = path.read_text(encoding="utf-8")
    assert not _FETCHED.search(text)
    page = _Page(text)
    assert len(set(page.ids)) == len(page.ids)
    return page


def test_writes_all_that_a_run_promises(tmp_path: Path) -> None:
    run = fake_run.files(tmp_path)
    page = report.write(run)
    assert page == run.run_dir / "report" / "index.html"
    assert {path.name for path in run.run_dir.iterdir()} == {
        "metrics.csv",
        "label_issues.csv",
        "per_class.csv",
        "confusion.png",
        "curves.png",
        "f1_by_class_size.png",
        "calibration.png",
        "predictions.parquet",
        "report",
    }
    found, classes, about = predictions.read(run.run_dir / "predictions.parquet")
    assert (found.ids, classes, about["split"]) == (
        run.predictions.ids,
        run.classes,
        "validation",
    )


def test_the_page_says_what_was_measured(tmp_path: Path) -> None:
    run = fake_run.files(tmp_path)
    evaluation = metrics.evaluate(run.predictions, run.train_counts)
    text = check_page(report.write(run)).text
    for value in (evaluation.macro_f1, evaluation.top1, evaluation.balanced_accuracy):
        assert f"{100 * value:.1f}%" in text
    assert "best at epoch 2 by val_macro_f1" in text
    assert "best: epoch 2" in text
    assert "9 pictures of the validation split" in text
    assert "springfield_cnn" in text


@pytest.mark.parametrize("classes", [2, 121])
def test_any_number_of_classes(tmp_path: Path, classes: int) -> None:
    run = fake_run.files(tmp_path, [1 + i % 2 for i in range(classes)], epochs=1)
    page = check_page(report.write(run))
    assert page.rows == classes + 1
    assert "confusion-matrix" in page.ids


def test_weird_names_are_shown_as_they_are(tmp_path: Path) -> None:
    run = fake_run.files(tmp_path, [2] * len(WEIRD), names=WEIRD)
    path = report.write(run)
    page = check_page(path)
    assert "<script>alert" not in path.read_text(encoding="utf-8")
    for name in (WEIRD[0], WEIRD[1], WEIRD[2], WEIRD[3], WEIRD[6], "new�line"):
        assert name in page.text
    assert WEIRD[4] not in page.text


def test_says_which_classes_nothing_is_known_of(tmp_path: Path) -> None:
    run = fake_run.files(tmp_path, [3, 0, 2])
    text = check_page(report.write(run)).text
    assert "1 of 3 classes has no validation picture" in text
    rows = _per_class(run)
    assert rows[1]["support"] == "0"
    assert rows[1]["recall"] == ""


def test_a_perfect_network_has_no_mistakes_to_show(tmp_path: Path) -> None:
    run = fake_run.files(tmp_path)
    perfect = fake_run.predictions([4, 3, 2], skill=60)
    page = check_page(report.write(_with(run, predictions=perfect)))
    assert page.images == 0
    assert "The validation split has no mistake." in page.text


def test_a_run_without_history(tmp_path: Path) -> None:
    run = fake_run.files(tmp_path)
    run.history.unlink()
    page = check_page(report.write(run))
    assert "Learning rate" not in page.text
    assert not (run.run_dir / "curves.png").exists()


def test_one_epoch_makes_no_curves(tmp_path: Path) -> None:
    """A head on features has one: six figures of one dot each say nothing."""
    run = fake_run.files(tmp_path)
    head, first, *_ = run.history.read_text().splitlines(keepends=True)
    run.history.write_text(head + first)
    page = check_page(report.write(run))
    assert "Learning rate" not in page.text and "1 epoch" in page.text
    assert (run.run_dir / "curves.png").exists()


def test_shows_the_pictures_of_mistakes(tmp_path: Path) -> None:
    run = fake_run.files(tmp_path, [6, 6, 6])
    wrong = fake_run.predictions([6, 6, 6], skill=0)
    page = check_page(report.write(_with(run, predictions=wrong)))
    assert page.images >= 6
    assert "not in the shards" not in page.text
    strangers = tuple(f"elsewhere/{i}.png" for i in range(18))
    unknown = metrics.Predictions(strangers, wrong.labels, wrong.logits)
    page = check_page(report.write(_with(run, predictions=unknown)))
    assert page.images == 0
    assert "not in the shards" in page.text


def test_per_class_csv(tmp_path: Path) -> None:
    run = fake_run.files(tmp_path)
    report.write(run)
    rows = _per_class(run)
    results = metrics.evaluate(run.predictions, run.train_counts).per_class
    assert [row["class"] for row in rows] == list(run.classes)
    assert [row["group"] for row in rows] == ["tail", "medium", "medium"]
    for row, result in zip(rows, results, strict=True):
        assert int(row["support"]) == result.support
        assert float(row["recall"]) == pytest.approx(result.recall, abs=1e-6)


def test_equal_runs_are_equal_pages(tmp_path: Path) -> None:
    run = fake_run.files(tmp_path)
    first = report.write(run).read_bytes()
    assert report.write(run).read_bytes() == first


def test_flags_and_data_are_on_the_page(tmp_path: Path) -> None:
    run = fake_run.files(tmp_path)
    many = list(range(40))
    settings = {"flags": {"model": "resnet50", "ema": 0.999, "labels": many}, "run": {"n": 64}}
    text = check_page(report.write(_with(run, settings=settings))).text
    for expected in ("resnet50", "0.999", "n 64", "… (40 in all)", "12×12, squash, png"):
        assert expected in text


def test_sizes_must_agree(tmp_path: Path) -> None:
    run = fake_run.files(tmp_path)
    with pytest.raises(ValueError, match="2 class names, 3 counts and predictions of 3 classes"):
        _with(run, classes=run.classes[:2])


def _per_class(run: report.RunFiles) -> list[dict[str, str]]:
    with (run.run_dir / "per_class.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _with(run: report.RunFiles, **changes: object) -> report.RunFiles:
    return report.RunFiles(**{**vars(run), **changes})  # type: ignore[arg-type]  # Values of a table.


def unsure(root: Path) -> report.RunFiles:
    """Returns a run that is often confident of another class than the label."""
    counts = (12, 9, 6)
    run = fake_run.files(root, validation=counts)
    return dataclasses.replace(run, predictions=fake_run.predictions(counts, skill=0.5))


def test_labels_in_doubt_are_shown_and_can_be_downloaded(tmp_path: Path) -> None:
    run = unsure(tmp_path)
    found = label_issues.find(
        run.predictions.at(metrics.evaluate(run.predictions, run.train_counts).temperature)
    )
    assert found
    text = report.write(run).read_text(encoding="utf-8")
    written = (run.run_dir / "label_issues.csv").read_text(encoding="utf-8")
    assert written == label_issues.to_csv(found, run.classes)
    carried = re.search(
        r'download="label_issues.csv" href="data:text/csv[^,]*;base64,([^"]+)"', text
    )
    assert carried is not None
    assert base64.b64decode(carried[1]).decode() == written
    assert text.count('class="id"') >= len(found)


def test_many_labels_in_doubt_are_cut_on_the_page_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MOST_ISSUES", 1)
    run = unsure(tmp_path)
    text = report.write(run).read_text(encoding="utf-8")
    assert "the first 1; all are in" in text
    assert len((run.run_dir / "label_issues.csv").read_text().splitlines()) > 2


def test_a_page_of_many_classes_stays_small(tmp_path: Path) -> None:
    path = report.write(fake_run.files(tmp_path, validation=(2,) * 250))
    check_page(path)
    assert path.stat().st_size < 1_500_000


def test_a_run_and_its_data_set_lead_to_each_other(tmp_path: Path) -> None:
    run = fake_run.files(tmp_path)
    of_data = tmp_path / "data" / "report" / "index.html"
    of_data.parent.mkdir(exist_ok=True)
    of_data.write_text(f"<ul>{links.block(manifest.load(run.data_dir).digest)}</ul>")
    run_configs.write(run.run_dir, run_configs.describe(run.flags, manifest.load(run.data_dir)))
    page = report.write(run)
    assert 'href="../../data/report/index.html"' in page.read_text(encoding="utf-8")
    assert 'href="../../run/report/index.html">run</a>' in of_data.read_text(encoding="utf-8")

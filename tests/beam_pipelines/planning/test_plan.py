from __future__ import annotations

import dataclasses
import hashlib
import io
import random
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from beam_pipelines.cache import facts_table
from beam_pipelines.cache.facts import ImageFacts
from beam_pipelines.cache.layout import Layout
from beam_pipelines.choices import NearDuplicates, SplitBy
from beam_pipelines.config import PrepareConfig
from beam_pipelines.flag_rules import identity
from beam_pipelines.planning import kin, make_tasks
from beam_pipelines.planning.plan import Plan, make_plan
from tests.support.bakes.image_facts import CONFIG, picture
from tfrecords import ledger
from tfrecords.schema import TRAIN
from tfrecords.sharding import stable_hash


def pictures(**counts: int) -> list[ImageFacts]:
    return [picture(f"{name}/{i:04d}") for name, count in counts.items() for i in range(count)]


def plan(rows: list[ImageFacts], config: PrepareConfig = CONFIG, **changes: object) -> Plan:
    shuffled = random.Random(len(rows)).sample(rows, len(rows))
    half = len(rows) // 2
    blocks = [facts_table.facts_block(part) for part in (shuffled[:half], shuffled[half:]) if part]
    return make_plan(
        facts_table.facts_table(blocks), dataclasses.replace(config, **changes), look_of_name
    )


def look_of_name(rows: np.ndarray) -> np.ndarray:
    """Thumbnails of rows in key order: ten in a row look alike, as frames of a track do."""
    scenes = [
        np.random.default_rng(row // 10).integers(0, 256, (16, 16, 3), np.uint8)
        for row in rows.tolist()
    ]
    return np.stack(scenes)


def rows_by_key(result: Plan) -> dict[str, dict]:
    return {row["key"]: row for row in result.sources.to_pylist()}


def check_plan(result: Plan) -> None:
    """What holds for every plan, whatever its input."""
    rows = result.sources.to_pylist()
    assert [row["key"] for row in rows] == sorted(row["key"] for row in rows)
    assert sum(result.statuses().values()) == len(rows)
    positions = Counter()
    for name, records in result.records.items():
        positions.update((name, s, p) for s, p in zip(records.shard, records.position, strict=True))
        sizes = np.bincount(records.shard, minlength=records.num_shards)
        assert sizes.max() - sizes.min() <= 1
        if name != TRAIN:
            assert not records.copy.any()
        labels = result.labels[records.row]
        for label in np.unique(labels):
            ranks = np.sort(records.rank[labels == label])
            assert (ranks == np.arange(len(ranks))).all()
    assert set(positions.values()) <= {1}
    in_train = set(result.labels[result.records[TRAIN].row].tolist())
    assert in_train == set(range(len(result.classes)))
    for row in rows:
        assert (row["shard"] is not None) == (row["status"] == "kept")
        assert (row["split"] is not None) == (row["status"] in ("kept", "capped"))


def train_ids(result: Plan, below: int | None = None) -> set[tuple[str, int, int]]:
    records = result.records[TRAIN]
    keys = result.sources["key"].take(records.row).to_pylist()
    return {
        (key, int(copy), int(rank))
        for key, copy, rank in zip(keys, records.copy, records.rank, strict=True)
        if below is None or rank < below
    }


def test_without_balancing_every_picture_is_one_record() -> None:
    result = plan(pictures(apu=50, bart=10, carl=1))
    check_plan(result)
    assert result.classes == ("apu", "bart", "carl")
    assert result.counts(TRAIN, copies=False) == (40, 8, 1)
    assert result.counts("validation", copies=False) == (5, 1, 0)
    assert result.counts(TRAIN, copies=True) == (0, 0, 0)
    assert result.statuses() == {"kept": 61}


def test_balancing_touches_train_only() -> None:
    result = plan(pictures(apu=50, bart=10, carl=3), min_per_class=20, max_per_class=20)
    check_plan(result)
    assert result.counts(TRAIN, copies=False) == (20, 8, 3)
    assert result.counts(TRAIN, copies=True) == (0, 12, 17)
    assert result.counts("validation", copies=False) == (5, 1, 0)
    assert result.statuses() == {"capped": 20, "kept": 43}
    assert {len(job.copies) for job in result.copy_jobs()} == {1, 2, 5, 6}


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(1, 40), min_size=2, max_size=5),
    st.integers(1, 60),
    st.data(),
)
def test_selection_by_rank_is_the_bake_at_that_number(counts, large, data) -> None:
    small = data.draw(st.integers(1, large))
    rows = pictures(**{f"c{i}": count for i, count in enumerate(counts)})
    of_large = plan(rows, min_per_class=large, max_per_class=large)
    of_small = plan(rows, min_per_class=small, max_per_class=small)
    check_plan(of_large)
    assert train_ids(of_large, below=small) == train_ids(of_small)


def test_equal_files_are_one_record_and_conflicts_are_told() -> None:
    rows = [
        *pictures(apu=9, bart=9),
        picture("apu/again", content="apu/0000"),
        picture("bart/also", content="apu/0000"),
    ]
    result = plan(rows)
    check_plan(result)
    found = rows_by_key(result)
    assert found["apu/again"]["status"] == found["bart/also"]["status"] == "duplicate"
    assert found["apu/again"]["reason"] == found["bart/also"]["reason"] == "apu/0000"
    assert found["bart/also"]["detail"] == "label conflict: equal file under another class"
    assert any("equal to a file of another class" in note for note in result.notes)
    dropped = rows_by_key(plan(rows, label_conflicts="drop_all"))
    for key in ("apu/0000", "apu/again", "bart/also"):
        assert (dropped[key]["status"], dropped[key]["reason"]) == ("rejected", "label_conflict")


def test_near_duplicates_stay_together_or_go() -> None:
    rows = [
        picture(
            f"{name}/{i:02d}{twin}",
            looks=int(hashlib.sha256(f"{name}{i}".encode()).hexdigest(), 16) ^ (twin == "b"),
        )
        for name in ("apu", "bart")
        for i in range(30)
        for twin in "ab"
    ]
    grouped = plan(rows, near_duplicates=NearDuplicates.GROUP)
    check_plan(grouped)
    found = rows_by_key(grouped)
    for key in found:
        twin = key[:-1] + ("b" if key.endswith("a") else "a")
        assert found[key]["split"] == found[twin]["split"]
        assert found[key]["group"] == found[twin]["group"]
    dropped = plan(rows, near_duplicates=NearDuplicates.DROP)
    check_plan(dropped)
    assert dropped.statuses() == {"duplicate": 60, "kept": 60}
    assert rows_by_key(dropped)["apu/00b"]["reason"] == "apu/00a"


def test_only_what_is_surely_the_same_is_dropped() -> None:
    """Two pictures 24 bits apart are kept together, and neither is thrown away."""
    looks = {
        f"{name}/{i:02d}{twin}": int(hashlib.sha256(f"{name}{i}".encode()).hexdigest(), 16)
        ^ (((1 << 24) - 1) if twin == "b" else 0)
        for name in ("apu", "bart")
        for i in range(30)
        for twin in "ab"
    }
    rows = [picture(key, looks=bits) for key, bits in looks.items()]
    grouped = rows_by_key(plan(rows, near_duplicates=NearDuplicates.GROUP))
    assert grouped["apu/00a"]["group"] == grouped["apu/00b"]["group"]
    assert plan(rows, near_duplicates=NearDuplicates.DROP).statuses() == {"kept": 120}


def test_group_by_keeps_a_track_in_one_split() -> None:
    rows = [
        picture(f"{name}/track{t:02d}_{i}") for name in "ab" for t in range(20) for i in range(3)
    ]
    result = plan(rows, group_by=r"(track\d+)_")
    check_plan(result)
    splits: dict[str, set[str]] = {}
    for key, row in rows_by_key(result).items():
        splits.setdefault(key.split("/")[1][:7], set()).add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    assert len(set.union(*splits.values())) == 3


def test_a_given_split_is_kept_and_only_the_missing_one_is_assigned() -> None:
    rows = [
        dataclasses.replace(row, split="test" if row.key.endswith("7") else "train")
        for row in pictures(apu=100, bart=50)
    ]
    result = plan(rows)
    check_plan(result)
    for key, row in rows_by_key(result).items():
        assert (row["split"] == "test") == key.endswith("7")
    assert result.counts("test", copies=False) == (10, 5)
    assert result.counts("validation", copies=False) == (10, 5)


@pytest.mark.parametrize("why", ["rejected", "equal"])
def test_a_given_split_without_a_picture_is_said(why: str) -> None:
    rows = [dataclasses.replace(row, split=TRAIN) for row in pictures(a=20, b=20)]
    first, second = rows[:2]
    lost = {
        "rejected": [picture("x/0"), picture("x/1")],
        "equal": [dataclasses.replace(first, key="x/0"), dataclasses.replace(second, key="x/1")],
    }[why]
    reason = "undecodable" if why == "rejected" else None
    lost = [dataclasses.replace(row, split="test", reason=reason, class_name="a") for row in lost]
    result = plan([*rows, *lost], max_reject_fraction=1.0)
    told = [note for note in result.notes if note.startswith("the input fixes ")]
    assert len(told) == 1 and told[0].startswith("the input fixes test, but none of its 2 files is")
    assert not any("the input fixes" in note for note in plan([*rows, picture("a/x")]).notes)


def test_rejects_keep_their_reason_and_too_many_fail_the_bake() -> None:
    bad = ImageFacts("apu/bad", "apu", 3, 0, None, reason="corrupt", detail="zlib: -3")
    rows = [*pictures(apu=9, bart=9), bad]
    result = plan(rows)
    assert result.failure is not None
    assert "1 of 19 files were rejected (1 corrupt)" in result.failure
    row = rows_by_key(result)["apu/bad"]
    assert (row["status"], row["reason"], row["detail"]) == ("rejected", "corrupt", "zlib: -3")
    tolerant = plan(rows, max_reject_fraction=0.1)
    assert tolerant.failure is None
    check_plan(tolerant)


def test_hidden_files_never_fail_a_bake() -> None:
    hidden = [
        ImageFacts(f"__MACOSX/{i}", None, 3, 0, None, reason="hidden", detail="") for i in range(50)
    ]
    assert plan([*pictures(apu=9, bart=9), *hidden], max_reject_fraction=0.0).failure is None


def test_nothing_but_rejects() -> None:
    bad = ImageFacts("apu/bad", "apu", 3, 0, None, reason="corrupt", detail="")
    result = plan([bad], max_reject_fraction=1.0)
    assert result.failure == "none of the 1 files is a usable picture"
    assert rows_by_key(result)["apu/bad"]["status"] == "rejected"


@pytest.mark.parametrize("seed", [0, 1])
def test_the_plan_depends_on_the_seed_and_not_on_the_order_of_facts(seed: int) -> None:
    rows = pictures(apu=40, bart=20)
    one = plan(rows, seed=seed, min_per_class=50, max_per_class=50)
    other = plan(rows[::-1], seed=seed, min_per_class=50, max_per_class=50)
    assert one.sources.equals(other.sources)
    assert train_ids(one) == train_ids(other)
    assert train_ids(one) != train_ids(plan(rows, seed=2, min_per_class=50, max_per_class=50))


def test_a_split_by_appearance_keeps_what_looks_alike_together() -> None:
    result = plan(pictures(apu=200, bart=100), split_by=SplitBy.APPEARANCE)
    check_plan(result)
    rows = result.sources.to_pylist()
    scenes = {}
    for index, row in enumerate(rows):
        scenes.setdefault(index // 10, set()).add(row["split"])
    assert all(len(splits) == 1 for splits in scenes.values())
    assert result.counts("validation", copies=False) == (20, 10)
    # The ledger's groups stay those of near duplicates.
    assert len({row["group"] for row in rows}) == 300


def test_a_given_test_split_does_not_change_how_train_is_divided_by_appearance() -> None:
    rows = pictures(apu=200, bart=100)
    given = [
        dataclasses.replace(row, key=f"z/{row.key}", split="test", sha256=row.sha256[::-1])
        for row in rows
    ]

    def divided(rows: list[ImageFacts], splits: str) -> dict[str, str]:
        keys = sorted(row.key for row in rows)
        seeds = np.array([stable_hash("look", key) for key in keys], np.uint64)
        config = dataclasses.replace(CONFIG, split_by=SplitBy.APPEARANCE, splits=splits)
        facts = facts_table.facts_table([facts_table.facts_block(rows)])
        result = make_plan(facts, config, lambda some: unlike(seeds[some]))
        return {row["key"]: row["split"] for row in result.sources.to_pylist()}

    alone = divided(rows, "train:0.8,validation:0.2")
    beside = divided([*rows, *given], "train:0.4,validation:0.1,test:0.5")
    assert set(alone.values()) == {"train", "validation"}
    assert {key: beside[key] for key in alone} == alone


def test_auto_splits_kin_by_appearance_and_says_so() -> None:
    rows = pictures(apu=200, bart=100)
    result = plan(rows, split_by=SplitBy.AUTO)
    explicit = plan(rows, split_by=SplitBy.APPEARANCE)
    assert result.sources.equals(explicit.sources)
    # The manifest is told what was decided, so that its flags bake the same again.
    assert identity.for_manifest(result.config) == identity.for_manifest(explicit.config)
    (told,) = (note for note in result.notes if "--split_by=auto chose appearance" in note)
    assert "100% of the pictures" in told
    assert not any("--split_by=auto" in note for note in explicit.notes)


def unlike(rows: np.ndarray) -> np.ndarray:
    return np.stack(
        [np.random.default_rng(row).integers(0, 256, (16, 16, 3), np.uint8) for row in rows]
    )


@pytest.mark.parametrize("why", ["unlike", "few", "named", "given", "no thumbnails"])
def test_auto_deals_at_random_what_is_no_kin_or_is_decided_already(why: str) -> None:
    rows = pictures(apu=300)
    if why == "few":
        rows = rows[:190]
    if why == "given":
        names = CONFIG.split_names
        rows = [dataclasses.replace(row, split=names[i % len(names)]) for i, row in enumerate(rows)]
    changes = {"group_by": "(.)[0-9]$"} if why == "named" else {}
    config = dataclasses.replace(CONFIG, split_by=SplitBy.AUTO, **changes)
    facts = facts_table.facts_table([facts_table.facts_block(rows)])
    look = {"unlike": unlike, "no thumbnails": None}.get(why, look_of_name)
    result = make_plan(facts, config, look)
    assert result.config.split_by is SplitBy.RANDOM
    assert not any("--split_by=auto" in note for note in result.notes)


def test_of_many_pictures_whole_classes_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kin, "_MAX_MEASURED", 250)
    loads: list[int] = []

    def look(rows: np.ndarray) -> np.ndarray:
        loads.append(len(rows))
        return look_of_name(rows)

    facts = facts_table.facts_table([facts_table.facts_block(pictures(apu=240, bart=200, zia=200))])
    result = make_plan(facts, dataclasses.replace(CONFIG, split_by=SplitBy.AUTO), look)
    assert result.config.split_by is SplitBy.APPEARANCE
    assert loads[0] in (200, 240)


def test_near_duplicates_stay_together_after_a_split_by_appearance() -> None:
    twins = [
        picture("apu/0003", looks=5),
        picture("apu/0191", "other", looks=5),
    ]
    others = [row for row in pictures(apu=200) if row.key not in {twin.key for twin in twins}]
    result = plan([*others, *twins], split_by=SplitBy.APPEARANCE)
    check_plan(result)
    found = rows_by_key(result)
    assert found["apu/0003"]["split"] == found["apu/0191"]["split"]


def test_a_split_by_appearance_needs_thumbnails() -> None:
    facts = facts_table.facts_table([facts_table.facts_block(pictures(apu=20))])
    with pytest.raises(ValueError, match="needs thumbnails"):
        make_plan(facts, dataclasses.replace(CONFIG, split_by=SplitBy.APPEARANCE))


def test_the_ledger_is_the_same_in_pieces_of_any_size() -> None:
    bad = ImageFacts("bart/bad", "bart", 3, 0, None, reason="corrupt", detail="zlib: -3")
    lost = ImageFacts("bart/lost", "bart", -1, 0, None, reason="unreadable", detail="")
    rows = [*pictures(apu=30, bart=12), picture("bart/again", "apu/0001"), bad, lost]
    result = plan(rows, max_per_class=9)
    whole = result.sources
    for size in (1, 7, 1000):
        pieces = list(result.ledger(size))
        assert [len(piece) for piece in pieces[:-1]] == [size] * (len(pieces) - 1)
        assert pa.concat_tables(pieces).equals(whole)
    assert whole.schema == ledger.SCHEMA
    found = rows_by_key(result)
    assert found["bart/lost"]["bytes"] is None
    assert found["bart/lost"]["sha256"] is None
    assert found["apu/0001"]["sha256"] == hashlib.sha256(b"apu/0001").hexdigest()


def test_the_ledger_file_is_what_pyarrow_writes_of_the_whole_table() -> None:
    result = plan(pictures(apu=60, bart=12), max_per_class=9)
    streamed, whole = io.BytesIO(), io.BytesIO()
    facts_table.write_ledger(streamed, result.ledger(facts_table.LEDGER_ROWS))
    repeated = [name for name in ledger.SCHEMA.names if name not in ("key", "sha256", "phash")]
    pq.write_table(result.sources, whole, compression="zstd", use_dictionary=repeated)
    assert streamed.getvalue() == whole.getvalue()


def test_copies_are_ordered_by_pack_and_every_record_finds_its_image(tmp_path: Path) -> None:
    result = plan(pictures(apu=50, bart=10, carl=3), min_per_class=20, max_per_class=20)
    layout = Layout.of(dataclasses.replace(CONFIG, output_dir=str(tmp_path)))
    order = make_tasks.CopyOrder.of(result, 4)
    copying = list(make_tasks.copy_tasks(result, order, layout))
    assert len(copying) == order.packs > 1
    images = {}
    for task in copying:
        made = [(job.key, copy) for job in task.jobs for copy in job.copies]
        assert made == sorted(made)
        assert {stable_hash("bundle", key) % 4 for key, _ in made} == {int(task.pack[:5])}
        for index, (key, copy) in enumerate(made):
            images[f"{key}#{copy}"] = (f"{layout.copies_dir}/{task.pack}", index)
    shards = list(make_tasks.shard_tasks(result, order, [task.pack for task in copying], layout))
    records = [record for shard in shards for record in shard.records]
    assert len(records) == sum(len(of.row) for of in result.records.values())
    assert images == {record.id: (record.pack, record.number) for record in records if record.copy}
    assert {record.pack for record in records if not record.copy} == {
        f"{layout.canonical_dir}/00000-of-00001-aa"
    }

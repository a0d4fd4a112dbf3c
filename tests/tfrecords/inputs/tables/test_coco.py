"""JSON in the form of COCO as a table: each picture once, with its category, or refused."""

from __future__ import annotations

import copy
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs import listing
from tfrecords.inputs.options import InputOptions, TableOptions
from tfrecords.inputs.rows import InputPath

NAMES = ("cat", "dog", "bird")
Document = dict[str, Any]


def document(count: int = 6) -> Document:
    """Returns a document of so many pictures, `count` // 3 of each category."""
    return {
        "info": {"year": 2021},
        "images": [
            {"id": 100 + n, "file_name": f"{n}.jpg", "location": f"camera {n // 2}", "width": 8}
            for n in range(count)
        ],
        "annotations": [
            {"id": n, "image_id": 100 + n, "category_id": 7 + n % 3, "bbox": [0, 0, 1, 1]}
            for n in range(count)
        ],
        "categories": [
            {"id": 7 + n, "name": name, "supercategory": "fliers" if n == 2 else "walkers"}
            for n, name in enumerate(NAMES)
        ],
        "licenses": [],
    }


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for n in range(6):
        (tmp_path / f"{n}.jpg").write_bytes(bytes([n]))
    return tmp_path


def listed(root: Path, content: Any, **options: Any) -> listing.Listing:
    table = root / "train.json"
    text = content if isinstance(content, str) else json.dumps(content, indent=1)
    table.write_text(text, encoding="utf-8")
    return listing.list_labelled(
        InputPath("--input_dir", str(root)),
        InputPath("--input_csv", str(table)),
        options=InputOptions(TableOptions(**options)),
    )


def classes(found: listing.Listing) -> dict[str, str | None]:
    return {row.key: row.class_name for row in found.rows if row.problem is None}


EXPECTED = {f"{n}.jpg": NAMES[n % 3] for n in range(6)}


def test_a_picture_has_the_name_of_its_category(root: Path) -> None:
    found = listed(root, document())
    assert classes(found) == EXPECTED
    assert any(
        "COCO's form, with 6 pictures, 6 annotations and 3 categories" in n for n in found.notes
    )


def test_boxes_of_one_category_are_one_picture(root: Path) -> None:
    content = document()
    content["annotations"] += copy.deepcopy(content["annotations"])
    found = listed(root, content)
    assert classes(found) == EXPECTED and len(found.rows) == 6
    assert not any("repeated" in note for note in found.notes)


def _herbarium(content: Document) -> None:
    """Names the ids as Herbarium 2022 does."""
    for kind, key in (("images", "image_id"), ("categories", "category_id")):
        for item in content[kind]:
            item[key] = item.pop("id")


def _texts(content: Document) -> None:
    for image, annotation in zip(content["images"], content["annotations"], strict=True):
        image["id"] = annotation["image_id"] = f"uuid-{image['id']}"


def _floats(content: Document) -> None:
    for annotation in content["annotations"]:
        annotation["category_id"] = float(annotation["category_id"])


def _shuffled(content: Document) -> None:
    content["annotations"].reverse()
    content["categories"].reverse()


@pytest.mark.parametrize("change", [_herbarium, _texts, _floats, _shuffled])
def test_forms_that_mean_the_same(root: Path, change: Callable[[Document], None]) -> None:
    content = document()
    change(content)
    assert classes(listed(root, content)) == EXPECTED


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("category.supercategory", {"walkers", "fliers"}),
        ("category.id", {"7", "8", "9"}),
        ("label", set(NAMES)),
        ("2", set(NAMES)),
        ("location", {"camera 0", "camera 1", "camera 2"}),
    ],
)
def test_other_keys_may_be_the_classes(root: Path, column: str, expected: set[str]) -> None:
    found = listed(root, document(), label_column=(column,))
    assert set(classes(found).values()) == expected


def test_other_keys_of_images_are_columns(root: Path) -> None:
    assert any("--group_column=location keeps" in note for note in listed(root, document()).notes)
    content = document()
    for n, image in enumerate(content["images"]):
        image |= {"split": "train" if n < 4 else "val", "label": "own", "path": "own"}
    found = listed(root, content, group_column="location")
    assert [row.group for row in found.rows] == [f"camera {n // 2}" for n in range(6)]
    assert [row.split for row in found.rows] == ["train"] * 4 + ["validation"] * 2
    assert classes(found) == EXPECTED
    own = listed(root, content, label_column=("image.label",))
    assert set(classes(own).values()) == {"own"}


def _change(path: str, value: object) -> Callable[[Document], None]:
    """Returns what sets a key of an element, as "images.1.id"; None removes it."""
    kind, number, key = path.split(".")

    def change(content: Document) -> None:
        content[kind][int(number)][key] = value
        if value is None:
            del content[kind][int(number)][key]

    return change


def _add(kind: str, **values: object) -> Callable[[Document], None]:
    return lambda content: content[kind].append(values)


def _remove(kind: str) -> Callable[[Document], None]:
    def change(content: Document) -> None:
        del content[kind]

    return change


REFUSED = {
    "an unknown picture": (
        _change("annotations.1.image_id", 999),
        r"element 2 of annotations \(id 1\) has the image_id 999, which is none of images",
    ),
    "an id as text": (_change("annotations.1.image_id", "101"), "'101', which is none of images"),
    "an unknown category": (
        _change("annotations.2.category_id", 1),
        r"element 3 of annotations \(id 2\) has the category_id 1, which is none of categories",
    ),
    "no image_id": (_change("annotations.0.image_id", None), "annotations .* has no 'image_id'"),
    "no category_id": (
        _change("annotations.0.category_id", None),
        "element 1 of annotations .* has no 'category_id'",
    ),
    "an id that is a list": (_change("images.0.id", [1]), "no number and no text as its 'id'"),
    "no id": (_change("images.3.id", None), r"element 4 of images \(file_name '3.jpg'\) has no"),
    "no file": (
        _change("images.3.file_name", None),
        r"element 4 of images \(id 103\) has no 'file_",
    ),
    "an empty file": (_change("images.3.file_name", " "), "has no 'file_name', the path of its"),
    "a category without a name": (
        _change("categories.1.name", None),
        "categories of the id 8 have no 'name', .*--label_column=category.id",
    ),
    "a category without an id": (
        _change("categories.1.id", None),
        "element 2 of categories has no",
    ),
    "two categories of one name": (
        _change("categories.1.name", " cat"),
        "the ids 7 and 8 are both called 'cat': rename one; or --label_column=category.id",
    ),
    "two categories of one id": (
        _change("categories.1.id", 7),
        "two categories have the id 7",
    ),
    "two pictures of one id": (
        _change("images.1.id", 100),
        "two images have the id 100, '0.jpg' and '1.jpg'",
    ),
    "several categories": (
        _add("annotations", image_id=100, category_id=8),
        r"1 of 6 pictures have annotations of several categories, .*'0.jpg' \(cat, dog\); leave",
    ),
    "no annotation": (
        _add("images", id=9, file_name="5.jpg"),
        "1 of 7 pictures have no annotation, and so no class: '5.jpg'; leave",
    ),
    "no annotations": (_remove("annotations"), "is COCO's form without annotations"),
    "no categories": (_remove("categories"), "but categories is missing"),
    "no images": (_remove("images"), "but images is missing"),
    "an annotation that is none": (
        lambda content: content["annotations"].append(3),
        "element 7 of annotations is no object",
    ),
    "a page on the web": (
        _change("images.2.file_name", "https://example.com/2.jpg"),
        "record 3: https://example.com/2.jpg is on the web",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_certain_stops_in_one_line(root: Path, name: str) -> None:
    change, said = REFUSED[name]
    content = document()
    change(content)
    with pytest.raises(UsageError, match=said) as error:
        listed(root, content)
    assert "\n" not in str(error.value) and "train.json" in str(error.value)


def test_equal_names_that_are_not_the_classes_are_no_matter(root: Path) -> None:
    content = document()
    content["categories"][1]["name"] = "cat"
    found = listed(root, content, label_column=("category.id",))
    assert set(classes(found).values()) == {"7", "8", "9"}
    with pytest.raises(UsageError, match="both called 'cat'"):
        listed(root, content, label_column=("2",))


def test_categories_without_pictures_are_said_and_may_have_one_name(root: Path) -> None:
    content = document()
    content["categories"] += [{"id": 1, "name": "cat"}, {"id": 2, "name": "eel"}]
    found = listed(root, content)
    assert classes(found) == EXPECTED
    assert any("no picture has the category cat, eel: no class is made" in n for n in found.notes)


def test_a_file_that_is_missing_or_stands_twice_is_as_in_other_tables(root: Path) -> None:
    content = document()
    content["images"] += [
        {"id": 1, "file_name": "6.jpg"},
        {"id": 2, "file_name": "./0.jpg"},
    ]
    content["annotations"] += [{"image_id": n, "category_id": 7} for n in (1, 2)]
    found = listed(root, content)
    missing = [row.key for row in found.rows if row.problem is RejectReason.MISSING]
    assert missing == ["6.jpg"] and len(found.rows) == 8
    text = "\n".join(found.notes)
    assert "1 of 8 files missing; record 7: '6.jpg', looked for at" in text
    assert "1 repeated row, kept once; record 8 is record 1" in text


def test_in_an_archive(root: Path, tmp_path: Path) -> None:
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for n in range(6):
            file.writestr(f"pictures/{n}.jpg", bytes([n]))
        file.writestr("annotations/train.json", json.dumps(document()))
    found = listing.list_labelled(
        InputPath("--input_dir", f"{archive}/pictures"),
        InputPath("--input_csv", f"{archive}/annotations/train.json"),
    )
    assert {row.key.rpartition("/")[2]: row.class_name for row in found.rows} == EXPECTED


def test_a_prediction_needs_no_classes(root: Path) -> None:
    content = {"images": document()["images"]}
    for image in content["images"]:
        del image["id"]
    (root / "test.json").write_text(json.dumps(content))
    rows = listing.list_unlabelled(InputPath("--input", str(root / "test.json")))
    assert [row.key for row in rows] == list(EXPECTED)


@pytest.mark.parametrize(
    ("name", "content", "form"),
    [
        ("test.json", b'{"images": []}', listing.InputForm.TABLE),
        ("test.JSON", b'\xef\xbb\xbf\n[{"path"', listing.InputForm.TABLE),
        ("0.jpg.json", b"\xff\xd8\xff", listing.InputForm.FILE),
        ("absent.json", None, listing.InputForm.ABSENT),
        ("set.zip/test.json", None, listing.InputForm.TABLE),
    ],
)
def test_what_is_named_as_json_may_be_a_picture(
    tmp_path: Path, name: str, content: bytes | None, form: listing.InputForm
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert listing.form_of(str(tmp_path / name)) is form


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(
    labels=st.lists(st.integers(0, 2), min_size=6, max_size=6),
    boxes=st.lists(st.integers(0, 5), max_size=9),
    order=st.randoms(use_true_random=False),
)
def test_order_and_number_of_boxes_do_not_matter(
    root: Path, labels: list[int], boxes: list[int], order: Any
) -> None:
    content = document()
    content["annotations"] = [
        {"image_id": 100 + n, "category_id": 7 + labels[n]} for n in (*range(6), *boxes)
    ]
    for kind in ("images", "annotations", "categories"):
        order.shuffle(content[kind])
    found = listed(root, content)
    assert classes(found) == {f"{n}.jpg": NAMES[label] for n, label in enumerate(labels)}

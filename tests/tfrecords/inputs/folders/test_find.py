"""Which folders are wrappers, splits and classes, from names alone."""

from __future__ import annotations

import string
from collections.abc import Iterable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tfrecords.errors import UsageError
from tfrecords.inputs.folders.find import find_layout
from tfrecords.inputs.folders.layout import FolderLayout
from tfrecords.inputs.rules import FOLDERS, NO_FOLDERS, InputRules
from tfrecords.inputs.split_words import split_of

# (class, split) of a picture; both None where it has no class.
Label = tuple[str | None, str | None]


def pictures(tree: str, each: int = 3) -> list[str]:
    """Returns `each` files in every folder that `tree` names, apart by blanks; "." is the root."""
    return [
        f"{folder}/{number}.jpg".removeprefix("./")
        for folder in tree.split()
        for number in range(each)
    ]


def labels(tree: str, rules: InputRules | None = None) -> dict[str, Label]:
    """Returns class and split of every folder of a tree."""
    layout = find_layout(pictures(tree), rules)
    places = {folder: layout.place(f"{folder}/") for folder in tree.split() if folder != "."}
    return {folder: (place.class_name, place.split) for folder, place in places.items()}


def classes(tree: str, rules: InputRules | None = None) -> set[str | None]:
    return {name for name, _ in labels(tree, rules).values()}


def expected(splits: str, *class_names: str, held: str | None = None) -> dict[str, Label]:
    """Returns the labels of class folders below each of some folders, "FOLDER:SPLIT …"."""
    pairs = (part.split(":") for part in splits.split())
    return {
        f"{folder}/{name}".removeprefix("./"): (name, split or held)
        for folder, split in pairs
        for name in class_names
    }


# Trees of data sets as the world packs them: the folders of pictures, and what they are.
SPLIT_TREES = {
    "plain": expected("train:train test:test", "cat", "dog"),
    "capitals": expected("Training:train Testing:test", "cat", "dog"),
    "sets": expected("training_set:train test_set:test", "cats", "dogs"),
    "valid": expected("Train:train Valid:validation", "cat", "dog"),
    "cats_and_dogs_filtered": expected(
        "cats_and_dogs_filtered/train:train cats_and_dogs_filtered/validation:validation",
        "cats",
        "dogs",
    ),
    "chest_xray": expected(
        "chest_xray/train:train chest_xray/val:validation chest_xray/test:test "
        "chest_xray/chest_xray/train:train chest_xray/chest_xray/val:validation "
        "chest_xray/chest_xray/test:test",
        "NORMAL",
        "PNEUMONIA",
    ),
    "intel": expected("seg_train/seg_train:train seg_test/seg_test:test", "sea", "forest")
    | {"seg_pred/seg_pred": (None, None)},
    "imagenette": expected(
        "imagenette2/train:train imagenette2/val:validation", "n01440764", "n02102040"
    ),
    "food11": expected("training:train validation:validation evaluation:test", "Bread", "Egg"),
    "doubled, with unlabelled pictures beside": expected("train/train:train", "0", "1", "42")
    | {"test/test": (None, None)},
    "the Simpsons as a contest": expected("train/simpsons_dataset:train", "homer", "bart")
    | {"testset/testset": (None, None)},
    "the Simpsons as packed": expected(
        "simpsons_dataset: simpsons_dataset/simpsons_dataset:", "homer", "bart", "lisa"
    )
    | {"kaggle_simpson_testset/kaggle_simpson_testset": (None, None)},
    "asl": expected("asl_alphabet_train/asl_alphabet_train:train", "A", "B", "C")
    | {"asl_alphabet_test/asl_alphabet_test": (None, None)},
    "gtsrb": expected("GTSRB/Final_Training/Images:train", "00000", "00001")
    | {"GTSRB/Final_Test/Images": (None, None)},
    "gtsrb, each folder twice": expected("Train:train train:train", "0", "1", "42")
    | dict.fromkeys(("Test", "test", "Meta", "meta"), (None, None)),
    "fruits": expected("f/Training:train f/Test:test", "Apple", "Pear")
    | {"f/test-multiple_fruits": (None, None)},
    "a third folder of pictures": expected("train:train val:validation", "cat", "dog")
    | {"images": (None, None)},
    "a class that one split lacks": expected("train:train test:test", "cat", "dog")
    | {"test/fox": ("fox", "test")},
    "one class in a split": expected("train:train val:validation", "cat", "dog", "fox")
    | {"test/dog": ("dog", "test")},
    "mnist": expected(
        "trainingSet/trainingSet:train trainingSample/trainingSample:train", "0", "1", "2"
    )
    | {"testSet/testSet": (None, None)},
    "camel case": expected("TrainData:train TestData:test", "a", "b"),
    "years": expected("train2017:train val2017:validation", "a", "b"),
    "test beside the classes": {"cat": ("cat", None), "dog": ("dog", None)}
    | expected("test:test", "cat", "dog"),
    "splits in the classes": {
        f"{name}/{folder}": (name, split)
        for name in ("cat", "dog")
        for folder, split in (("train", "train"), ("Test", "test"))
    },
}


@pytest.mark.parametrize("name", SPLIT_TREES)
def test_splits_as_the_world_packs_them(name: str) -> None:
    wanted = {
        folder: (class_name, split or None)
        for folder, (class_name, split) in SPLIT_TREES[name].items()
    }
    assert labels(" ".join(wanted)) == wanted
    assert labels(" ".join(f"wrapper/in/{folder}" for folder in wanted)) == {
        f"wrapper/in/{folder}": label for folder, label in wanted.items()
    }


@pytest.mark.parametrize(
    ("tree", "names"),
    [
        ("cat dog", "cat dog"),
        ("archive/pets/cat archive/pets/dog", "cat dog"),
        ("0 1 2 10 42", "0 1 2 10 42"),
        ("train bus car", "train bus car"),
        ("control test", "control test"),
        ("beaker flask test_tube", "beaker flask test_tube"),
        ("bullet_train steam_train bus", "bullet_train steam_train bus"),
        ("cat/tom cat/felix dog/rex dog/bello", "cat dog"),
        ("cat/session1 cat/session2 dog/session1 dog/session2", "cat dog"),
        ("cat/2019-05-01 cat/2019-05-02 dog/2019-05-01 dog/2019-05-02", "cat dog"),
        ("COVID/images COVID/masks Normal/images Normal/masks", "COVID Normal"),
        ("cat cat/val dog", "cat dog"),
        ("cat/val dog", "cat dog"),
        ("with_mask without_mask", "with_mask without_mask"),
        ("train_station bus_station", "train_station bus_station"),
        ("masks hats", "masks hats"),
        ("class_1 class_2", "class_1 class_2"),
        ("party1 party2", "party1 party2"),
        ("part_1 wheel_1", "part_1 wheel_1"),
        ("a b c d e f", "a b c d e f"),
        (" ".join(map(str, range(20))), " ".join(map(str, range(20)))),
        ("color depth", "color depth"),
        ("raw cooked", "raw cooked"),
        ("left right", "left right"),
        ("train/cat train/dog", "cat dog"),
        ("test/cat test/dog", "cat dog"),
        ("cat/tom cat/felix", "tom felix"),
        ("dog cat cow more/dog more/cat more/cow", "dog cat cow"),
    ],
)
def test_class_folders(tree: str, names: str) -> None:
    found = labels(tree)
    assert {name for name, _ in found.values()} == set(names.split())
    assert {split for _, split in found.values()} == {None}


# What can be read in two ways: words of the error, and what each of its flags gives.
UNCLEAR = [
    ("fold1/cat fold1/dog fold2/cat fold2/dog", "--class_level=1 .* --class_level=2"),
    ("cat/anna cat/bob dog/anna dog/bob", "--class_level=1 .* --class_level=2"),
    ("images/cat images/dog val/cat val/dog", "--splits_from=images:train,val:validation"),
    ("train/a train/b extra/a extra/b test/a test/b", "extra:train,test:test,train:train"),
    ("images_background/a images_background/b images_evaluation/c images_evaluation/d",
     "images_evaluation/ is a split, or the classes are"),
    ("train/a train/b test/c test/d", "train/ are splits, or the classes are"),
    ("train/freight train/passenger bus car", "train/ is a split, or the classes are bus, car"),
    ("cat dog test", "the pictures under test/ have no class, or the classes are cat, dog, test"),
    ("cat dog pred/1 pred/2", "under pred/ have no class, or .*; give --exclude=/pred for the f"),
    ("in/cat in/dog in/my_test/1 in/my_test/2", "; give --exclude=/in/my_test for the first"),
    ("train/train train/test test/train test/test", "of which some look like splits"),
    ("train test", "hold pictures and no class folders"),
    ("train/train test/test", "hold pictures and no class folders"),
    ("val test cat", "hold pictures and no class folders"),
    ("val/cat val/dog test/cat test/dog", "there is no train split"),
    ("pets/train/cat pets/train/dog pets/test/cat pets/test/dog birds/train/a birds/test/a",
     "name one, as in --include=/pets"),
    ("images masks", "images, masks, which look like pictures .* --class_level=1"),
    ("in/JPEGImages in/SegmentationClass in/SegmentationObject", "what is drawn .*class_level=2"),
    ("train/images train/masks val/images val/masks", "what is drawn from them.*class_level=2"),
    ("imgs ground_truth", "what is drawn from them"),
    ("HAM10000_images_part_1 HAM10000_images_part_2", "look like parts of one set.*class_level=1"),
    ("in/images_001/images in/images_002/images", "look like parts of one set.*--class_level=2"),
    ("batch1 batch2 batch10", "look like parts of one set"),
    (" ".join(f"{number:02x}" for number in range(64)), "look like parts of one set"),
    ("cat dog venv/lib/python3.11/site-packages/matplotlib/images",
     "3 files under venv/ look like those of installed software: --exclude=venv leaves them out"),
    ("p/cat p/dog p/web/node_modules/icons p/Node_Modules/x p/env/lib/site-packages/y",
     "9 files under p/Node_Modules/, .*/site-packages/, p/web/node_modules/ .*--exclude=Node_Mod"),
    ("train/cat train/dog test/cat test/dog venv/share/icons", "under venv/ look like those of in"),
    ("cat venv", "under venv/ .* --class_level=N, 1 for the top one, if they are of the classes"),
    ("cats_train dogs_train cats_val dogs_val", "cats_train, cats_val look like one class in sev"),
    ("train/a train/b train_masks/a train_masks/b test/a test/b test_labels/a test_labels/b",
     "test_labels/, train_masks/ are called like .*--exclude=/test_labels,/train_masks, or give"),
    ("in/train/a in/train/b in/Train_Ground_Truth/a in/Train_Ground_Truth/b in/test/a in/test/b",
     "Truth/ is called like .*--exclude=/in/Train_Ground_Truth, or give --splits_from=folders"),
    ("trainA trainB testA testB", "testA, trainA look like one class in several splits"),
]  # fmt: skip


@pytest.mark.parametrize(("tree", "said"), UNCLEAR)
def test_two_readings_stop_with_both_and_the_flags(tree: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"^--input_dir=in[: ].*{said}") as caught:
        find_layout(pictures(tree), source="--input_dir=in")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tree", "rules", "wanted"),
    [
        ("cat dog test", InputRules(splits_from=NO_FOLDERS), {"cat", "dog", "test"}),
        ("cat dog test", InputRules(splits_from=FOLDERS), {"cat", "dog", None}),
        ("train test", InputRules(splits_from=NO_FOLDERS), {"train", "test"}),
        ("train/a train/b bus", InputRules(splits_from=NO_FOLDERS), {"train", "bus"}),
        ("train/a train/b bus", InputRules(splits_from=FOLDERS), {"a", "b", None}),
        ("train/a train/b train_gt/a test/a", InputRules(splits_from=FOLDERS), {"a", "b"}),
        ("train_gt/a train_gt/b test_gt/a test_gt/b", InputRules(), {"a", "b"}),
        ("x/a x/b y/a y/b", InputRules(class_level=1), {"x", "y"}),
        ("x/a x/b y/a y/b", InputRules(class_level=2), {"a", "b"}),
        ("x/y/a x/y/b z", InputRules(class_level=3), {"a", "b", None}),
        ("train/a test/b", InputRules(splits_from=FOLDERS, class_level=2), {"a", "b"}),
    ],
)
def test_flags_choose(tree: str, rules: InputRules, wanted: set[str | None]) -> None:
    assert classes(tree, rules) == wanted


def test_what_is_called_like_software_may_be_a_class_all_the_same() -> None:
    for tree, level in (("cat venv", 1), ("train/cat train/venv test/cat test/venv", 2)):
        rules = InputRules(class_level=level)
        assert classes(tree, rules) == {"cat", "venv"}
        assert any(
            "installed software" in note for note in find_layout(pictures(tree), rules).notes
        )
    assert not find_layout(pictures("cat environment"), InputRules(class_level=1)).notes[1:]


def test_a_class_of_thumbnails_is_said() -> None:
    for tree, is_said in (
        ("cat Thumbs", True),
        ("thumbs previews", False),
        ("cat thumb_war", False),
    ):
        notes = find_layout(pictures(tree)).notes
        assert any("small forms of other pictures" in note for note in notes) == is_said


CHARACTERS = sorted(f"{ord(character):02x}" for character in string.digits + string.ascii_letters)


@pytest.mark.parametrize("codes", [CHARACTERS, CHARACTERS[10:], CHARACTERS[10:36], CHARACTERS[:20]])
def test_letters_and_digits_by_their_codes_are_classes(codes: list[str]) -> None:
    # NIST SD19: by_class/4a/hsf_0, by_class/4a/train_4a.
    inner = [f"by_class/{code}/{part}" for code in codes for part in ("hsf_0", f"train_{code}")]
    assert classes(" ".join(inner)) == set(codes)
    assert classes(" ".join(code.upper() for code in codes)) == {code.upper() for code in codes}


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("last", [16, 48, 127, 255])
def test_parts_that_are_counted_in_hexadecimal_are_no_classes(first: int, last: int) -> None:
    parts = [f"{number:02x}" for number in range(first, last + 1)]
    with pytest.raises(UsageError, match="look like parts of one set"):
        find_layout(pictures(" ".join(parts), each=1))


def test_masks_may_be_classes_all_the_same() -> None:
    assert classes("images masks", InputRules(class_level=1)) == {"images", "masks"}


@pytest.mark.parametrize(
    ("tree", "is_said"),
    [
        ("Canis/lupus Canis/latrans Felis/catus Felis/silvestris", True),
        ("Canis/lupus Canis/latrans Felis/catus", True),
        ("Canis/lupus Felis/catus", False),  # Either way the same pictures are together.
        ("train/animal/cat train/animal/dog train/car/bus test/animal/cat test/car/bus", True),
        ("train/animal/cat train/car/bus test/animal/cat test/car/bus", False),
        ("train/a/left train/a/right train/b/left test/a/left test/b/right", False),
        ("Canis Canis/lupus Canis/latrans Felis/catus", False),
    ],
)
def test_classes_without_pictures_of_their_own_are_said(tree: str, is_said: bool) -> None:
    notes = find_layout(pictures(tree)).notes
    assert any("hold no pictures but" in note for note in notes) == is_said


def test_a_class_with_the_name_of_a_split_is_said() -> None:
    said = "train/ has the name of a split, and is read as a class"
    assert said in find_layout(pictures("train bus car")).notes
    rules = InputRules(splits_from=NO_FOLDERS)
    assert said not in find_layout(pictures("train bus car"), rules).notes


def test_a_table_of_folders_says_which_split_is_which() -> None:
    tree = "in/fold1/cat in/fold1/dog in/fold2/cat in/fold2/dog in/loose"
    for names in ({"fold1": "train", "in/fold2/": "test"}, {"/in/fold1": "train", "fold2": "test"}):
        assert labels(tree, InputRules(split_folders=names)) == {
            **expected("in/fold1:train in/fold2:test", "cat", "dog"),
            "in/loose": (None, None),
        }
    with pytest.raises(UsageError, match="fold2/ holds class folders too"):
        labels(tree, InputRules(split_folders={"fold1": "train"}))
    with pytest.raises(UsageError, match="names the folder 'fold3', but the folders are fold1/"):
        labels(tree, InputRules(split_folders={"fold3": "train"}))


@pytest.mark.parametrize(
    ("tree", "rules", "text"),
    [
        ("x/a y/b", InputRules(class_level=2, split_folders={"z": "test"}), "z:….*below x/, y/"),
        ("x/a y/b", InputRules(class_level=2, splits_from=FOLDERS), "=folders, but.*below x/, y/"),
        ("a b", InputRules(class_level=1, split_folders={"a": "test"}), "a:….*below no folder"),
        ("a b", InputRules(class_level=1, splits_from=FOLDERS), "=folders, but.*below no folder"),
    ],
)
def test_splits_that_are_told_and_not_there_stop_a_level(
    tree: str, rules: InputRules, text: str
) -> None:
    with pytest.raises(UsageError, match=text):
        find_layout(pictures(tree), rules)


def test_levels_take_splits_from_the_folders_above() -> None:
    rules = InputRules(class_level=2)
    assert labels("train/cat test/dog", rules) == {
        "train/cat": ("cat", "train"),
        "test/dog": ("dog", "test"),
    }
    assert set(labels("train/cat bus/dog", rules).values()) == {("cat", None), ("dog", None)}
    with pytest.raises(UsageError, match="--class_level=3, but no file lies in 3 folders"):
        labels("a b/c", InputRules(class_level=3))


@pytest.mark.parametrize(
    ("tree", "note"),
    [
        ("train/a train/b testset",
         "train/ is a split; 2 classes; 3 files under testset/ have no class and are left for"),
        ("Train/a Train/b Val/a Val/b", "Train/ (train), Val/ (validation) are splits; 2 classes"),
        ("x/y/a x/y/b", "the data are in x/y/"),
        ("pets/cat pets/dog fish/eel fish/cod", "hold no pictures but 4 folders: give"),
        ("cat/s1 cat/s2 dog/s1 dog/s2", "s1/, s2/ lie in several classes and are read as parts"),
        ("cat cat/val dog", "cat/val/ is read as a part of class cat"),
        ("a b c d/a d/b d/c", "d/ holds the same folders as lie beside it, and is read like them"),
        ("a b c test/a test/b test/c", "and is read as test"),
    ],
)  # fmt: skip
def test_what_was_understood_is_said(tree: str, note: str) -> None:
    assert any(note in line for line in find_layout(pictures(tree)).notes)


def test_a_plain_tree_is_no_news() -> None:
    assert find_layout(pictures("cat dog bird")) == FolderLayout()


def test_loose_pictures_make_no_class_of_a_wrapper() -> None:
    names = [*pictures("in/cat in/dog"), "cover.jpg", "in/cover.jpg"]
    layout = find_layout(names)
    assert (layout.wrapper, dict(layout.roots)) == ("in/", {"in/": None})
    assert layout.place("in/").class_name is None
    assert [layout.key_of(name) for name in names[-2:]] == ["../cover.jpg", "cover.jpg"]


@pytest.mark.parametrize("tree", ["cat", "cat cat/kittens", "in/cat", "cat cat/a"])
def test_one_class_is_left_to_be_told(tree: str) -> None:
    assert find_layout(pictures(tree)) == FolderLayout()


# Properties.

NAMES = st.text(string.ascii_lowercase, min_size=3, max_size=8).filter(
    lambda name: split_of(name) is None and name not in ("pred", "unlab")
)


@st.composite
def split_trees(draw: st.DrawFn) -> tuple[list[str], list[str], list[str]]:
    """Returns the folders of splits, the classes and, below one another, all folders."""
    class_names = draw(st.lists(NAMES, min_size=2, max_size=5, unique=True))
    splits = draw(st.permutations(["train", "validation", "test"]))[: draw(st.integers(2, 3))]
    assume("train" in splits)
    return splits, class_names, [f"{split}/{name}" for split in splits for name in class_names]


@given(split_trees(), st.lists(NAMES, max_size=3))
def test_a_wrapper_changes_no_class_and_no_key(
    tree: tuple[list[str], list[str], list[str]], wrappers: list[str]
) -> None:
    _, _, folders = tree
    path = "".join(f"{name}/" for name in wrappers)
    plain, wrapped = (
        find_layout(pictures(" ".join(f"{above}{folder}" for folder in folders)))
        for above in ("", path)
    )
    for folder in folders:
        assert wrapped.place(f"{path}{folder}/") == plain.place(f"{folder}/")
        assert wrapped.key_of(f"{path}{folder}/0.jpg") == f"{folder}/0.jpg"


@given(split_trees(), st.data())
def test_capitals_of_split_words_change_nothing(
    tree: tuple[list[str], list[str], list[str]], data: st.DataObject
) -> None:
    splits, class_names, folders = tree
    spelled = {
        split: "".join(
            data.draw(st.sampled_from([letter.lower(), letter.upper()])) for letter in split
        )
        for split in splits
    }
    found = labels(" ".join(f"{spelled[split]}/{name}" for split in splits for name in class_names))
    assert found == {
        f"{spelled[split]}/{name}": (name, split) for split in splits for name in class_names
    }
    assert set(found.values()) == set(labels(" ".join(folders)).values())


PARTS = st.sampled_from(
    ["train", "Test", "val", "cat", "dog", "images", "testset", "s1", "s2", "a b", "é", "e\u0301"]
)
PATHS = st.lists(PARTS, min_size=0, max_size=4).map(lambda parts: "/".join([*parts, "0.jpg"]))


@given(st.lists(PATHS, min_size=1, max_size=30), st.sampled_from([None, 1, 2]))
def test_every_file_has_one_place_and_no_class_is_a_split_word_unasked(
    names: list[str], level: int | None
) -> None:
    try:
        layout = find_layout(names, InputRules(class_level=level))
    except UsageError as error:
        assert "--" in str(error)
        return
    keys = {layout.key_of(name) for name in names}
    assert len(keys) == len(set(names))
    for name in names:
        folder = name.rpartition("/")[0]
        place = layout.place(f"{folder}/" if folder else "")
        assert place.class_name is None or place.class_name in name.split("/")[:-1]
        assert place.split in (None, "train", "validation", "test")
        assert not (place.unlabelled and place.class_name)
    if level is None and len(used := used_classes(layout, names)) > 2:
        # Two folders with names of different splits are never two classes among others.
        assert len({split_of(name) for name in used} - {None}) < 2


def used_classes(layout: FolderLayout, names: Iterable[str]) -> set[str]:
    folders = {name.rpartition("/")[0] for name in names}
    found = (layout.place(f"{folder}/" if folder else "").class_name for folder in folders)
    return {name for name in found if name is not None}

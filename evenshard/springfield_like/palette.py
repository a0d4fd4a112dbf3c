"""The colours of the town, by name."""

from __future__ import annotations

from evenshard.springfield_like.canvas import Colour

PALETTE: dict[str, Colour] = {
    "apricot": (247, 190, 140),
    "black": (44, 40, 48),
    "blue": (58, 108, 190),
    "brick": (172, 70, 54),
    "bronze": (176, 112, 68),
    "brown": (112, 70, 44),
    "chestnut": (140, 72, 40),
    "cocoa": (122, 78, 56),
    "cream": (246, 232, 198),
    "fawn": (222, 164, 116),
    "ginger": (222, 108, 40),
    "gold": (240, 196, 70),
    "green": (72, 148, 84),
    "grey": (150, 152, 160),
    "jade": (122, 186, 160),
    "lemon": (250, 226, 110),
    "lilac": (178, 150, 210),
    "lime": (166, 204, 74),
    "mint": (176, 222, 190),
    "navy": (44, 58, 104),
    "olive": (128, 128, 66),
    "orange": (240, 140, 50),
    "petrol": (30, 110, 122),
    "pink": (240, 150, 176),
    "plum": (116, 62, 116),
    "porcelain": (252, 222, 200),
    "red": (206, 56, 56),
    "rose": (236, 176, 160),
    "sand": (216, 196, 150),
    "silver": (206, 208, 216),
    "sky": (140, 196, 232),
    "slate": (92, 104, 124),
    "straw": (236, 206, 128),
    "teal": (60, 160, 156),
    "umber": (88, 56, 44),
    "white": (250, 248, 244),
}

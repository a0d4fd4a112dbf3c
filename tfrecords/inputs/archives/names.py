"""The encoding of the names in an archive: what it says, what it is told, or a guess."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

UTF8 = "utf-8"

# What systems of the world write into zips without saying so: of Windows in East Asia and in
# Russia, then of DOS and Windows in the West.
_CODECS = (
    "cp932", "gbk", "big5", "cp949", "cp866", "cp1251", "koi8_r", "cp437", "cp850", "cp852",
    "cp1252", "cp1250",
)  # fmt: skip

# Lead bytes of the characters that are common, in each East Asian codec: level 1 of its standard.
_COMMON_LEADS = {
    "cp932": range(0x88, 0x99),
    "gbk": range(0xB0, 0xD8),
    "big5": range(0xA4, 0xC7),
    "cp949": range(0xB0, 0xC9),
}

# Readings whose scores differ by less are told apart by a person.
_CLEAR = 0.1

_MOST_NAMES = 2_000

# Characters beyond ASCII of a text that is not short.
_LONG = 8


@dataclass(frozen=True, slots=True)
class NameCodec:
    """How the names of an archive that do not say to be UTF-8 are decoded.

    Attributes:
      name: of the codec; bytes that it cannot decode are kept as they are.
      is_guess: whether it was chosen from the names.
      is_mixed: whether names that are UTF-8 are taken as that all the same.
      others: codecs that are as likely; the names are then left undecoded.
    """

    name: str = UTF8
    is_guess: bool = False
    is_mixed: bool = False
    others: tuple[str, ...] = ()

    def decode(self, name: bytes) -> str:
        """Returns a name; a byte that is none of the codec's is a lone surrogate."""
        if self.is_mixed and _is_utf8(name):
            return name.decode()
        return name.decode(UTF8 if self.others else self.name, "surrogateescape")


UTF8_NAMES = NameCodec()


def find_codec(names: Iterable[bytes], given: str = "") -> NameCodec:
    """Returns how to decode the names of an archive that do not say to be UTF-8.

    Args:
      names: of the members.
      given: codec that a person chose, or "".
    """
    if given:
        return NameCodec(codecs.lookup(given).name)
    parts = (part for name in names if not name.isascii() for part in name.split(b"/"))
    odd = list(dict.fromkeys(part for part in parts if not part.isascii()))
    broken = [name for name in odd if not _is_utf8(name)]
    if not broken:
        return UTF8_NAMES
    # Few names of other encodings look like UTF-8: where half of them do, they are.
    is_mixed = 2 * len(broken) <= len(odd)
    found = _readings((broken if is_mixed else odd)[:_MOST_NAMES])
    if not found:
        return UTF8_NAMES
    (score, codec, text), *rest = found
    rivals = [other for near, other, read in rest if score - near < _CLEAR and read != text]
    if rivals:
        return NameCodec(codec, is_guess=True, others=(codec, *rivals[:2]))
    return NameCodec(codec, is_guess=True, is_mixed=is_mixed)


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def _readings(names: Sequence[bytes]) -> list[tuple[float, str, str]]:
    """Returns (score, codec, text) of each codec that can decode all names, the best first."""
    found = []
    for codec in _CODECS:
        try:
            text = "\n".join(name.decode(codec) for name in names)
        except UnicodeDecodeError:
            continue
        found.append((_plausibility(text, codec), codec, text))
    return sorted(found, key=lambda reading: -reading[0])


def _plausibility(text: str, codec: str) -> float:
    """Returns the mean plausibility of the characters beyond ASCII, up to 1."""
    scores = [
        _plausible(text[i - 1] if i else "\n", char, text[i + 1 : i + 2], codec)
        for i, char in enumerate(text)
        if not char.isascii()
    ]
    score = sum(scores) / len(scores) if scores else 0.0
    # Common Han and Hangul share their bytes. Han take more of them, so that a text which is all
    # Hangul is no Chinese one, unless it is short.
    return (
        score + 2 * _CLEAR if codec == "cp949" and len(scores) >= _LONG and score > 0.85 else score
    )


def _plausible(before: str, char: str, after: str, codec: str) -> float:
    code = ord(char)
    if 0x3041 <= code <= 0x30FF:  # Hiragana and katakana.
        return 1.0
    if 0x4E00 <= code <= 0x9FFF or 0xAC00 <= code <= 0xD7A3:  # Han and Hangul.
        leads = _COMMON_LEADS.get(codec, range(0))
        common = char.encode(codec)[0] in leads and char.encode(codec)[-1] >= 0x40
        if codec in ("gbk", "cp949"):  # Their extensions share the lead bytes of level 1.
            common = common and char.encode(codec)[1] >= 0xA1
        return 0.9 if common else 0.3
    if not char.isalpha() or 0xFF66 <= code <= 0xFF9F:  # Symbols; katakana of half width.
        return 0.0
    # A capital after a small letter, as in "pRIVET", is the mark of a wrong code page.
    odd_case = (before.islower() and char.isupper()) or (char.islower() and after.isupper())
    beside_latin = _is_latin(before) or _is_latin(after)
    if 0x0400 <= code <= 0x04FF:
        return 0.2 if odd_case or beside_latin else 0.9
    if code < 0x0250:
        return 0.2 if odd_case else 0.8 if beside_latin else 0.4
    return 0.3


def _is_latin(char: str) -> bool:
    return char.isascii() and char.isalpha()

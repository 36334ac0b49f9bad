"""The text of a PDF that Chromium printed."""

import re
import unicodedata
import zlib


def text(pdf: bytes) -> str:
    """Return all text in the order of drawing, without spaces.

    Chromium draws glyphs by their number in a font; the font's table `ToUnicode` has the letters.
    """
    streams = _streams(pdf)
    font = rb"(\d+) 0 obj\n<</Type /Font\n/Subtype /Type0\n.*?/ToUnicode (\d+) 0 R"
    tables = dict(re.findall(font, pdf, re.DOTALL))
    fonts = {
        name: _letters(streams[int(tables[number])])
        for name, number in re.findall(rb"/(F\d+) (\d+) 0 R", pdf)
        if number in tables
    }
    drawn = []
    for stream in streams.values():
        letters: dict[int, str] = {}
        for name, glyphs in re.findall(rb"/(F\d+) \S+ Tf|<([0-9A-F]+)> Tj", stream):
            letters = fonts[name] if name else letters
            numbers = (int(glyphs[at : at + 4], 16) for at in range(0, len(glyphs), 4))
            drawn += [letters.get(number, "") for number in numbers]
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", "".join(drawn)))


def pages(pdf: bytes) -> int:
    """Return the number of pages."""
    return len(re.findall(rb"/Type /Page\b", pdf))


def _streams(pdf: bytes) -> dict[int, bytes]:
    """Return each compressed stream by its object's number."""
    streams = {}
    for match in re.finditer(rb"(\d+) 0 obj\n|>>\s*stream\r?\n", pdf):
        if match[1]:
            number = int(match[1])
        else:
            try:
                streams[number] = zlib.decompressobj().decompress(pdf[match.end() :])
            except zlib.error:  # a picture
                continue
    return streams


def _letters(table: bytes) -> dict[int, str]:
    """Return the letter of each glyph from a `ToUnicode` table."""
    letters = {}
    for kind, body in re.findall(rb"beginbf(char|range)\n(.*?)endbf", table, re.DOTALL):
        for line in body.decode().splitlines():
            first, *rest = re.findall(r"<([0-9A-F]+)>", line)
            last, to = rest if kind == b"range" else (first, rest[0])
            start = int(first, 16)
            for glyph in range(start, int(last, 16) + 1):
                letter = bytes.fromhex(to).decode("utf-16-be")
                letters[glyph] = letter[:-1] + chr(ord(letter[-1]) + glyph - start)
    return letters

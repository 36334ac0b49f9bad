"""Whether the record files hold what the index says, and nothing else.

A checksum proves that a record was not damaged, not that it is the one that was converted.
"""

from collections.abc import Iterator
from pathlib import Path

from fcn.conversion.content import describe
from fcn.labels.rules import Rows, Severity
from fcn.records import tfrecord
from fcn.records.example import Example
from fcn.records.index import CONVERT_AGAIN, INDEX, IndexRow
from fcn.records.record import DecodedSample

INDEX_MISMATCH, UNINDEXED_RECORD = "index_mismatch", "unindexed_record"
INTEGRITY_RULES: dict[str, Severity] = {INDEX_MISMATCH: "error", UNINDEXED_RECORD: "error"}


def index_mismatch(
    example: Example, decoded: DecodedSample, row: IndexRow, classes: int
) -> Iterator[tuple[int, str]]:
    """A record's id, size, hashes and pixel counts are those of its row."""
    content = describe(example, decoded.label, classes)
    different = [name for name, value in content.items() if getattr(row, name) != value]
    if different:
        yield 0, f"the record's {', '.join(different)} differ from {INDEX}; {CONVERT_AGAIN}"


def unindexed_record(folder: Path, rows: Rows) -> Iterator[tuple[str, str]]:
    """Every byte of every record file belongs to a row: yield the split and the message."""
    by_file: dict[str, list[IndexRow]] = {path.name: [] for path in folder.glob("*.tfrecord")}
    for row in rows:
        by_file.setdefault(row.shard, []).append(row)
    for name, members in sorted(by_file.items()):
        split = members[0].split if members else ""
        position = 0
        ends = [(row.offset, row.offset + tfrecord.size(row.length)) for row in members]
        for start, end in [*sorted(ends), ((folder / name).stat().st_size,) * 2]:
            if start > position:
                yield (
                    split,
                    f"{name}: {start - position} bytes from byte {position} on have no row in "
                    f"{INDEX}; {CONVERT_AGAIN}",
                )
            position = max(position, end)

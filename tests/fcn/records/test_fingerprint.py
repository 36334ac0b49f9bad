import json
from pathlib import Path

from fcn.records.fingerprint import fingerprint
from fcn.records.labels import LABELS


def test_the_fingerprint_sees_every_change(own_records: Path) -> None:
    seen = {fingerprint(own_records)}
    labels = own_records / LABELS
    labels.write_text(json.dumps(json.loads(labels.read_text())))
    seen.add(fingerprint(own_records))
    labels.rename(own_records / "labels2.json")
    seen.add(fingerprint(own_records))
    (own_records / "more").touch()
    seen.add(fingerprint(own_records))
    (own_records / "more").unlink()
    (own_records / "labels2.json").unlink()
    seen.add(fingerprint(own_records))
    assert len(seen) == 5

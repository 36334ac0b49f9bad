from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.samples import shipped, update
from fcn.settings import reader
from tests.shipped import SHIPPED


def test_the_sample_pictures_come_from_the_data_sets_generator(
    raw: Path, loaded: reader.Loaded
) -> None:
    made = update.pictures(raw, loaded)
    assert {*made} == {path.name for path in shipped.PICTURES}
    for path in shipped.PICTURES:
        np.testing.assert_array_equal(np.asarray(Image.open(path)), made[path.name])


def test_an_update_writes_a_model_whose_card_names_it(
    raw: Path, small_records: Path, tmp_path: Path
) -> None:
    for name in ("params.yaml", "tables"):
        (tmp_path / name).symlink_to(SHIPPED / name)
    for name, source in {"raw": raw, "records": small_records}.items():
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "digits").symlink_to(source)
    (tmp_path / "data/models").mkdir()
    with pytest.raises(ValueError, match=r"digits-fcn8s\.keras is missing; `dvc repro` makes it"):
        update.update(tmp_path, tmp_path)
    (tmp_path / "data/models/digits-fcn8s.keras").write_bytes(b"newly trained")
    out = tmp_path / "out"
    out.mkdir()
    update.update(tmp_path, out)
    assert shipped.model(out).read_bytes() == b"newly trained"
    assert {path.name for path in shipped.PICTURES} < {path.name for path in out.iterdir()}


def test_the_card_describes_the_model_in_the_words_of_an_exports_card() -> None:
    text = shipped.CARD.read_text("utf-8")
    for heading in ("Classes", "Scores", "Data", "Limits", "Provenance"):
        assert f"\n## {heading}\n" in text
    assert "| 10 | 9 |" in text
    assert "Licence: CC BY 4.0" in text

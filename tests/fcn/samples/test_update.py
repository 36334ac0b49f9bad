from pathlib import Path

import numpy as np
from PIL import Image

from fcn.samples import shipped, update
from fcn.settings import reader


def test_the_sample_pictures_come_from_the_data_sets_generator(
    raw: Path, loaded: reader.Loaded
) -> None:
    made = update.pictures(raw, loaded)
    assert {*made} == {path.name for path in shipped.PICTURES}
    for path in shipped.PICTURES:
        np.testing.assert_array_equal(np.asarray(Image.open(path)), made[path.name])


def test_the_card_describes_the_model_in_the_words_of_an_exports_card() -> None:
    text = shipped.CARD.read_text("utf-8")
    for heading in ("Classes", "Scores", "Data", "Limits", "Provenance"):
        assert f"\n## {heading}\n" in text
    assert "| 10 | 9 |" in text
    assert "Licence: CC BY 4.0" in text

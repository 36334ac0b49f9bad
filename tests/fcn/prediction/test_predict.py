import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.cli import predict as command
from fcn.common import files
from fcn.prediction.options import PredictorOptions
from fcn.prediction.predict import Results, predict
from fcn.prediction.sticker import stickers
from fcn.records.labels import Labels
from tests.fcn.pictures.test_photos import encoded, png_of_size

pytestmark = pytest.mark.usefixtures("seeded")
LABELS = Labels("toy", ("dark", "bright", "never"), ((9, 9, 9), (200, 0, 0), (0, 0, 9)), 1)


@pytest.fixture(scope="session")
def model(bright_model: Callable[[Labels], Path]) -> Path:
    """A network that sees class 1 where there is something, and class 0 elsewhere."""
    return bright_model(LABELS)


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    Image.new("L", (40, 30), 255).save(folder / "bright.png")
    Image.new("RGB", (40, 30)).save(folder / "dark.jpg")
    return folder


def options(model: Path) -> PredictorOptions:
    return PredictorOptions(str(model), no_tracking=True)


def test_each_picture_gets_mask_overlay_shares_and_their_provenance(
    model: Path, inbox: Path, tmp_path: Path
) -> None:
    out = tmp_path / "deep" / "out"
    results = Results(out, probabilities=True, sticker="bright")
    assert predict([str(inbox)], options(model), results) == 0
    ends = ["-mask.png", "-overlay.png", "-probabilities.npz", ".json"]
    stickers = ["bright-bright.png", "bright-bright.webp"]
    assert {path.name for path in out.iterdir()} == {
        *(name + end for name in ("bright", "dark") for end in ends),
        *stickers,
    }
    with Image.open(out / "bright-mask.png") as mask:
        assert (mask.mode, mask.size) == ("P", (40, 30))
        assert np.unique(np.asarray(mask)) == 1
        assert mask.convert("RGB").getpixel((0, 0)) == LABELS.colours[1]
        assert mask.text["Model"] == str(model)
        facts = mask.text
    with Image.open(out / "bright-overlay.png") as overlay:
        assert overlay.text == facts
    with Image.open(out / "dark-mask.png") as mask:
        assert not np.asarray(mask).any()
    content = json.loads((out / "bright.json").read_text())
    assert content["shares"] == {"dark": 0, "bright": 1, "never": 0}
    assert (content["height"], content["width"], content["origin"]) == (30, 40, facts)
    with np.load(out / "dark-probabilities.npz") as kept:
        assert kept["probabilities"].shape == (30, 40, 3)
        assert kept["classes"].tolist() == list(LABELS.classes)


def test_unreadable_pictures_are_named_and_the_others_are_done(
    model: Path, inbox: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (inbox / "a-text.png").write_text("no picture")
    (inbox / "b-empty.png").touch()
    (inbox / "c-huge.png").write_bytes(png_of_size(30_000, 30_000))
    frames = [Image.new("L", (4, 4), shade) for shade in (0, 255)]
    moving = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    (inbox / "d-moving.gif").write_bytes(moving)
    report = tmp_path / "report.json"
    names = [str(tmp_path / "nowhere.png"), str(inbox)]
    assert predict(names, options(model), Results(tmp_path / "out", report=report)) == 3
    assert {path.name for path in (tmp_path / "out").glob("*.json")} == {"bright.json", "dark.json"}
    content = json.loads(report.read_text())
    assert content["model"] == f"{model}, SHA-256 {files.sha256(model)[:12]}"
    ends = ("-mask.png", "-overlay.png", ".json")
    assert content["done"] == {
        str(inbox / name): [str(tmp_path / "out" / f"{Path(name).stem}{end}") for end in ends]
        for name in ("bright.png", "dark.jpg")
    }
    reasons = [content["skipped"][name] for name in sorted(content["skipped"])]
    expected = ("not a picture", "0 bytes", "the limit is", "GIF of 2", "no such file")
    assert all(part in why for part, why in zip(expected, reasons, strict=True))
    shown = capsys.readouterr().err
    assert shown.count("skipped ") == 5
    assert "2 picture(s) done" in shown
    assert shown.count(f"model {content['model']}\n") == 1
    assert "Traceback" not in shown


def test_the_report_holds_every_file_that_was_written(
    model: Path, inbox: Path, tmp_path: Path
) -> None:
    out, report = tmp_path / "out", tmp_path / "report.json"
    results = Results(out, probabilities=True, sticker="bright", report=report)
    assert predict([str(inbox)], options(model), results) == 0
    done = json.loads(report.read_text())["done"]
    listed = [path for paths in done.values() for path in paths]
    assert sorted(listed) == sorted(str(path) for path in out.iterdir())


def test_without_a_readable_picture_the_exit_code_is_1(
    model: Path, inbox: Path, tmp_path: Path
) -> None:
    (inbox / "bright.png").write_bytes(b"")
    name = str(inbox / "bright.png")
    assert predict([name], options(model), Results(tmp_path / "out")) == 1


def test_without_a_folder_results_are_written_beside_the_pictures(
    model: Path, inbox: Path, tmp_path: Path
) -> None:
    shutil.copytree(inbox, tmp_path / "in2")
    names = [str(inbox / "dark.jpg"), str(tmp_path / "in2" / "dark.jpg")]
    assert predict(names, options(model), Results(None)) == 0
    for folder in (inbox, tmp_path / "in2"):
        assert (folder / "dark-mask.png").is_file()


def test_predicting_a_folder_again_beside_its_pictures_leaves_out_the_results(
    model: Path, inbox: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = Results(None, sticker="bright")
    for _ in range(2):
        assert predict([str(inbox)], options(model), results) == 0
    ends = ("-mask.png", "-overlay.png", ".json")
    assert sorted(path.name for path in inbox.iterdir()) == sorted(
        [f"{name}{end}" for name in ("bright", "dark") for end in ends]
        + ["bright.png", "dark.jpg", "bright-bright.png", "bright-bright.webp"]
    )
    shown = capsys.readouterr().err
    assert shown.count("2 picture(s) done") == 2
    assert f"{inbox}: 6 picture(s) that this program wrote are left out\n" in shown


def test_results_mirror_the_folders_of_a_pattern_and_keep_unicode(
    model: Path, inbox: Path, tmp_path: Path
) -> None:
    for name in ("été/plage à midi.png", "été/日本/一.png"):
        (inbox / name).parent.mkdir(exist_ok=True)
        shutil.copy(inbox / "bright.png", inbox / name)
    out = tmp_path / "out"
    names = [f"{inbox}/**/*.png"]
    assert predict(names, options(model), Results(out, sticker="bright")) == 0
    masks = [path.relative_to(out).as_posix() for path in out.rglob("*-mask.png")]
    stems = ["bright", "été/plage à midi", "été/日本/一"]
    assert sorted(masks) == [f"{stem}-mask.png" for stem in stems]
    assert all((out / f"{stem}-bright.webp").is_file() for stem in stems)


def test_a_picture_may_come_from_standard_input(
    model: Path, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (inbox / "bright.png").open() as picture:
        monkeypatch.setattr(sys, "stdin", picture)
        assert predict(["-"], options(model), Results(tmp_path / "out")) == 0
    assert json.loads((tmp_path / "out" / "stdin.json").read_text())["shares"]["bright"] == 1


def test_an_output_that_cannot_be_written_is_refused_before_the_model_is_opened(
    inbox: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    for out, why in ((tmp_path / "file", "it is a file"), (Path("/proc/here"), "No such file")):
        with pytest.raises(ValueError, match=rf"nothing can be written to .*{why}"):
            predict([str(inbox)], options(Path("nowhere.keras")), Results(out))


def test_a_class_that_the_model_does_not_have_is_refused(
    model: Path, inbox: Path, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"no class 'brigt'; did you mean 'bright'"):
        predict([str(inbox)], options(model), Results(tmp_path / "out", sticker="brigt"))


def test_the_sticker_command_writes_stickers_only(
    model: Path, inbox: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert stickers("bright", [str(inbox)], options(model), tmp_path / "out") == 3
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        *("bright-bright.png", "bright-bright.webp"),
    }
    shown = capsys.readouterr().err
    assert "dark.jpg: no bright in it" in shown
    assert shown.startswith(f"model {model}, SHA-256 {files.sha256(model)[:12]}\n")


@pytest.mark.parametrize("batch", [0, -1])
def test_an_empty_batch_is_refused(batch: int) -> None:
    with pytest.raises(ValueError, match=f"batch: got {batch}, allowed: 1 or more"):
        PredictorOptions(batch=batch)


def test_the_help_lists_the_files_that_are_written() -> None:
    for end in ("-mask.png", "-overlay.png", ".json", "-probabilities.npz"):
        assert f"photo{end}" in (command.__doc__ or "")

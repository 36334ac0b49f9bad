"""What a run shows in Prefect's pages."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from PIL import Image
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter

from flows import reproduce, show

REPORT = {
    "dataset": "digits",
    "verdict": "valid with warnings",
    "splits": {"train": {"examples": 24, "groups": 9, "ignored_share": 0.125}},
    "findings": [{"rule": "empty", "split": "train", "id": "train-00003"}],
}
LOOK = """
import json
from pathlib import Path
from PIL import Image
for step in (5, 10):
    print(f"digits  epoch 1/1  step {step}/10  loss 0.5")
Path("labels.json").write_text(Path("report").read_text())
Path("pictures").mkdir()
Image.new("RGB", (2, 2)).save("pictures/a.png")
"""


@pytest.mark.usefixtures("prefect_server")
def test_a_training_has_a_bar_a_report_its_page_and_pictures_their_gallery(
    pipeline: Callable[..., None],
) -> None:
    pipeline("  look: {cmd: python look.py, deps: [report], outs: [labels.json, pictures]}\n")
    Path("look.py").write_text(LOOK)
    Path("report").write_text(json.dumps(REPORT))
    state = reproduce.reproduce(return_state=True)
    assert state.is_completed(), state.message
    run = {"flow_run_id": {"any_": [str(state.state_details.flow_run_id)]}}
    with get_client(sync_client=True) as client:
        found = client.read_artifacts(artifact_filter=ArtifactFilter.model_validate(run))
    shown = {artifact.key: artifact for artifact in found}
    assert sorted(shown) == ["gallery-look", "look", "progress-look"]
    assert shown["progress-look"].data == 100
    assert "| train | 24 | 9 | 12.50% |" in shown["look"].data
    picture = base64.b64encode(Path("pictures/a.png").read_bytes()).decode()
    assert shown["gallery-look"].data == f"**a**\n\n![a](data:image/png;base64,{picture})"


def test_a_report_says_what_was_found() -> None:
    text = show.labels(REPORT)
    assert text.startswith("# digits: labels valid with warnings\n")
    assert text.endswith("\n1 finding\n- rule: empty, split: train, id: train-00003")
    assert show.labels(REPORT | {"findings": []}).endswith("\nNo findings")


def test_a_gallery_is_a_few_small_pictures(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(show.PICTURES + 2)]
    for path in paths:
        Image.new("RGB", (2, 2)).save(path)
    paths[0].write_bytes(bytes(show.PICTURE_BYTES + 1))
    text = show.gallery(paths)
    assert text.count("](data:image/png;base64,") == show.PICTURES
    assert "**0**" not in text


def test_a_server_that_is_away_costs_the_bar_not_the_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def away(*_: object, **__: object) -> None:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(show, "create_progress_artifact", away)
    heard: list[str] = []
    bar = show.Bar("train", heard.append)
    for step in (1, 2):
        bar(f"step {step}/2")
    assert heard[0] == "step 1/2"
    assert heard[1].startswith("Prefect could not be told (refused)")
    assert heard[2:] == ["step 2/2"]

"""A progress bar without its server."""

import httpx
import pytest

from flows.pipeline import progress_bar


def test_a_stage_continues_without_a_bar_when_the_server_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(progress_bar, "create_progress_artifact", refuse)
    lines: list[str] = []
    bar = progress_bar.ProgressBar("train", lines.append)
    for step in (1, 2):
        bar(f"step {step}/2")
    assert lines[0] == "step 1/2"
    assert lines[1].startswith("Prefect's server failed (refused)")
    assert lines[2:] == ["step 2/2"]

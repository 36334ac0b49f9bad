"""The model in use over a folder of pictures. Stands here until the real one is merged."""

from prefect import flow


@flow(name="predict")
def predict(inbox: str, outbox: str, model: str | None = None) -> None:
    """Write a mask for each new picture in `inbox` to `outbox`."""
    raise NotImplementedError

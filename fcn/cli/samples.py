"""Print the paths of the sample pictures.

    fcn samples                   # one path per line
    fcn predict $(fcn samples)    # masks and overlays of them, in predictions/

The pictures are handwritten digits: a test image of the default table, and ten digits in a row.
Their paths are printed to stdout; those of the model and of its card to stderr.
"""

import typer

from fcn.common import messages
from fcn.samples import shipped


def samples() -> None:
    """Print one path per line, after checking the model's bytes."""
    messages.say(f"model {shipped.model()}, described in {shipped.CARD.name} beside it")
    typer.echo("\n".join(map(str, shipped.PICTURES)))

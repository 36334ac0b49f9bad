"""Our training step: the FCN-8s that the stages train, compiled as they compile it."""

from bench.alternate import Work
from bench.train_step import peak, random_batch
from fcn.network.backend import use
from fcn.settings import reader
from fcn.settings.network import Network

VGG = Network(width=1.0, fc6_kernel=7, dropout=0.5, mean=114.0, std=1.0)


def work(
    backend: str, device: str, precision: str, shape: list[int], classes: int, fc: int, steps: int
) -> Work:
    """Return `steps` training steps on images B H W 3 of `shape`, warmed up."""
    loaded = reader.load("digits")
    use(loaded.common.model_copy(update={"backend": backend, "precision": precision}))
    import keras
    from keras import ops

    if device == "gpu" and not keras.distribution.list_devices("gpu"):
        raise ValueError(f"{backend} sees no GPU here: nothing to measure")

    from fcn.backbones import vgg16
    from fcn.network import build
    from fcn.training import guard, losses, optimizers

    vgg16.FC = fc
    model = build.network("fcn8s", "vgg16", VGG, shape[-1], classes)
    optimizer = optimizers.Adam(1e-4)
    model.compile(optimizer, losses.pixel_cross_entropy, jit_compile=backend == "jax")
    optimizer.build(model.trainable_variables)
    training = loaded.table.models["digits-fcn8s"].training  # for messages only
    images, labels = random_batch(shape, classes)

    def run() -> None:
        for _ in range(steps):
            guard.step(model, images, labels, training, lambda: "the bench")

    run()
    dtype = model.get_layer("conv1_1").compute_dtype
    side = 8192 if device == "gpu" else 2048
    matrix = ops.cast(keras.random.normal((side, side)), dtype)

    def multiply() -> None:
        float(ops.cast(ops.matmul(matrix, matrix)[0, 0], "float32"))

    facts = {"peak": peak(multiply, side), "parameters": model.count_params()}
    return Work(run, steps * shape[0], facts)

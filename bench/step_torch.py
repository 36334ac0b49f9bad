"""Their training step: the same FCN-8s in plain PyTorch, channels last; or another's network."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from bench.alternate import Work
from bench.train_step import peak, random_batch

BLOCKS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
MEAN = 114.0


class FCN8s(nn.Module):
    """VGG-16 made convolutional, with the scores of pool4 and pool3: Long et al., section 4.2."""

    def __init__(self, classes: int, fc: int, channels: int = 3) -> None:
        """Build the layers with the paper's names."""
        super().__init__()
        self.blocks = nn.ModuleList()
        for convolutions, width in BLOCKS:
            layers: list[nn.Module] = []
            for _ in range(convolutions):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            self.blocks.append(nn.Sequential(*layers, nn.MaxPool2d(2, ceil_mode=True)))
        self.fc = nn.Sequential(
            *(nn.Conv2d(channels, fc, 7, padding=3), nn.ReLU(inplace=True), nn.Dropout(0.5)),
            *(nn.Conv2d(fc, fc, 1), nn.ReLU(inplace=True), nn.Dropout(0.5)),
        )
        self.score_fr = nn.Conv2d(fc, classes, 1)
        self.score_pool4 = nn.Conv2d(BLOCKS[3][1], classes, 1)
        self.score_pool3 = nn.Conv2d(BLOCKS[2][1], classes, 1)
        self.upscore2 = _upsample(classes, 2)
        self.upscore_pool4 = _upsample(classes, 2)
        self.upscore8 = _upsample(classes, 8)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits B K H W of images B C H W in 0..255."""
        x = images - MEAN
        pools = [x := block(x) for block in self.blocks]
        x = _crop(self.upscore2(self.score_fr(self.fc(x))), pools[3]) + self.score_pool4(pools[3])
        x = _crop(self.upscore_pool4(x), pools[2]) + self.score_pool3(pools[2])
        return _crop(self.upscore8(x), images)


def _upsample(classes: int, stride: int) -> nn.Module:
    return nn.ConvTranspose2d(classes, classes, 2 * stride, stride, padding=stride // 2, bias=False)


def _crop(scores: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    return scores[:, :, : like.shape[2], : like.shape[3]]


def network(name: str, classes: int, fc: int) -> nn.Module:
    """Return our FCN-8s in PyTorch, or a common alternative."""
    if name == "smp":
        import segmentation_models_pytorch as smp

        return smp.FPN("vgg16", encoder_weights=None, classes=classes)
    if name == "torchvision":
        from torchvision.models.segmentation import fcn_resnet50

        return fcn_resnet50(weights=None, weights_backbone=None, num_classes=classes)
    return FCN8s(classes, fc)


def work(
    name: str, device: str, precision: str, shape: list[int], classes: int, fc: int, steps: int
) -> Work:
    """Return `steps` training steps on images B H W 3 of `shape`, warmed up."""
    torch.manual_seed(0)
    device = {"gpu": "cuda"}.get(device, device)
    model = network(name, classes, fc).to(device, memory_format=torch.channels_last).train()
    forward: Callable[..., Any] = torch.compile(model) if device == "cuda" else model
    optimizer = torch.optim.Adam(model.parameters(), 1e-4, fused=True)
    half = precision == "mixed_bfloat16"
    images, labels = random_batch(shape, classes)

    def step() -> None:
        # B H W C in memory is B C H W in channels-last order: nothing is copied.
        x = torch.from_numpy(images).permute(0, 3, 1, 2).to(device).float()
        y = torch.from_numpy(labels).to(device).long()
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=half):
            logits = forward(x)
        logits = logits["out"] if isinstance(logits, dict) else logits
        loss = functional.cross_entropy(logits.float(), y, ignore_index=255)
        loss.backward()
        optimizer.step()
        loss.item()

    def run() -> None:
        for _ in range(steps):
            step()

    with FlopCounterMode(display=False) as counted:
        step()
    run()
    side = 8192 if device == "cuda" else 2048
    matrix = torch.randn(side, side, device=device, dtype=torch.bfloat16 if half else torch.float32)
    facts = {
        "peak": peak(lambda: (matrix @ matrix)[0, 0].item(), side),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "flops": counted.get_total_flops() / shape[0],
    }
    return Work(run, steps * shape[0], facts)

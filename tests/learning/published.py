"""A published ear in small: EfficientAT with a tenth of the channels and seeded weights."""

from __future__ import annotations

from pathlib import Path

import torch

from av_tagger.audio.known.efficientat import EfficientAT


def write_published(path: Path) -> Path:
    """Weights whose batch norms have seen tones, so that embeddings of tones differ."""
    torch.manual_seed(0)
    network = EfficientAT(0.1).train()
    for norm in (m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        norm.momentum = None  # the plain average of the batches
    t = torch.arange(32_000) / 32_000
    with torch.no_grad():
        for level in (0.3, 0.1):
            tones = [level * torch.sin(2 * torch.pi * f * t) for f in (0, 190, 210, 2900, 3100)]
            network.embed(torch.stack(tones) + 0.01 * torch.randn(5, len(t)))
    torch.save(network.state_dict(), path)
    return path

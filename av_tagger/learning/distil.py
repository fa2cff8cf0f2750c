"""Distillation: the network in training, with a second head that predicts a teacher's scores."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from av_tagger.audio.base import Heard
from av_tagger.audio.network import MilNetwork

RARE = -5.0  # first bias of the second head: most of the teacher's classes are absent


class Student(nn.Module):
    """The ear, and a linear teacher head on its mean embedding; the head is not saved."""

    def __init__(self, ear: MilNetwork, teacher_classes: int = 0) -> None:
        super().__init__()
        self.ear = ear
        self.teacher_head: nn.Linear | None = None
        if teacher_classes:
            self.teacher_head = nn.Linear(ear.extractor.width, teacher_classes)
            nn.init.constant_(self.teacher_head.bias, RARE)

    def forward(self, features: Tensor, frames: Tensor) -> tuple[Heard, Tensor | None]:
        """The ear's answer and logits of the teacher's scores, (b, teacher classes)."""
        heard: Heard = self.ear(features, frames)
        if self.teacher_head is None:
            return heard, None
        real = heard.mask.unsqueeze(-1).to(heard.embeddings.dtype)  # (b, instances, 1)
        mean = (heard.embeddings * real).sum(dim=1) / real.sum(dim=1)
        return heard, self.teacher_head(mean)


def distillation_loss(logits: Tensor, scores: Tensor) -> Tensor:
    """Binary cross-entropy, summed over the teacher's classes and averaged over the batch."""
    entropies = F.binary_cross_entropy_with_logits(logits.float(), scores, reduction="none")
    return torch.mean(entropies.sum(dim=1))

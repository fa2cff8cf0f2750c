"""Extractors by name: each turns features into instances; an architecture names one and gives its settings."""

from __future__ import annotations

from av_tagger.audio.extractors.bcresnet import BcResNet
from av_tagger.audio.extractors.crnn import Crnn
from av_tagger.audio.extractors.dense import Dense
from av_tagger.audio.extractors.fuse import Fuse
from av_tagger.audio.extractors.planes import ResNet, VggLike
from av_tagger.audio.extractors.recurrent import BiLstm
from av_tagger.audio.extractors.segments import Vgg3
from av_tagger.audio.sockets import Extractor

EXTRACTORS: dict[str, type[Extractor]] = {
    "crnn": Crnn,
    "dense": Dense,
    "bilstm": BiLstm,
    "vgg3": Vgg3,
    "fuse": Fuse,
    "vgg-like": VggLike,
    "resnet": ResNet,
    "bc-resnet": BcResNet,
}

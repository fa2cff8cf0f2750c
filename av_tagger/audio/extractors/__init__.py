"""Extractors by name: each turns features into instances; an architecture names one and gives its settings.

Parameters of whole systems, against the papers' counts; where a paper leaves something open, its count has settled it:

| system | here | paper | what was open, and how it was settled |
|---|---|---|---|
| SMALL, MLP baseline | 13,467 | 13 K | the challenge's own: five frames of 40 bands, 50-50, 17 classes |
| SMALL, MIL-DNN-Embed | 691,729 | 700 K | nothing |
| SMALL, MIL-DNN-AudioSet | 495,121 | 700 K | the paper repeats the count of embeddings of 512; on 128 it is less |
| SMALL, MIL-RNN-Embed | 6,483,707 | 6.5 M | units of the LSTM: 305 a direction |
| SMALL, MIL-CNN | 28,497,425 | 29 M | pools: VGG's own leave 96 cells, 80 M; a last pool of 4 x 3 leaves 30, as near as cells come |
| FUSE | 139,082 | 139 K | pointwise convolutions: in every block 389 K, one a module 139 K; no norm after the last |
| VGG-like, 40 bands | 453,994 | 454 K | layers: the counts differ by 27 x 128 x 256, so three pools, then a full-height layer to 256 |
| VGG-like, 256 bands | 1,338,730 | 1.34 M | the same |
| BC-ResNet | 362,170 | not told | 80 channels; with its own pointwise classifier 314,960, the 315 K of FUSE Table 9 |
| ResNet | 133,090 | not told | stem, pools and instances as in FUSE |
"""

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

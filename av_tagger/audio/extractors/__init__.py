"""Extractors by name: from features to instances.

Parameters of whole systems compared with the papers; where a paper leaves something open, its count
decided it (notes below):

| system | here | paper | note |
|---|---|---|---|
| SMALL, MLP baseline | 13,467 | 13 K | five frames of 40 bands, 50-50, 17 classes |
| SMALL, MIL-DNN-Embed | 691,729 | 700 K | |
| SMALL, MIL-DNN-AudioSet | 495,121 | 700 K | 1 |
| SMALL, MIL-RNN-Embed | 6,483,707 | 6.5 M | 305 LSTM units per direction |
| SMALL, MIL-CNN | 28,497,425 | 29 M | 2 |
| FUSE | 139,082 | 139 K | 3 |
| VGG-like, 40 bands | 453,994 | 454 K | 4 |
| VGG-like, 256 bands | 1,338,730 | 1.34 M | 4 |
| BC-ResNet | 362,170 | not given | 5 |
| ResNet | 133,090 | not given | stem, pools and instances as in FUSE |

1. The paper repeats the count for embeddings of 512 numbers; those of AudioSet have 128.
2. VGG's own pools leave 96 positions (80 M); a last pool of 4 x 3 leaves 30, the nearest to 29 M.
3. One pointwise convolution per module (139 K; per block: 389 K), no norm after the last one.
4. The counts differ by 27 x 128 x 256: three pools, then a full-height layer to 256 channels.
5. 80 channels; with its own pointwise classifier 314,960, the 315 K of FUSE Table 9.
"""

from __future__ import annotations

from av_tagger.audio.base import Extractor
from av_tagger.audio.extractors.bcresnet import BcResNet
from av_tagger.audio.extractors.crnn import Crnn
from av_tagger.audio.extractors.dense import Dense
from av_tagger.audio.extractors.fuse import Fuse
from av_tagger.audio.extractors.planes import ResNet, VggLike
from av_tagger.audio.extractors.recurrent import BiLstm
from av_tagger.audio.extractors.segments import Vgg3

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

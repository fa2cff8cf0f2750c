"""Files of published networks: read safely, and put strictly into the network that they fit."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, cast

from torch import Tensor, nn

from av_tagger.audio.known.efficientat import EfficientAT
from av_tagger.audio.known.families import EFFICIENTAT
from av_tagger.audio.known.vggish_files import network_of as vggish
from av_tagger.audio.known.yamnet import YAMNet
from av_tagger.errors import WeightsError, sentence
from av_tagger.state_file import check_finite, read_state

AGAIN = "fetch it again: av-tag weights fetch"
WIDTH_OF_MN20 = 1920  # of its embeddings


class Network(Protocol):
    """What a published network offers: embeddings of a waveform, and what its head says of them."""

    width: int

    def embed(self, waveforms: Tensor) -> Tensor: ...

    def __call__(self, waveforms: Tensor) -> tuple[Tensor, Tensor]: ...


def read_network(family: str, path: Path) -> Network:
    """The network whose weights lie in a file, its width taken from the file; strict."""
    if not path.is_file():
        raise WeightsError(
            sentence(path, "there is no such weights file", "see av-tag weights list")
        )
    return build(family, read_state(path, AGAIN), path)


def check_mn20(path: Path) -> None:
    """Refuse what is not the published EfficientAT mn20: 527 classes, twice the width."""
    state = read_state(path, AGAIN)
    network = build("efficientat", state, path)
    if network.width != WIDTH_OF_MN20:
        raise WeightsError(sentence(path, "is an EfficientAT of another width", AGAIN))
    check_finite(path, state, AGAIN)


def build(family: str, state: dict[str, Tensor], path: Path) -> Network:
    last = EFFICIENTAT.tensor
    if family == "efficientat" and last not in state:
        raise WeightsError(
            sentence(
                path, "is not an EfficientAT MobileNet", "give a file such as mn10_as_mAP_471.pt"
            )
        )
    try:
        if family == "vggish":
            return cast("Network", vggish(state).eval())
        network: nn.Module = YAMNet() if family == "yamnet" else EfficientAT(len(state[last]) / 160)
        network.load_state_dict(state, strict=True)
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:160]
        raise WeightsError(
            sentence(
                path, f"does not fit {family} ({reason})", "fetch it again: av-tag weights fetch"
            )
        ) from error
    return cast("Network", network)

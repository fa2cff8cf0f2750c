"""The published AudioSet networks as plain data: input, times of the rows, classes (no torch)."""

from __future__ import annotations

from dataclasses import dataclass

from av_tagger.audio.frame_times import FrameTimes
from av_tagger.labels import audioset


@dataclass(frozen=True)
class Family:
    """What the networks of one publication have in common."""

    rate: int  # Hz
    frames: FrameTimes  # of the rows that its networks give
    labels: tuple[str, ...]
    window_samples: int  # training length; longer sound is split into windows of this length
    least_samples: int  # shorter sound is padded with zeros, with its lead
    tensor: str = ""  # a name that only its weights files have
    lead_samples: int = 0  # sound before a window, for one more row at its start


NOT_IN_YAMNET = (  # AudioSet ids of the 527 labels that YAMNet leaves out
    "/m/05zppz",
    "/m/02zsn",
    "/m/04gy_2",
    "/t/dd00003",
    "/t/dd00004",
    "/t/dd00032",
)

EFFICIENTAT = Family(
    rate=32_000,
    # Spectrogram hop x stride of the network. The centre is measured (`studies.event_times`): by
    # its padding row 0 is centred at 0 s, but the trained convolutions look a little later.
    frames=FrameTimes(hop=320 * 32 / 32_000, centre=0.05),
    labels=audioset().labels,
    window_samples=10 * 32_000,
    least_samples=16 * 320,
    tensor="features.15.block.3.0.weight",
)

YAMNET = Family(
    rate=16_000,
    # A patch of 0.96 s every 0.48 s. With half a patch of lead the first is centred at 0 s, and
    # says whether a sound was there from the start.
    frames=FrameTimes(hop=160 * 48 / 16_000, centre=0.0),
    lead_samples=160 * 48,
    labels=tuple(c.label for c in audioset() if c.id not in NOT_IN_YAMNET),
    window_samples=161_520,  # 10 s in whole patches
    least_samples=160 * 48 + 15_600,  # two patches
    tensor="logits.weight",
)

VGGISH = Family(
    rate=16_000,
    frames=FrameTimes(hop=1.0, centre=160 * 48 / 16_000),  # the first 0.96 s of every second
    labels=(),  # embeddings only
    window_samples=10 * 16_000,
    least_samples=15_600,
    tensor="convolutions.0.weight",
)

FAMILIES = {"efficientat": EFFICIENTAT, "yamnet": YAMNET, "vggish": VGGISH}

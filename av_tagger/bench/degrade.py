"""Ways in which recordings are worse than test clips: quiet, noisy, coded, cut, mixed."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import av
import numpy as np

from av_tagger.clip import Samples
from av_tagger.media.sound import to_mono

RATE = 32_000
MP3_BITS = 32_000  # per second
TELEPHONE_HZ = (300.0, 3400.0)
SHIFT_SECONDS = 0.37
SILENCE_SECONDS = 300.0  # before and after


def quieter(x: Samples) -> Samples:
    """20 dB less."""
    return x * np.float32(0.1)


def with_noise(x: Samples, snr_db: float) -> Samples:
    """White noise; the ratio is that of the whole clip's power to the noise's."""
    level = float(np.sqrt((x.astype(np.float64) ** 2).mean())) * 10 ** (-snr_db / 20)
    noise = np.random.default_rng(0).standard_normal(len(x), dtype=np.float32)
    return x + np.float32(level) * noise


def through_mp3(x: Samples) -> Samples:
    """Coded and decoded at 32 kbit/s."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as out:
        stream = out.add_stream("libmp3lame", rate=RATE, layout="mono")
        stream.bit_rate = MP3_BITS
        for at in range(0, len(x), RATE):
            frame = av.AudioFrame.from_ndarray(x[None, at : at + RATE], "fltp", "mono")
            frame.sample_rate, frame.pts = RATE, at
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as coded:
        parts = [to_mono(frame) for frame in coded.decode(audio=0)]
    return np.concatenate(parts)[: len(x)]


def over_telephone(x: Samples) -> Samples:
    from scipy.signal import butter, sosfilt

    band = butter(6, TELEPHONE_HZ, "band", fs=RATE, output="sos")
    return np.asarray(sosfilt(band, x), np.float32)


def shifted(x: Samples) -> Samples:
    """The clip begins 0.37 s later in the recording: frames and windows fall elsewhere."""
    return np.roll(x, -round(SHIFT_SECONDS * RATE))


def in_silence(x: Samples) -> Samples:
    quiet = np.zeros(round(SILENCE_SECONDS * RATE), np.float32)
    return np.concatenate([quiet, x, quiet])


VARIANTS: Mapping[str, Callable[[Samples], Samples]] = {
    "clean": lambda x: x,
    "volume -20 dB": quieter,
    "noise 20 dB": lambda x: with_noise(x, 20.0),
    "noise 10 dB": lambda x: with_noise(x, 10.0),
    "noise 0 dB": lambda x: with_noise(x, 0.0),
    "mp3 32 kbit/s": through_mp3,
    "telephone band": over_telephone,
    "shifted": shifted,
    "ten minutes of silence": in_silence,
}
OVERLAP = "overlap"  # with the next clip, whose labels count as well


def overlapped(x: Samples, other: Samples) -> Samples:
    """Both at the same power, as long as the first."""
    if not len(other):
        return x
    y = np.resize(other, len(x))
    power = [float((s.astype(np.float64) ** 2).mean()) for s in (x, y)]
    return np.asarray(x + y * np.float32(np.sqrt(power[0] / max(power[1], 1e-12))), np.float32)

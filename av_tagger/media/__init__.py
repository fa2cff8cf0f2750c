"""Opens a clip: one waveform and one run of frames per window, whatever the file does."""

from __future__ import annotations

from av_tagger.media.backend import BACKENDS, DEFAULT, check_backend, make_backend
from av_tagger.media.decoder_pool import (
    Decoder,
    DecoderPool,
    close_decoders,
    decoder_pool,
    open_media,
    probe,
    warm_up,
)
from av_tagger.media.find import find_media

__all__ = [
    "BACKENDS",
    "DEFAULT",
    "Decoder",
    "DecoderPool",
    "check_backend",
    "close_decoders",
    "decoder_pool",
    "find_media",
    "make_backend",
    "open_media",
    "probe",
    "warm_up",
]

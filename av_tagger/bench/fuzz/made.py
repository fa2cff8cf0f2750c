"""Small files of every kind, made here: what mutants are made of."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from av_tagger.bench.fuzz.values import toml
from av_tagger.clip import Clip
from av_tagger.settings import to_table

SIDE, FPS, RATE, SECONDS = 48, 10, 16_000, 0.6
MEMBERS = {"weights/a.bin": b"0123456789" * 20, "weights/b.csv": b"id,label\n0,Siren\n"}


def media(path: Path, video: str = "", audio: str = "", rate: int = RATE) -> bytes:
    """A few pictures of noise, and a tone."""
    import av

    with av.open(str(path), "w") as out:
        streams: list[tuple[Any, Any]] = []
        if video:
            pictures: Any = out.add_stream(video, rate=FPS)
            pictures.width = pictures.height = SIDE
            pictures.pix_fmt = form = "yuvj420p" if video == "mjpeg" else "yuv420p"
            streams += [(pictures, frame) for frame in _pictures(form)]
        if audio:
            sound: Any = out.add_stream(audio, rate=rate, layout="mono")
            sound.codec_context.options = {"strict": "-2"}
            streams += [(sound, frame) for frame in _tone(sound, rate)]
        for stream, frame in streams:
            out.mux(stream.encode(frame))
        for stream in dict.fromkeys(stream for stream, _ in streams):
            out.mux(stream.encode(None))
    return path.read_bytes()


def _pictures(form: str) -> list[Any]:
    import av

    noise = np.random.default_rng(0).integers(0, 256, (8, SIDE, SIDE, 3), np.uint8)
    frames = [av.VideoFrame.from_ndarray(image, format="rgb24") for image in noise[: int(FPS)]]
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base = number, Fraction(1, FPS)
    return [frame.reformat(format=form) for frame in frames]


def _tone(sound: Any, rate: int) -> list[Any]:
    import av

    kind = sound.codec_context.format.name
    times = np.arange(round(SECONDS * rate)) / rate
    wave = (0.3 * np.sin(2 * np.pi * 440 * times))[None].astype(np.float32)
    frame = av.AudioFrame.from_ndarray(wave, "fltp", "mono")
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    size = sound.codec_context.frame_size or None
    return list(av.AudioResampler(kind, "mono", rate, frame_size=size).resample(frame))


def settings(path: Path) -> bytes:
    """Every setting of a run, at its default."""
    from av_tagger.config import Config

    del path
    return toml(_without_null(to_table(Config()))).encode()


def recipe(path: Path) -> bytes:
    from av_tagger.learning.recipe import read_recipe

    del path
    return toml(_without_null(to_table(read_recipe("crnn-modern")))).encode()


def _without_null(table: Any) -> Any:
    """What TOML lacks is left out."""
    if not isinstance(table, dict):
        return table
    return {key: _without_null(value) for key, value in table.items() if value is not None}


def classes(path: Path) -> bytes:
    del path
    return b'[[class]]\nlabel = "Siren"\nid = "/m/03kmc9"\n\n[[class]]\nlabel = "Dog bark"\n'


def fusion(path: Path) -> bytes:
    """A fusion file of two classes; the name says whether as JSON or TOML."""
    from av_tagger.fusion.file import build, write_fusion

    row: dict[str, float | str] = {
        "gain": 1.0,
        "against": 0.5,
        "both": 0.4,
        "ear": 0.5,
        "eye": 0.6,
        "family": "alarm",
    }
    write_fusion(build("logit", ("Siren", "Train"), {"Siren": row}), path)
    return path.read_bytes()


def ear(path: Path) -> bytes:
    """A trained ear with the smallest network."""
    from av_tagger.audio.architecture import EarArchitecture, LogMelSettings
    from av_tagger.audio.checkpoint import save_checkpoint
    from av_tagger.audio.header import EarThresholds, Header
    from av_tagger.audio.network import build_network

    front = LogMelSettings(rate=8000, window=128, hop=80, fft=128, mels=8)
    parts = {"channels": [2], "pools": [[2, 2]], "units": 2}
    architecture = EarArchitecture(2, extractor_settings=parts, frontend=front, margin=1)
    thresholds = EarThresholds((0.5, 0.4), (0.5, 0.4), (0.5, 0.4))
    header = Header("toy", architecture, ("Siren", "Train"), ("", ""), thresholds, "CC0-1.0")
    save_checkpoint(path, build_network(architecture), header)
    return path.read_bytes()


def calibration(path: Path) -> bytes:
    from av_tagger.audio.calibration import Calibration, EmbeddingHead, Source
    from av_tagger.audio.calibration_file import save_calibration

    labels = ("Siren", "Train")
    row = np.array([0.5, 0.4])
    head = EmbeddingHead(labels, np.ones((2, 3), np.float32), np.zeros(2, np.float32))
    parts = (("yamnet",), labels, (Source(0), Source(0, head=True)))
    both = {"f1": row, "precision": row}
    save_calibration(path, Calibration(*parts, np.ones((2, 2)), np.zeros(2), both, head=head))
    return path.read_bytes()


def ensemble(path: Path) -> bytes:
    from av_tagger.audio.ensemble_file import Ensemble, Member

    del path
    member = Member(".", 1.0, (0.5, 0.5))
    return json.dumps(to_table(Ensemble("mean", (member,), ("Siren", "Train")))).encode()


def torch_file(path: Path) -> bytes:
    import torch

    torch.save({"w": torch.ones(3, 2), "b": torch.zeros(2, dtype=torch.int64)}, path)
    return path.read_bytes()


def arrays(path: Path) -> bytes:
    np.savez(path, pca_eigen_vectors=np.eye(128, dtype=np.float32), pca_means=np.zeros((128, 1)))
    return path.read_bytes()


def wheel(path: Path) -> bytes:
    del path
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in MEMBERS.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def results(path: Path) -> bytes:
    """Results as `av-tag --json` writes them."""
    from av_tagger.fusion.file import build
    from av_tagger.reports.schema import as_line
    from av_tagger.reports.simulated import simulated_events, simulated_results, simulated_scores

    del path
    scores = simulated_scores(("Siren", "Train"), ("Train",), clips=2)
    weighing = build("logit", scores.labels, {}, neutral=scores.labels)
    found = simulated_results(scores, weighing, simulated_events(scores))
    return "".join(as_line(tagged, detail=True).strip() + "\n" for tagged in found).encode()


def journal(path: Path) -> bytes:
    """The database of a run of two clips, closed."""
    from av_tagger.runner.job import Item, Record
    from av_tagger.runner.journal import Journal

    folder = path.with_suffix("")
    with Journal(folder) as opened:
        clips = [folder / "a.wav", folder / "b.wav"]
        for clip in clips:
            clip.write_bytes(b"x")
        opened.plan([Item(Clip(clip)) for clip in clips], "f")
        lines = results(path).decode().splitlines()
        jobs = opened.claim("me", 2)
        opened.record(
            [
                Record(job.position, "done", "", "ok", "ok", 0.1, text)
                for job, text in zip(jobs, lines, strict=True)
            ]
        )
    return (folder / "journal.sqlite").read_bytes()


def strong(path: Path) -> bytes:
    del path
    return (
        b"Y-abcdefghij_30.000_40.000.wav\t0.0\t10.0\tTrain\n"
        b"Yabcdefghijk_0.000_10.000.wav\t0.5\t3.25\tScreaming\n"
    )


def listed(path: Path) -> bytes:
    del path
    return (
        b'-abcdefghij,30.000,40.000,"Train horn","/m/0284vy3"\n'
        b'abcdefghijk,0.000,10.000,"Bicycle,Bus","/m/0199g,/m/01bjv"\n'
    )


def manifest(path: Path) -> bytes:
    (path.parent / "a.wav").write_bytes(b"x")
    return b"file,labels,start,end,unknown\na.wav,Train;Bus,0,10,\na.wav,Bicycle,2.5,9.5,Car\n"


def vectors(path: Path) -> bytes:
    del path
    return b"".join(f"{word} 0.1 -0.2 0.3\n".encode() for word in ("siren", "train", "dog"))


def zipped_vectors(path: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("glove.6B.3d.txt", vectors(path))
    return buffer.getvalue()


Make = Callable[[Path], bytes]

"""Exported ears by file: what would be loaded, with the calibration of the ear inside."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from av_tagger.audio.combination import calibration_of, has_calibration, part_names
from av_tagger.audio.ear_source import COMBINED, ONNX, EarSource
from av_tagger.audio.header import KEY, parse_header
from av_tagger.audio.onnx_ear import read_facts
from av_tagger.scores import BranchInfo, Status
from av_tagger.weights_ref import of_file


def exported_source(path: Path, *, calibrated: bool) -> EarSource:
    """An ear of `av-tag export`, with the calibration of the ear that it was made of."""
    file, facts = of_file(path), read_facts(path)
    name = str(path.resolve())
    header = None
    if facts.header:
        header, _ = parse_header(path, {KEY: facts.header})
    info = BranchInfo(Status.OK, f"{facts.name} in onnxruntime", path.name)
    source = EarSource(name, ONNX, info, file, facts.rate, facts.labels, header)
    names = part_names(facts.exported) if facts.exported else ()
    if not (calibrated and names and has_calibration(names)):
        return source
    calibration = calibration_of(names)
    return replace(
        source,
        kind=COMBINED,
        info=BranchInfo(Status.OK, calibration.name, path.name),
        labels=calibration.labels,
        header=None,
        parts=(source,),
        digest=calibration.digest,
        exported=facts.exported,
    )

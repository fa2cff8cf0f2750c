"""Corrected labels from annotation programs: Audacity, Label Studio, ELAN and tables of events."""

from av_tagger.annotations.files import AnnotatedFile, AnnotatedSound, labels_of
from av_tagger.annotations.read import is_annotation, read_annotations

__all__ = ["AnnotatedFile", "AnnotatedSound", "is_annotation", "labels_of", "read_annotations"]

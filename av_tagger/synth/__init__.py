"""Synthetic sound scenes with exact labels: every event is placed by the code that labels it."""

from av_tagger.synth.scene import Scene, SceneEvent, SceneSettings, empty_scene, render, scene
from av_tagger.synth.sources import SOURCES

__all__ = ["SOURCES", "Scene", "SceneEvent", "SceneSettings", "empty_scene", "render", "scene"]

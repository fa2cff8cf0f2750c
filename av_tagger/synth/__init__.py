"""Sound scenes made from nothing but numbers, with labels that are true because they were there first."""

from av_tagger.synth.scene import Scene, SceneEvent, SceneSettings, empty_scene, render, scene
from av_tagger.synth.sources import SOURCES

__all__ = ["SOURCES", "Scene", "SceneEvent", "SceneSettings", "empty_scene", "render", "scene"]

"""The sparse-coding problem behind key frames: problem, bounds, searches, proofs, references; the
face is video.keyframes.
"""

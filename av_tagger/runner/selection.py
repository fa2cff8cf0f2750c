"""Which of the requested clips a run does, and in which order."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class Selection:
    """The flags --shard, --shuffle, --limit and --retry-failed."""

    shard: tuple[int, int] = (1, 1)  # (i, n): every nth clip from the ith on
    shuffle: int | None = None  # the seed
    limit: int | None = None
    retry_failed: bool = False

    def includes(self, position: int) -> bool:
        shard, shards = self.shard
        return position % shards == shard - 1

    def turn(self, position: int) -> int:
        """A sort key. For a shuffle it is a hash: a shuffled list would have to fit into memory."""
        if self.shuffle is None:
            return position
        digest = hashlib.blake2b(f"{self.shuffle}:{position}".encode(), digest_size=7).digest()
        return int.from_bytes(digest, "big")

"""Run by test_on_ray.py in a process of its own (Ray warns and forks as it likes): one run on a small cluster that loses a part.

on_ray_once.py RUN FOLDER plain|node|many ACTORS -> one line of JSON
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import ray
from fakes import FakeCrew

from av_tagger.clip import Clip
from av_tagger.runner.job import Item
from av_tagger.runner.journal import Counts
from av_tagger.runner.on_ray import OnRay
from av_tagger.runner.pace import Pace
from av_tagger.runner.run import Order, run

SMALL: dict[str, Any] = {"num_cpus": 2, "object_store_memory": 80 << 20}
PACE = Pace(2, 1, 1, 4, 1 << 20)


def main() -> None:
    folder, media, kind, actors = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    watch = None
    engine = OnRay(FakeCrew(0.02), PACE, "fake", None, actors, SMALL)
    if kind == "node":
        from ray.cluster_utils import Cluster

        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80 << 20, "include_dashboard": False})
        second = cluster.add_node(num_cpus=1, object_store_memory=80 << 20)
        cluster.wait_for_nodes()
        engine = OnRay(FakeCrew(0.05), PACE, "fake", cluster.address, actors)
        killed: list[threading.Thread] = []

        def watch(counts: Counts) -> None:
            if counts.done >= 20 and not killed:
                killed.append(threading.Thread(target=cluster.remove_node, args=(second,), kwargs={"allow_graceful": False}))
                killed[0].start()

    began = time.monotonic()
    summary = run(Order(folder, (Item(Clip(p)) for p in sorted(media.iterdir())), "fake"), engine, watch)
    said = {"done": summary.counts.done, "failed": summary.failures, "started": engine.started, "seconds": time.monotonic() - began}
    print(json.dumps(said))
    if ray.is_initialized():
        ray.shutdown()


if __name__ == "__main__":
    main()

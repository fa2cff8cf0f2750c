"""SMALL §2.3: a network on the embeddings of another, and both joined into one ear.

av-tag train small/embedding-cnn --data TRAIN -o BELOW
python -m av_tagger.studies.stacked pack BELOW TRAIN -o STORE
av-tag train small/mil-dnn-embed --data STORE -o ABOVE
python -m av_tagger.studies.stacked join BELOW ABOVE -o ear.safetensors
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from av_tagger.audio.checkpoint import load_checkpoint, save_checkpoint
from av_tagger.audio.header import Header
from av_tagger.labels import ClassList, SoundClass
from av_tagger.learning.analysis.by_class import read_card
from av_tagger.learning.data.bags import WaveformBags, waveform_bags
from av_tagger.learning.data.batches import Batch
from av_tagger.learning.data.embedding_store import EmbeddingStore, Packer, open_store
from av_tagger.learning.data.manifests import read_examples
from av_tagger.learning.data.store import StoreSettings, build_store
from av_tagger.learning.initial import joined_network
from av_tagger.learning.learner import features_of
from av_tagger.learning.run_folder import BEST


@torch.inference_mode()
def pack_instances(run: Path, bags: WaveformBags, folder: Path) -> EmbeddingStore:
    """A store of the embeddings that a run computes for every instance."""
    network, _ = load_checkpoint(run / BEST)
    with Packer(folder, bags.labels) as packer:
        for bag in range(len(bags)):
            inputs, lengths = bags.fetch(np.array([bag]), None)
            batch = Batch(torch.from_numpy(inputs), torch.from_numpy(lengths), torch.empty(0))
            rows = network(*features_of(network, batch)).embeddings[0].numpy()
            labels = np.flatnonzero(bags.targets[bag] > 0.5).tolist()
            packer.add(f"clip {bags.clips[bag]}", rows, labels)
    return open_store(folder)


def join_runs(below: Path, above: Path, output: Path) -> Header:
    """One ear: the dense layers of `above` follow those of `below`, without its head."""
    network, header = joined_network(below / BEST, above / BEST)
    save_checkpoint(output, network, header)
    return header


def pack(run: Path, data: Path, output: Path) -> None:
    """Embeddings of the clips of a table or folder, decoded into a folder beside the output."""
    classes = ClassList(tuple(SoundClass(c["label"]) for c in read_card(run)["classes"]))
    network, _ = load_checkpoint(run / BEST)
    assert network.frontend is not None
    examples = read_examples(data, classes)
    settings = StoreSettings(network.frontend.settings.rate)
    folder = output.with_name(f"{output.name}.waveforms")
    store = build_store([e.clip for e in examples.examples], folder, settings)
    packed = pack_instances(run, waveform_bags(examples, store), output)
    print(f"{output}: {len(packed.rows)} embeddings of {len(packed)} clips")


def main(arguments: Sequence[str] | None = None) -> None:
    formatter = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, first, second in (("pack", "run", "data"), ("join", "below", "above")):
        each = commands.add_parser(name)
        each.add_argument(first, type=Path)
        each.add_argument(second, type=Path)
        each.add_argument("-o", "--output", type=Path, required=True)
    given = parser.parse_args(arguments)
    if given.command == "pack":
        pack(given.run, given.data, given.output)
    else:
        header = join_runs(given.below, given.above, given.output)
        print(f"{given.output}: {header.name} on the embeddings of {given.below}")


if __name__ == "__main__":
    main()

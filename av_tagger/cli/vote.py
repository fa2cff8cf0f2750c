"""av-tag vote: several runs become one ear by a weighted vote."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from av_tagger.cli.options import command
from av_tagger.flags import argument, option, required


@dataclass(frozen=True)
class VoteOptions:
    runs: list[Path] = argument("RUN...", "Runs of av-tag train on the same validation clips.")
    output: Path = required("Folder of the vote.", "-o", "--output", metavar="FOLDER")
    mean: bool = option(False, "Average the scores of the runs instead of their decisions.")


def _vote(options: VoteOptions) -> None:
    """Combine runs into one ear: av-tag vote RUN RUN RUN -o VOTE, then --ear VOTE.

    Each run decides at its thresholds; its vote weighs as much as its score on the validation
    clips; a class is tagged if at least half of the weight is for it.
    """
    from av_tagger.cli.console import stderr_console
    from av_tagger.learning.analysis.ensemble import combine

    console = stderr_console()
    found = combine(options.runs, options.output, "mean" if options.mean else "vote")
    for run, metric in found.alone.items():
        console.say(f"{run}: {metric:.3f} alone")
    together = f"together: micro-F1 {found.micro_f1:.3f} on the same clips, which is optimistic"
    console.say(together)
    console.say(f"tag with it: av-tag tag --ear {options.output} FILE")


vote = command(VoteOptions, _vote)

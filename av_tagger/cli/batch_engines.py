"""The engines of `av-tag batch`: from flags to an engine and the fingerprint of its results."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from av_tagger.cli.batch_options import BatchOptions
    from av_tagger.cli.console import Console
    from av_tagger.runner.concurrency import Concurrency
    from av_tagger.runner.run import Engine


def wants_detail(options: BatchOptions) -> bool:
    formats = (options.format or "").lower().replace(" ", "").split(",")
    return options.detail or "json-detail" in formats


def local(options: BatchOptions, console: Console) -> tuple[Engine, str]:
    """This process, or several on this machine; with several this one loads no network."""
    from av_tagger.cli.session import build_tagger, plan_of, say_advice, say_used
    from av_tagger.cli.styles import QUIET
    from av_tagger.media import close_decoders
    from av_tagger.runner.concurrency import describe, for_machine
    from av_tagger.runner.engines import decoding
    from av_tagger.runner.local import InProcessEngine
    from av_tagger.runner.processes import ProcessEngine, devices_of
    from av_tagger.runner.worker import FromPlan, worker_of

    plan = plan_of(options, options)
    concurrency = _concurrency(options, plan.config.media.limit_seconds)
    devices = devices_of(options.devices, plan.config.device, options.processes)
    own = [device for device in devices if device is not None]
    if own:
        say_advice(plan, options)
        say_used(plan.branches, ", ".join(dict.fromkeys(own)), options)
        factories = [FromPlan(plan, device, options.decode) for device in own]
        engine: Engine = ProcessEngine(factories, concurrency, plan.fingerprint)
        device, fingerprint = own[0], plan.fingerprint
    else:
        tagger = build_tagger(plan, options)
        close_decoders()  # the run starts its own
        engine = InProcessEngine(
            worker_of(tagger, plan.config.decoder, options.decode), concurrency
        )
        device, fingerprint = tagger.parts.run.device, tagger.parts.run.fingerprint
    if options.verbose:
        chosen = describe(for_machine(concurrency, device, len(devices)), device)
        console.say(chosen, QUIET)
        console.say(decoding(options.decode, device), QUIET)
    return engine, fingerprint


def ray(options: BatchOptions, console: Console) -> tuple[Engine, str]:
    """Ray actors; this process loads no network."""
    from av_tagger.cli.session import plan_of, say_advice, say_used
    from av_tagger.cli.styles import QUIET
    from av_tagger.runner.on_ray import RayEngine
    from av_tagger.runner.worker import FromPlan

    plan = plan_of(options, options)
    say_advice(plan, options)
    say_used(plan.branches, f"{plan.config.device}, on each machine", options)
    concurrency = _concurrency(options, plan.config.media.limit_seconds)
    if options.verbose:
        console.say("each actor chooses threads and memory for its machine", QUIET)
    factory, actors = FromPlan(plan, decode=options.decode), options.processes
    engine = RayEngine(factory, concurrency, plan.fingerprint, options.address, actors)
    return engine, plan.fingerprint


def _concurrency(options: BatchOptions, window_limit: float) -> Concurrency:
    from av_tagger.runner.concurrency import GIB, Concurrency

    return Concurrency(
        decoders=options.workers,
        batch=options.batch,
        memory_bytes=int(options.memory * GIB),
        window_limit=window_limit,
        clip_limit=options.time_limit,
        detail=wants_detail(options),
    )


ENGINES: dict[str, Callable[[BatchOptions, Console], tuple[Engine, str]]] = {
    "local": local,
    "ray": ray,
}

"""Which arithmetic a network runs in: half the bits where the processor has them, never a guess."""

from __future__ import annotations

from pathlib import Path

import torch

BYTES = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})  # instructions that multiply bytes


def choose(precision: str, device: torch.device) -> torch.dtype:
    """`auto` and `int8`: bfloat16 if the hardware has it, since emulation is slow; else float32."""
    if precision in ("auto", "int8"):
        return torch.bfloat16 if has_bf16(device) else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def has_bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return device.type == "cpu" and bool({"avx512_bf16", "amx_bf16"} & _cpu_flags())


def has_int8(device: torch.device) -> bool:
    return device.type == "cpu" and bool(BYTES & _cpu_flags())


def _cpu_flags() -> set[str]:
    """What torch says of the processor; older releases say nothing, then the kernel is asked."""
    capabilities = getattr(torch.cpu, "get_capabilities", None)
    if capabilities is not None:
        return {name for name, has in capabilities().items() if has is True}
    listing = Path("/proc/cpuinfo")
    return set(listing.read_text(encoding="utf-8").split()) if listing.is_file() else set()

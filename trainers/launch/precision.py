"""The choice of `--precision=auto`: mixed_bfloat16 if one machine trains and has instructions for it, else float32.

    experiment, said = resolved(experiment, ["runs/mine"])

mixed_bfloat16 trains large networks twice as fast as float32 with these instructions, and three times slower without
them (docs/notes/performance.md).
"""

import dataclasses
import os
from collections.abc import Iterable

import tensorflow as tf

from charrnn import run_files
from charrnn.errors import UserError
from charrnn.model.char_model import PRECISIONS
from trainers.configs import RuntimeConfig
from trainers.distribution.strategies import name_of
from trainers.experiment import Experiment

_CPUINFO = "/proc/cpuinfo"  # on Linux
_INSTRUCTIONS = {"avx512_bf16", "amx_bf16"}  # flags there of processors that multiply bfloat16
_LIMITS_BELOW = "SSE41 AVX AVX2 AVX2_VNNI AVX2_VNNI_2 AVX512_CORE AVX512_CORE_VNNI".split()
"""The values of oneDNN's ONEDNN_MAX_CPU_ISA that rule these instructions out."""

_CAPABILITY = (8, 0)  # the least compute capability of GPUs that multiply bfloat16


def resolved(experiment: Experiment, run_dirs: Iterable[str] = ()) -> tuple[Experiment, str]:
    """Returns an experiment in which "auto" is replaced by a precision, and a line that says which and why.

    Args:
        experiment: the experiment.
        run_dirs: run directories, which need not exist. The first that holds a run decides, otherwise the machine.

    Returns:
        The experiment, and the line; "" if the experiment names its precision.
    """
    if experiment.runtime.precision != "auto":
        return experiment, ""
    precision, why = _faster(experiment.runtime)
    for begun in filter(None, map(_of_run, run_dirs)):
        other = "" if begun == precision else f"; a new run on this machine takes {precision}"
        precision, why = begun, f"with which the run was started{other}"
        break
    runtime = dataclasses.replace(experiment.runtime, precision=precision)
    return dataclasses.replace(experiment, runtime=runtime), f"--precision=auto takes {precision}, {why}"


def cpu_has_bfloat16() -> bool:
    """Returns whether the processor has instructions that multiply bfloat16, and TensorFlow uses them."""
    limit, in_use = os.environ.get("ONEDNN_MAX_CPU_ISA", ""), os.environ.get("TF_ENABLE_ONEDNN_OPTS") != "0"
    return in_use and limit.upper() not in _LIMITS_BELOW and not _INSTRUCTIONS.isdisjoint(_cpu_flags())


def _faster(config: RuntimeConfig) -> tuple[str, str]:
    """Returns the faster precision that is possible on this machine, and the reason."""
    if name_of(config) == "multi_worker":
        return "float32", "because TensorFlow sends no bfloat16 to other workers"
    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        details = map(tf.config.experimental.get_device_details, gpus)
        able = all(each.get("compute_capability", (0, 0)) >= _CAPABILITY for each in details)
    else:
        able = cpu_has_bfloat16()
    why = f"because this {'GPU' if gpus else 'CPU'} has {'' if able else 'no '}instructions for bfloat16"
    return "mixed_bfloat16" if able else "float32", why


def _cpu_flags() -> set[str]:
    """Returns the processor's features by their names in Linux; none on other systems."""
    try:
        with open(_CPUINFO, encoding="utf-8") as file:
            lines = [line.partition(":") for line in file]
    except OSError:
        return set()
    return set(next((value for name, _, value in lines if name.strip() == "flags"), "").split())


def _of_run(run_dir: str) -> str:
    """Returns the precision with which the run in a directory was started; "" if there is none."""
    try:
        found = run_files.read_setting(run_dir, run_files.read_config(run_dir), str, "runtime", "precision")
    except UserError:  # no run, or one that `RunDirectory.may_resume` refuses
        return ""
    return found if found in PRECISIONS else ""

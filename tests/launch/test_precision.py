"""Tests the choice of --precision=auto: the machine decides, unless a run has begun."""

import json
import os
import pathlib

import pytest
import tensorflow as tf

import trainers
from charrnn.errors import UserError
from trainers.configs import RuntimeConfig
from trainers.experiment import Experiment, override
from trainers.launch import precision
from trainers.launch.precision import resolved
from trainers.launch.runtime import describe

AUTO = override(Experiment(), ["runtime.precision=auto"])
ABLE = "fpu avx512f avx512_vnni avx512_bf16"
CPUINFO = """processor\t: 0
model name\t: A processor: avx512_bf16
flags\t\t: {flags}
vmx flags\t: amx_bf16

processor\t: 1
flags\t\t: {flags}
"""


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Returns a function that gives the processor these flags; without flags, the file that lists them is missing."""
    for name in ("ONEDNN_MAX_CPU_ISA", "TF_ENABLE_ONEDNN_OPTS", "TF_CONFIG"):
        monkeypatch.delenv(name, raising=False)

    def set_flags(flags):
        path = tmp_path / f"cpuinfo of {flags}"
        if flags:
            path.write_text(CPUINFO.format(flags=flags))
        monkeypatch.setattr(precision, "_CPUINFO", str(path))

    return set_flags


def chosen(run_dirs=()):
    return resolved(AUTO, run_dirs)[0].runtime.precision


@pytest.mark.parametrize(
    "flags, expected",
    [
        (ABLE, "mixed_bfloat16"),
        ("fpu amx_bf16 amx_tile", "mixed_bfloat16"),
        ("fpu avx2 avx512f avx512_vnni", "float32"),
        ("fpu avx512_bf16_or_not", "float32"),
        ("", "float32"),
    ],
)
def test_a_processor_with_the_instructions_computes_in_bfloat16(machine, flags, expected):
    machine(flags)
    experiment, said = resolved(AUTO)
    assert experiment == override(AUTO, [f"runtime.precision={expected}"])
    reason = "has instructions" if expected == "mixed_bfloat16" else "has no instructions"
    assert said == f"--precision=auto takes {expected}, because this CPU {reason} for bfloat16"


@pytest.mark.skipif(not os.path.exists("/proc/cpuinfo"), reason="Linux tells what a processor can do")
def test_the_flags_are_those_that_linux_lists(monkeypatch):
    for name in ("ONEDNN_MAX_CPU_ISA", "TF_ENABLE_ONEDNN_OPTS"):
        monkeypatch.delenv(name, raising=False)
    listed = pathlib.Path("/proc/cpuinfo").read_text().split()
    assert precision.cpu_has_bfloat16() == ("avx512_bf16" in listed or "amx_bf16" in listed)


@pytest.mark.parametrize(
    "name, value, expected",
    [
        ("ONEDNN_MAX_CPU_ISA", "AVX2", "float32"),
        ("ONEDNN_MAX_CPU_ISA", "avx512_core_vnni", "float32"),
        ("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16", "mixed_bfloat16"),
        ("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_AMX", "mixed_bfloat16"),
        ("ONEDNN_MAX_CPU_ISA", "DEFAULT", "mixed_bfloat16"),
        ("TF_ENABLE_ONEDNN_OPTS", "0", "float32"),
        ("TF_ENABLE_ONEDNN_OPTS", "1", "mixed_bfloat16"),
    ],
)
def test_instructions_that_tensorflow_may_not_use_do_not_count(machine, monkeypatch, name, value, expected):
    machine(ABLE)
    monkeypatch.setenv(name, value)
    assert chosen() == expected


@pytest.mark.parametrize(
    "capabilities, expected",
    [
        ([(8, 0)], "mixed_bfloat16"),
        ([(9, 0), (8, 9)], "mixed_bfloat16"),
        ([(7, 5)], "float32"),
        ([(8, 0), (7, 0)], "float32"),
        ([None], "float32"),
    ],
)
def test_a_gpu_decides_by_its_compute_capability_instead_of_the_processor(machine, monkeypatch, capabilities, expected):
    machine("" if expected == "mixed_bfloat16" else ABLE)
    details = {f"GPU:{i}": {"compute_capability": each} if each else {} for i, each in enumerate(capabilities)}
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: list(details) if kind == "GPU" else ["CPU:0"])
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details.__getitem__)
    experiment, said = resolved(AUTO)
    assert experiment.runtime.precision == expected and "this GPU has" in said


def test_several_workers_compute_in_float32(machine, monkeypatch):
    """TensorFlow's collective operations refuse a carried state in bfloat16."""
    machine(ABLE)
    monkeypatch.setenv("TF_CONFIG", '{"cluster": {"worker": ["a:1", "b:1"]}, "task": {"type": "worker", "index": 0}}')
    experiment, said = resolved(AUTO)
    assert experiment.runtime.precision == "float32" and "sends no bfloat16 to other workers" in said
    alone, _ = resolved(override(AUTO, ["runtime.strategy=one_device"]))
    assert alone.runtime.precision == "mixed_bfloat16"


def test_an_experiment_that_names_its_precision_keeps_it(machine):
    machine("")
    for named in ("float32", "mixed_bfloat16", "mixed_float16"):
        experiment = override(Experiment(), [f"runtime.precision={named}"])
        assert resolved(experiment, ["no/run"]) == (experiment, "")


def test_the_first_run_that_has_begun_decides(machine, tmp_path):
    machine(ABLE)
    for name, content in {
        "b": '{"runtime": {"precision": "float32"}}',
        "c": '{"runtime": {"precision": "mixed_float16"}}',
        "damaged": "{",
        "unknown": '{"runtime": {"precision": ["int8"]}}',
        "stranger": '{"runtime": {"precision": "int8"}}',
    }.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.json").write_text(content)
    places = {name: str(tmp_path / name) for name in ("a", "b", "c", "damaged", "unknown", "stranger")}
    assert chosen([places["a"], places["b"], places["c"]]) == "float32"
    assert chosen([places["c"], places["b"]]) == "mixed_float16"
    assert chosen([places[name] for name in ("a", "damaged", "unknown", "stranger")]) == "mixed_bfloat16"
    said = resolved(AUTO, [places["b"]])[1]
    assert said.endswith("float32, with which the run was started; a new run on this machine takes mixed_bfloat16")
    machine("")
    assert resolved(AUTO, [places["b"]])[1].endswith("takes float32, with which the run was started")


def test_bfloat16_without_the_instructions_is_noted(machine):
    def notes(**config):
        return [line for line in describe(RuntimeConfig(**config)) if line.startswith("Note: ")]

    machine("fpu avx2")
    (note,) = notes(precision="mixed_bfloat16")
    assert "bfloat16 is slower than float32 on this CPU" in note and note.endswith("use float32 next time")
    assert notes() == []
    machine(ABLE)
    assert notes(precision="mixed_bfloat16") == []


@pytest.mark.slow
def test_a_run_keeps_its_precision_on_a_machine_of_another_kind(machine, tmp_path, capsys):
    settings = {
        "model.units": 8,
        "data.batch_size": 4,
        "data.seq_length": 8,
        "loop.log_every": 1,
        "samples.num_chars": 5,
    }

    def train(name, steps, precision="auto"):
        asked = dict(precision=precision, corpus="plays:3000", set=settings, verbosity="normal")
        result = trainers.train("quickstart", run_dir=tmp_path / name, steps=steps, **asked)
        stored = json.loads((tmp_path / name / "config.json").read_text())["runtime"]["precision"]
        return result, stored, capsys.readouterr().out

    machine(ABLE)
    _, stored, said = train("run", 2)
    assert stored == "mixed_bfloat16" and "--precision=auto takes mixed_bfloat16, because this CPU has" in said
    whole, _, _ = train("whole", 4)
    machine("fpu avx2")
    result, stored, said = train("run", 4)
    assert stored == "mixed_bfloat16" and result.model.model.compute_dtype == "bfloat16"
    assert said.count("with which the run was started; a new run on this machine takes float32") == 1
    assert said.count("Note: bfloat16 is slower than float32 on this CPU") == 1
    assert result.history["train"]["nats_per_char"].tolist() == whole.history["train"]["nats_per_char"].tolist()
    assert result.model.generate("A", 5)
    with pytest.raises(UserError, match=r"runtime\.precision was mixed_bfloat16, is float32"):
        train("run", 5, "float32")
    assert train("other", 1)[1] == "float32"

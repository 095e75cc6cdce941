"""Sets up the process. The fixtures are in `fixtures.py`, which imports TensorFlow."""

import os
import signal

# A shell starts what it runs in the background deaf to Ctrl-C, which some tests press, also in processes of their own.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# With ONEDNN_MAX_CPU_ISA=AVX2, a machine computes as one without AVX-512. TensorFlow asks the processor, not oneDNN,
# for bfloat16, and crashes if only the processor has it. Its own kernels, without oneDNN, do not.
if "ONEDNN_MAX_CPU_ISA" in os.environ:
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def pytest_configure(config):
    """Loads the fixtures, but not in the process that only hands out the tests of `pytest -n`."""
    if not config.getoption("numprocesses", None):
        config.pluginmanager.import_plugin("tests.fixtures")

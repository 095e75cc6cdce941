"""Sets up the process. The fixtures are in `fixtures.py`, which imports TensorFlow."""

import os
import signal

# A shell lets its background processes ignore SIGINT, but some tests send it, also to processes that they start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# With ONEDNN_MAX_CPU_ISA=AVX2, oneDNN computes as on a machine without AVX-512. TensorFlow asks the processor, not
# oneDNN, for bfloat16, and crashes if only the processor supports it. TensorFlow's own kernels do not crash.
if "ONEDNN_MAX_CPU_ISA" in os.environ:
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")


def pytest_configure(config):
    """Loads the fixtures, except in the main process of `pytest -n`, which only distributes the tests."""
    if not config.getoption("numprocesses", None):
        config.pluginmanager.import_plugin("tests.fixtures")

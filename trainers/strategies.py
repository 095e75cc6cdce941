"""On how many replicas a run runs: TensorFlow's own `tf.distribute` strategies, by name.

    strategy = make_strategy(config, run)
    with strategy.scope():
        trainer = make_trainer(experiment, texts)
    workers = Workers(strategy)         # of several processes, the chief alone writes
"""

import contextlib
import functools
import io
import os
import signal
from collections.abc import Callable, Iterator

import tensorflow as tf

from charrnn.errors import UserError
from trainers.checkpoints import Checkpoints
from trainers.cluster import Cluster
from trainers.runtime import RuntimeConfig

_LOST = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
)
"""What a collective operation raises when a worker is gone."""


class WorkerLost(Exception):
    """Another worker is gone, and with it what it worked on."""


def make_strategy(config: RuntimeConfig, run: str = "") -> tf.distribute.Strategy:
    """The strategy that `config` names. To be called before TensorFlow does anything else.

    Args:
        config: with "auto": "multi_worker" where TF_CONFIG is set, "mirrored" on several GPUs, else "one_device".
        run: what tells this run from another; all workers' must be equal.

    Raises:
        UserError: it is not possible here.
    """
    if config.virtual_replicas:
        split_cpu(config.virtual_replicas)
    return _MAKERS[_name(config)](config, run)


def split_cpu(count: int) -> None:
    """Makes `count` devices of the CPU, to try several replicas on. UserError where TensorFlow has started already."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
    except RuntimeError as error:
        if len(tf.config.list_logical_devices("CPU")) != count:
            raise UserError(f"runtime.virtual_replicas={count} must be known before TensorFlow starts.") from error


def _name(config: RuntimeConfig) -> str:
    if config.strategy != "auto":
        return config.strategy
    if os.environ.get("TF_CONFIG"):
        return "multi_worker"
    return "mirrored" if len(tf.config.list_physical_devices("GPU")) > 1 or config.virtual_replicas else "one_device"


def _one_device(config, run):
    return tf.distribute.get_strategy()


def _mirrored(config, run):
    gpus = [] if config.virtual_replicas else tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        raise UserError(
            "--strategy=mirrored needs several devices, and there is one: give --strategy=one_device; to try it on a "
            "CPU, add --set runtime.virtual_replicas=2."
        )
    return _mirrored_on(tuple(device.name for device in devices))


@functools.cache  # in one process, two of them would take each other's messages for their own
def _mirrored_on(devices):
    return tf.distribute.MirroredStrategy(devices)


def _multi_worker(config, run):
    cluster = Cluster.from_environment()
    cluster.meet(run, config.worker_timeout)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise UserError(f"{cluster.addresses[cluster.index]} of TF_CONFIG cannot be used: {error.message}.") from error
    signal.signal(signal.SIGTERM, handler)  # TensorFlow has put one of its own in its place, which stops nothing
    return strategy


def _tpu(config, run):
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=os.environ.get("TPU_NAME", "local"))
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise UserError("--strategy=tpu finds no TPU: set TPU_NAME, or give another --strategy.") from error
    return tf.distribute.TPUStrategy(resolver)


_MAKERS = {"one_device": _one_device, "mirrored": _mirrored, "multi_worker": _multi_worker, "tpu": _tpu}


def describe(strategy: tf.distribute.Strategy, rows: int) -> Iterator[str]:
    """What the user should know of the replicas: a line, where there are several."""
    count = strategy.num_replicas_in_sync
    if count > 1:
        yield f"{count} replicas by {type(strategy).__name__}, {rows // count} of each batch's {rows} rows on each"


class Workers:
    """The processes that train one run together, and what they must agree on. Of one process, that is nothing."""

    def __init__(self, strategy: tf.distribute.Strategy):
        several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        self._strategy = strategy if several else None
        self.is_chief = not several or Cluster.from_environment().is_chief
        self._agreed = (-1, False)  # the last step after which they did, and on what
        self._sum = tf.function(lambda value: strategy.run(_sum_over_replicas, (value,)), autograph=False)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Tells of a lost worker in the body. WorkerLost."""
        try:
            yield
        except _LOST as error:
            if self._strategy is None:
                raise
            raise WorkerLost("another worker is gone or cannot be reached") from error

    def check_same(self, what: str, number: int, remedy: str) -> None:
        """UserError where `number` differs among the workers."""
        if self._strategy and self._means([number]) != [number]:
            raise UserError(f"The workers do not have the same {what} ({number:,} on this one): {remedy}.")

    def stopping(self, asked: Callable[[], bool], step: Callable[[], int]) -> Callable[[], bool]:
        """Whether any worker was asked to stop, so that all stop after the same step.

        Args:
            asked: whether this one was.
            step: the number of steps done; at each, all workers ask at least once.
        """
        if self._strategy is None:
            return asked

        def any_asked():
            if self._agreed[0] != step():
                self._agreed = step(), self._means([float(asked())]) != [0.0]
            return self._agreed[1]

        return any_asked

    def agreeing(self, evaluate: Callable[[], dict[str, float]] | None) -> Callable[[], dict[str, float]] | None:
        """The same evaluation with the mean of all workers' results, so that all draw the same conclusions."""
        if self._strategy is None or evaluate is None:
            return evaluate

        def mean():
            measured = evaluate()
            return dict(zip(measured, self._means(list(measured.values())), strict=True))

        return mean

    def _means(self, values: list[float]) -> list[float]:
        sums = self._strategy.experimental_local_results(self._sum(tf.constant(values, tf.float64)))[0]
        return [total / self._strategy.num_replicas_in_sync for total in sums.numpy().tolist()]


class Reading(Checkpoints):
    """Those of a worker that is not the chief: restores what the chief saved, and saves nothing."""

    def save(self, step: int) -> None:
        """Nothing: the chief does."""

    def save_best(self, step: int) -> None:
        """Nothing: the chief does."""


def silence() -> io.TextIOBase:
    """Where a worker prints that is not the chief."""
    return open(os.devnull, "w", encoding="utf-8")


def _sum_over_replicas(value):
    return tf.distribute.get_replica_context().all_reduce("sum", tf.identity(value))

"""On how many replicas a run runs: TensorFlow's own `tf.distribute` strategies, by name.

    strategy = make_strategy(config, run)
    workers = Workers(strategy)         # of several processes, the chief alone writes
    with workers.strategy.scope():
        trainer = make_trainer(experiment, texts)
"""

import contextlib
import functools
import os
import signal
from collections.abc import Callable, Iterator

import tensorflow as tf

from charrnn.errors import UserError
from trainers.configs import RuntimeConfig
from trainers.distribution.cluster import Cluster
from trainers.loop.checkpoints import Checkpoints
from trainers.loop.stopping import Stopped

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
    name = _name(config)
    if name == "mirrored":
        return _mirrored(bool(config.virtual_replicas))
    if name == "multi_worker":
        return _multi_worker(run, config.worker_timeout)
    return _tpu() if name == "tpu" else tf.distribute.get_strategy()


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


def _mirrored(on_cpu: bool) -> tf.distribute.Strategy:
    gpus = [] if on_cpu else tf.config.list_logical_devices("GPU")
    devices = gpus or tf.config.list_logical_devices("CPU")
    if len(devices) < 2:
        raise UserError(
            "--strategy=mirrored needs several devices, and there is one: give --strategy=one_device; to try it on a "
            "CPU, add --set runtime.virtual_replicas=2."
        )
    return _mirrored_on(tuple(device.name for device in devices))


@functools.cache  # in one process, two of them would take each other's messages for their own
def _mirrored_on(devices: tuple[str, ...]) -> tf.distribute.Strategy:
    return tf.distribute.MirroredStrategy(devices)


def _multi_worker(run: str, timeout: float) -> tf.distribute.Strategy:
    cluster = Cluster.from_environment()
    cluster.meet(run, timeout)
    handler = signal.getsignal(signal.SIGTERM)
    try:
        strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise UserError(f"{cluster.addresses[cluster.index]} of TF_CONFIG cannot be used: {error.message}.") from error
    signal.signal(signal.SIGTERM, handler)  # TensorFlow has put one of its own in its place, which stops nothing
    return strategy


def _tpu() -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=os.environ.get("TPU_NAME", "local"))
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise UserError("--strategy=tpu finds no TPU: set TPU_NAME, or give another --strategy.") from error
    return tf.distribute.TPUStrategy(resolver)


def describe(strategy: tf.distribute.Strategy, rows: int) -> Iterator[str]:
    """What the user should know of the replicas: a line, where there are several."""
    count = strategy.num_replicas_in_sync
    if count > 1:
        yield f"{count} replicas by {type(strategy).__name__}, {rows // count} of each batch's {rows} rows on each"


class Workers:
    """The processes that train one run together, and what they must agree on. Of one process, that is nothing."""

    def __init__(self, strategy: tf.distribute.Strategy):
        self.strategy = strategy
        self.several = isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)
        self.is_chief = not self.several or Cluster.from_environment().is_chief
        self._sum = tf.function(lambda value: strategy.run(_sum_over_replicas, (value,)), autograph=False)

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Tells of a lost worker in the body. WorkerLost."""
        try:
            yield
        except _LOST as error:
            if not self.several:
                raise
            raise WorkerLost("another worker is gone or cannot be reached") from error

    def check_same(self, what: str, number: int, remedy: str) -> None:
        """UserError where `number` differs among the workers."""
        if self.several and self._means([number]) != [number]:
            raise UserError(f"The workers do not have the same {what} ({number:,} on this one): {remedy}.")

    def agreeing_to_stop(self, look: Callable[[], None]) -> Callable[[], None]:
        """Raises Stopped on all workers after the same step, when any of them was asked to.

        Args:
            look: raises it where this one was.
        """
        if not self.several:
            return look

        def look_at_all() -> None:
            try:
                look()
                asked = 0.0
            except Stopped:
                asked = 1.0
            if self._means([asked]) != [0.0]:
                raise Stopped

        return look_at_all

    def mean(self, measured: dict[str, float]) -> dict[str, float]:
        """Of all workers' measurements, so that all draw the same conclusions."""
        if not self.several:
            return measured
        return dict(zip(measured, self._means(list(measured.values())), strict=True))

    def _means(self, values: list[float]) -> list[float]:
        sums = self.strategy.experimental_local_results(self._sum(tf.constant(values, tf.float64)))[0]
        return [total / self.strategy.num_replicas_in_sync for total in sums.numpy().tolist()]


class ReadOnlyCheckpoints(Checkpoints):
    """Those of a worker that is not the chief: restores what the chief saved, and saves nothing."""

    def save(self, step: int) -> None:
        """Nothing: the chief does."""

    def save_best(self, step: int) -> None:
        """Nothing: the chief does."""

    def keep_start(self) -> None:
        """Nothing: the chief does."""


def _sum_over_replicas(value: tf.Tensor) -> tf.Tensor:
    return tf.distribute.get_replica_context().all_reduce("sum", tf.identity(value))

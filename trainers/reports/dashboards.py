"""TensorBoard's tabs CUSTOM SCALARS and HPARAMS: which curves share a chart, and which settings distinguish runs."""

import re

from tensorboard.plugins.custom_scalar import layout_pb2

from trainers.experiment import registered
from trainers.run_directory.directory import flat

OPEN_LOOP_TAGS = "open loop"

_CHARTS = {
    "Loss": {
        "nats per character": ["nats_per_char"],
        "bits per character": ["bits_per_char"],
        "nats per character, by windows of 256": ["nats_per_char_window_256"],
    },
    "Curriculum": {
        "own inputs: probability and share": ["own_input_prob", "own_input_share"],
    },
    "Speed": {
        "characters per second": ["chars_per_sec"],
        "seconds of training": ["seconds"],
    },
    "Optimizer": {
        "learning rate": ["learning_rate"],
        "gradient norm before clipping": ["gradient_norm"],
        "skipped updates, roll-backs": ["skipped_updates", "roll_backs"],
    },
    "Open loop, over the position in a rollout; own: the model's text, real: the corpus's": {
        "KL divergence from the reference, nats": [f"{OPEN_LOOP_TAGS}/divergence"],
        "loss under the reference, nats per character": [f"{OPEN_LOOP_TAGS}/reference_loss"],
        "loss under the model, nats per character": [f"{OPEN_LOOP_TAGS}/nats_per_char"],
        "recovery after this many characters": [f"{OPEN_LOOP_TAGS}/recovery"],
    },
}
"""Category -> chart -> tags. The same for all runs, because TensorBoard merges the layouts of the runs it shows."""

_COMPARED = """
    experiment corpus seed trainer loop.steps runtime.precision runtime.xla
    data.order data.seq_length data.batch_size data.stride data.targets data.lowercase data.vocabulary
""".split()
_COMPARED_GROUPS = ("model.", "optimizer.", "trainer.")


def layout() -> layout_pb2.Layout:
    """Returns the layout of the tab CUSTOM SCALARS."""
    return layout_pb2.Layout(
        category=[
            layout_pb2.Category(title=category, chart=[_chart(title, tags) for title, tags in charts.items()])
            for category, charts in _CHARTS.items()
        ]
    )


def hyperparameters(settings: dict) -> dict[str, bool | int | float | str]:
    """Returns the hyperparameters of the tab HPARAMS: the settings that affect what a run learns.

    Args:
        settings: the nested settings in config.json.

    Returns:
        By name, "group.field".
    """
    found = flat(settings)
    found["trainer"] = registered(str(found.pop("trainer.class")))
    return {
        name: value if isinstance(value, bool | int | float | str) else str(value)
        for name, value in found.items()
        if name in _COMPARED or name.startswith(_COMPARED_GROUPS)
    }


def _chart(title: str, tags: list[str]) -> layout_pb2.Chart:
    patterns = [f"^{re.escape(tag)}$" for tag in tags]
    return layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=patterns))

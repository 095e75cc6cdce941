"""Tests the layout of TensorBoard's charts, and the hyperparameters by which TensorBoard tells runs apart."""

import re

from trainers.experiment import Experiment, override, to_dict, with_trainer
from trainers.reports.dashboards import hyperparameters, layout


def settings(*changes, trainer="teacher_forcing"):
    experiment = override(with_trainer(Experiment(), trainer), changes)
    return {"experiment": "one", **to_dict(experiment), "versions": {"tensorflow": "2.21.0"}}


def test_a_changed_setting_is_the_only_difference():
    plain = hyperparameters(settings())
    for change, value in {"model.units": 7, "optimizer.learning_rate": 0.5, "data.order": "lines"}.items():
        changed = hyperparameters(settings(f"{change}={value}"))
        assert dict(changed.items() - plain.items()) == {change: value} and changed.keys() == plain.keys()
    wanted = "experiment corpus seed trainer model.cell model.num_layers data.batch_size data.seq_length loop.steps"
    assert plain.keys() >= {*wanted.split(), "runtime.precision", "model.zoneout", "optimizer.weight_decay"}
    assert all(isinstance(value, bool | int | float | str) for value in plain.values())


def test_settings_that_a_resumed_run_may_change_tell_no_runs_apart():
    changes = ["loop.log_every=3", "samples.num_chars=5", "runtime.strategy=mirrored"]
    assert hyperparameters(settings(*changes)) == hyperparameters(settings())


def test_hyperparameters_have_the_curriculums_name_and_fields():
    plain, spans = hyperparameters(settings()), hyperparameters(settings("trainer.length=3", trainer="spans"))
    assert (plain["trainer"], spans["trainer"], spans["trainer.length"]) == ("teacher_forcing", "spans", 3)
    own = settings()
    own["trainer"]["class"] = "my_curriculum:Ramp"
    assert hyperparameters(own)["trainer"] == "my_curriculum:Ramp"


def test_chart_titles_are_distinct_and_each_tag_is_in_one_chart():
    charts = [chart for category in layout().category for chart in category.chart]
    assert len({chart.title for chart in charts}) == len(charts)
    patterns = [re.compile(tag) for chart in charts for tag in chart.multiline.tag]
    matching = {
        tag: sum(bool(pattern.match(tag)) for pattern in patterns)
        for tag in ("nats_per_char", "nats_per_char_window_256", "own_input_share", "open loop/nats_per_char", "x")
    }
    assert matching == {**dict.fromkeys(matching, 1), "x": 0}

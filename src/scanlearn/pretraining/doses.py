"""How many steps the passes over the data are."""

from __future__ import annotations

import math

from scanlearn.config.run import RunConfig
from scanlearn.pretraining.method import Method


def dosed(method: Method, config: RunConfig) -> RunConfig:
    """Return a pre-training whose passes are steps, and rounds of them.

    A round has the passes that were asked for, and there are no more rounds than fit
    into the steps that the configuration allows. A training without passes stays as it
    is.
    """
    engine = config.engine
    if engine.passes is None:
        return config
    wanted = engine.passes * method.steps_a_pass(config)
    steps = min(engine.steps, math.ceil(wanted / engine.accumulate))
    rounds = max(1, min(engine.rounds, engine.steps // max(1, steps)))
    seen = engine.passes * min(1.0, steps * engine.accumulate / wanted)
    changes = {"steps": steps, "rounds": rounds, "passes": seen}
    return config.model_copy(update={"engine": engine.model_copy(update=changes)})

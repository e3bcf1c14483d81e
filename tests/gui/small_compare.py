"""``scanlearn compare`` in miniature: a verdict on made-up scores, and its picture."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

from scanlearn.comparison.picture import draw_curves
from scanlearn.comparison.verdict import judge
from scanlearn.runs.events import Finished, Step


def main() -> None:
    words = sys.argv[1:]
    out = Path(words[words.index("--out") + 1])
    out.mkdir(parents=True)
    (out / "words.json").write_text(json.dumps(words))
    print(Step(step=1, values={"total": 4.0}).model_dump_json(), flush=True)
    scratch = {1: [0.5, 0.51, 0.49], 2: [0.6, 0.61, 0.59]}
    verdict = judge({1: [0.6, 0.61, 0.6], 2: [0.7, 0.71, 0.7]}, scratch, score="dice")
    draw_curves(verdict, out / "curves.png", score="dice")
    (out / "verdict.json").write_text(json.dumps(asdict(verdict)))
    print(Finished(step=4).model_dump_json(), flush=True)


main()

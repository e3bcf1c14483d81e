"""``scanlearn search`` in miniature: all scans of the cohort, in order of key."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from scanlearn.cohort.catalogue import Cohort
from scanlearn.runs.events import Finished, Step


def main() -> None:
    words = sys.argv[1:]
    at = [word.removeprefix("--at=") for word in words if word.startswith("--at=")]
    print(Step(step=1, values={"total": 1.0}).model_dump_json(), flush=True)
    hits = []
    for number, record in enumerate(Cohort(words[2]).records()):
        hit = {"scan": record.key, "patient": record.patient}
        hit["similarity"] = 0.9 - 0.1 * number
        if at:
            x, y, z = map(float, at[0].split(","))
            hit |= {"x": x + 10, "y": y, "z": z - 20}
        hits.append(hit)
    Path(words[words.index("--out") + 1]).write_text(json.dumps(hits))
    print(Finished(step=len(hits)).model_dump_json(), flush=True)


main()

"""``scanlearn suggest`` in miniature: all scans, once a file allows it."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from scanlearn.cohort.catalogue import Cohort
from scanlearn.runs.events import Finished, Step


def main() -> None:
    words = sys.argv[1:]
    print(Step(step=1, values={"total": 2.0}).model_dump_json(), flush=True)
    while not Path(os.environ["SMALL_SUGGEST_GO"]).exists():
        time.sleep(0.02)
    keys = Cohort(words[2]).keys()
    found = [{"key": key, "doubt": 0.4, "novelty": 0.1} for key in keys]
    Path(words[words.index("--out") + 1]).write_text(json.dumps(found))
    print(Finished(step=len(found)).model_dump_json(), flush=True)


main()

"""Our bake, telling what the process that drives it took itself, beside its workers.

    python -m benchmarks.baselines.driver FLAG…

The flags are those of `beam_pipelines.prepare`. What the driver does, listing, planning and
handing out tasks, is done by one process however many workers there are.
"""

from __future__ import annotations

import resource
import sys

from beam_pipelines import prepare
from benchmarks.harness import compare


def main() -> int:
    code = prepare.COMMAND.run()
    if not code:
        used = resource.getrusage(resource.RUSAGE_SELF)
        compare.report(driver_cpu=used.ru_utime + used.ru_stime)
    return code


if __name__ == "__main__":
    sys.exit(main())

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import spawn
from pathlib import Path

from tfrecords.system import processes

# No `if __name__ == "__main__"`: a worker that imported it would start workers of its own.
SCRIPT = """\
print("once", flush=True)
import os
from concurrent.futures import ProcessPoolExecutor
from tfrecords.system import processes
with ProcessPoolExecutor(2, mp_context=processes.spawn_context()) as pool:
    print(len({os.getpid(), *pool.map(abs, [-1, -2])}), flush=True)
"""


def test_workers_do_not_run_the_callers_script_again(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(tmp_path / "script.py")],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "once\n3\n"


def test_other_peoples_processes_are_prepared_as_ever() -> None:
    before = spawn.get_preparation_data
    with ProcessPoolExecutor(1, mp_context=processes.spawn_context()) as pool:
        assert pool.submit(os.getpid).result() != os.getpid()
    assert spawn.get_preparation_data is before

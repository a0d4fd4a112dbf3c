"""All of a Dataflow submission but the submission: Beam's own dry run, which needs no account."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("apache_beam.runners.dataflow.internal.apiclient")
pytest.importorskip("google.cloud.storage", reason="needs evenshard[dataflow]")

ROOT = Path(__file__).parents[2]

# A process of its own: Beam's Google modules warn of much that is not ours.
_DRY_RUN = """
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from beam_pipelines.config import PrepareConfig
from beam_pipelines.steps.canonicalise import BundleTask
from beam_pipelines.pipeline import BakeDataset

config = PrepareConfig(
    input_dir="gs://some-bucket/in", output_dir="gs://some-bucket/out", runner="DataflowRunner"
)
assert config.workers == 0, config.workers
root = beam.Pipeline(options=PipelineOptions([
    "--runner=DataflowRunner", "--project=some-project", "--region=europe-west1",
    "--temp_location=gs://some-bucket/tmp", "--staging_location=gs://some-bucket/staging",
    "--dry_run=True", "--setup_file=./setup.py",
]))
tasks = [BundleTask(str(i), "l", "c", (), config.image, config.limits) for i in range(2)]
root | "ListBundles" >> beam.Create(tasks, reshuffle=True) | BakeDataset(config, 2)
root.run()
components = root.runner.job.proto_pipeline.components
names = [t.unique_name for t in components.transforms.values()
         if t.spec.urn == "beam:transform:group_by_key:v1"]
staged = b" ".join(
    artifact.type_payload for environment in components.environments.values()
    for artifact in environment.dependencies
).decode(errors="replace")
print("SHUFFLES", sorted(name.split("/")[-3 if "Spread" in name else -1] for name in names))
print("STAGED", "evenshard-" in staged and ".tar.gz" in staged)
"""


def test_a_job_for_dataflow_is_whole() -> None:
    pytest.importorskip("build", reason="--setup_file needs it")
    done = subprocess.run(
        [sys.executable, "-c", _DRY_RUN],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "SHUFFLES" in done.stdout and "GroupFacts" in done.stdout
    assert "SpreadCopies" in done.stdout and "SpreadShards" in done.stdout
    assert "STAGED True" in done.stdout

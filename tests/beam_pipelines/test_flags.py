from __future__ import annotations

import sys

import pytest

from beam_pipelines import flags
from beam_pipelines.flags import check_beam_flags
from tests.support.bakes.prepare_configs import config_of
from tfrecords.errors import UsageError


def test_beam_options_pass_and_its_workers_decode() -> None:
    given = ("--runner=FlinkRunner", "--job_name=x", "--region", "r")
    found = config_of(*given)
    assert found.beam_options == given[1:]
    assert found.beam_arguments == given
    assert found.workers == 0


def test_beams_flags_may_be_spelled_with_dashes() -> None:
    assert config_of("--job-name=x", "--no-use-public-ips").beam_options == (
        "--job_name=x",
        "--no_use_public_ips",
    )


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ("--regio=r", "did you mean --region?"),
        ("--per-clas=10", "unknown flag --per-clas; did you mean --per_class?"),
        ("--per_clas=10", "unknown flag --per_clas; did you mean --per_class?"),
        ("--perclass=10", "did you mean --per_class?"),
        ("--job-nam=x", "did you mean --job_name?"),
        ("--input=x", "did you mean --input_dir?"),
        ("--no-such-thing-at-all", "--help lists all flags"),
        ("stray", "unexpected argument 'stray'"),
        ("-x", "unknown flag -x"),
        ("--job_name=x stray", "unexpected argument 'stray'"),
        ("--save_main_session stray", "unexpected argument 'stray'"),
        ("--job_name x stray", "unexpected argument 'stray'"),
    ],
)
def test_what_nobody_knows_is_refused(wrong: str, said: str) -> None:
    """Beam itself drops an unknown flag in silence: another data set would be baked."""
    with pytest.raises(UsageError) as refused:
        config_of(*wrong.split())
    assert said in str(refused.value)


def test_without_beam_its_flags_are_not_known_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    note = r"Beam's own flags need Beam \(pip install 'evenshard\[beam\]'\)"
    with pytest.raises(UsageError, match=f"unknown flag --region; .*{note}"):
        config_of("--region=r")
    with pytest.raises(
        UsageError, match=f"unknown flag --perclass; did you mean --per_class.*{note}"
    ):
        config_of("--perclass=3")
    with pytest.raises(UsageError, match="unexpected argument 'stray'"):
        config_of("stray")
    assert config_of("--per_class=3").per_class == 3


def test_every_flag_of_beam_is_accepted() -> None:
    known = check_beam_flags(["--zzz"]).known
    assert {"region", "project", "temp_location", "direct_num_workers"} <= set(known)
    assert not check_beam_flags([f"--{name}=x" for name in known]).refused
    assert not check_beam_flags(["--region", "r", "--save_main_session"]).refused


@pytest.mark.parametrize(
    ("arguments", "here"),
    [
        (["--runner=local"], True),
        (["--runner=local", "--direct_running_mode=multi_processing"], False),
        (["--runner=FnApiRunner"], True),
        (["--runner=FnApiRunner", "--direct_running_mode=multi_processing"], False),
        (["--runner=PrismRunner"], False),
    ],
)
def test_steps_run_here_on_the_plain_local_runner_only(arguments: list[str], here: bool) -> None:
    assert flags.runs_here(arguments) is here


@pytest.mark.parametrize(
    ("arguments", "needed"),
    [
        (["--runner=local"], False),
        (["--runner=local", "--temp_location=gs://b/tmp"], False),
        (["--runner=local", "--direct_running_mode=multi_threading"], True),
        (["--runner=FnApiRunner"], True),
        (["--runner=FlinkRunner"], True),
        ([], True),
    ],
)
def test_only_a_runner_of_beam_needs_beam(arguments: list[str], needed: bool) -> None:
    assert flags.needs_beam(arguments) is needed


def test_a_mode_of_beam_makes_local_its_local_runner() -> None:
    pytest.importorskip("apache_beam")
    options = flags.beam_options(["--runner=local", "--direct_running_mode=multi_threading"])
    assert options.get_all_options()["runner"] == "FnApiRunner"

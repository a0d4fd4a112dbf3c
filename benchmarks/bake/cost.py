"""What a bake would cost on rented workers, from what was measured here and prices you give.

    python -m benchmarks.bake.cost [--pictures=1000000,100000000] [--cpu_ms=3] [--price_vcpu_hour=…]

`--cpu_ms` and the bytes are of your pictures: `prepare --plan_only` measures them on a sample.
Prices are parameters; their defaults are an example, not a quotation: look them up for your
region and day.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass


@dataclass(frozen=True)
class Measured:
    """What one picture takes.

    Attributes:
      cpu_ms: of one core, all stages together, copies included in proportion.
      source_bytes: read.
      record_bytes: written twice, to a pack and to a shard, and read once between.
      fact_bytes: through the one shuffle of facts, and as a task's share through another.
      read_ms: until a source's bytes have come; a local disk's is 0.
    """

    cpu_ms: float
    source_bytes: float
    record_bytes: float
    fact_bytes: float
    read_ms: float


@dataclass(frozen=True)
class Prices:
    """In one currency.

    Attributes:
      vcpu_hour: of a worker's core.
      gb_hour: of a worker's memory.
      gb_shuffled: through the engine's shuffle.
      thousand_reads: GET requests of the object store.
    """

    vcpu_hour: float
    gb_hour: float
    gb_shuffled: float
    thousand_reads: float


@dataclass(frozen=True)
class Bill:
    """What it comes to.

    Attributes:
      vcpu_hours: that workers are rented for.
      cores, memory, shuffle, reads: parts of the price.
    """

    vcpu_hours: float
    cores: float
    memory: float
    shuffle: float
    reads: float

    @property
    def total(self) -> float:
        return self.cores + self.memory + self.shuffle + self.reads


def bill(
    pictures: int, measured: Measured, prices: Prices, threads: int = 12, gb_per_vcpu: float = 3.75
) -> Bill:
    """Returns what `pictures` cost.

    Args:
      threads: bundles that a core works on at once; a read makes only its own thread wait.
      gb_per_vcpu: memory of a worker for each of its cores.
    """
    # Reads overlap with decoding: the slower of the two sets the pace.
    hours = pictures * max(measured.cpu_ms, measured.read_ms / threads) / 3.6e6
    return Bill(
        vcpu_hours=hours,
        cores=hours * prices.vcpu_hour,
        memory=hours * gb_per_vcpu * prices.gb_hour,
        shuffle=pictures * measured.fact_bytes / 1e9 * prices.gb_shuffled,
        reads=pictures / 1000 * prices.thousand_reads,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", default="1000000,100000000")
    parser.add_argument("--threads", type=int, default=12, help="bundles a core has under way")
    parser.add_argument("--gb_per_vcpu", type=float, default=3.75)
    for name, default, help in (
        ("cpu_ms", 3.0, "of one core for a picture"),
        ("source_bytes", 14_000, "of a picture as it is read"),
        ("record_bytes", 20_000, "of a picture as it is written"),
        ("fact_bytes", 300, "through shuffles for a picture"),
        ("read_ms", 30.0, "until the store has sent a picture"),
        ("price_vcpu_hour", 0.056, "example: a worker's core"),
        ("price_gb_hour", 0.0036, "example: a worker's memory"),
        ("price_gb_shuffled", 0.011, "example: the engine's shuffle"),
        ("price_thousand_reads", 0.0004, "example: GET requests"),
    ):
        parser.add_argument(f"--{name}", type=float, default=default, help=f"{help} ({default})")
    flags = parser.parse_args()
    measured = Measured(
        flags.cpu_ms, flags.source_bytes, flags.record_bytes, flags.fact_bytes, flags.read_ms
    )
    prices = Prices(
        flags.price_vcpu_hour,
        flags.price_gb_hour,
        flags.price_gb_shuffled,
        flags.price_thousand_reads,
    )
    print(
        "pictures      vCPU-hours  cores   memory  shuffle    reads    total   read GB  stored GB"
    )
    for text in flags.pictures.split(","):
        pictures = int(text)
        found = bill(pictures, measured, prices, flags.threads, flags.gb_per_vcpu)
        print(
            f"{pictures:<13,} {found.vcpu_hours:10.1f} {found.cores:6.2f} {found.memory:8.2f} "
            f"{found.shuffle:8.2f} {found.reads:8.2f} {found.total:8.2f} "
            f"{pictures * measured.source_bytes / 1e9:9,.0f} "
            f"{pictures * 2 * measured.record_bytes / 1e9:10,.0f}"
        )


if __name__ == "__main__":
    main()

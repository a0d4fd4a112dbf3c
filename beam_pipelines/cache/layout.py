"""Where a bake keeps its files while it works."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from beam_pipelines.cache import storage
from beam_pipelines.flag_rules import identity
from tfrecords import manifest

if TYPE_CHECKING:
    from beam_pipelines.config import PrepareConfig

# The file that a task writes last, beside its pack or shard: where it exists, the rest is
# complete. A bundle's holds its facts, a pack of copies' its contents, a shard's its sources.
FACTS = ".facts"
COPIES = ".copies"
SHARD_DONE = ".done"


@dataclass(frozen=True, slots=True)
class Layout:
    """The directories of a bake.

    Attributes:
      output_dir: the data set.
      pixels_digest: identifies everything that canonical images depend on.
      copies_digest: identifies everything that augmented copies depend on.
    """

    output_dir: str
    pixels_digest: str
    copies_digest: str

    @classmethod
    def of(cls, config: PrepareConfig) -> Layout:
        """Returns the directories of a bake, which are named by what their files depend on."""
        pixels = identity.pixels_digest(config)
        copies = manifest.digest_of_config(
            {
                "pixels": pixels,
                "seed": config.seed,
                "augment": [operation.value for operation in config.augment],
                "rules": identity.RULES,  # Copies are few, and do not tell what they are of.
            }
        )[:12]
        return cls(config.output_dir, pixels, copies)

    @property
    def cache_dir(self) -> str:
        """The directory that is removed after a bake, unless the cache is kept."""
        return storage.join(self.output_dir, ".cache")

    @property
    def canonical_dir(self) -> str:
        """Packs of canonical images."""
        return storage.join(self.cache_dir, f"canonical-{self.pixels_digest}")

    @property
    def copies_dir(self) -> str:
        """Packs of augmented copies."""
        return storage.join(self.cache_dir, f"copies-{self.copies_digest}")

    @property
    def listing_dir(self) -> str:
        """The listed sources of each bundle."""
        return storage.join(self.cache_dir, "listing")

    @property
    def staging_dir(self) -> str:
        """Shards before they are published."""
        return storage.join(self.cache_dir, "shards")

    @property
    def spool_dir(self) -> str:
        """The plain form of a compressed tar that is the input."""
        return storage.join(self.cache_dir, "spool")

    @property
    def directories(self) -> tuple[str, ...]:
        """Every directory that a bake writes to."""
        return (
            self.output_dir,
            self.canonical_dir,
            self.copies_dir,
            self.listing_dir,
            self.staging_dir,
        )

    def listing(self, bundle: int) -> str:
        """Returns the path of a bundle's `SourceFile` rows, JSON lines."""
        return storage.join(self.listing_dir, f"{bundle:05d}.jsonl")

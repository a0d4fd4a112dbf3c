"""The steps that workers run: canonicalise, copies, shards, publish."""

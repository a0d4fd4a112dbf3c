"""Balance policies and class sizes for property tests."""

from __future__ import annotations

from hypothesis import strategies as st

from beam_pipelines.balance_policy import BalancePolicy

counts_lists = st.lists(st.integers(0, 60), min_size=1, max_size=6).filter(any)
policies = st.one_of(
    st.builds(BalancePolicy),
    st.integers(1, 80).map(lambda n: BalancePolicy(n, n)),
    st.integers(1, 80).map(lambda n: BalancePolicy(min_per_class=n)),
    st.integers(1, 80).map(lambda n: BalancePolicy(max_per_class=n)),
    st.floats(0, 1).map(lambda alpha: BalancePolicy(power=alpha)),
    st.floats(0, 0.9999).map(lambda beta: BalancePolicy(effective_beta=beta)),
)

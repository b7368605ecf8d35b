"""How often 95 % intervals over seeds and samples hold the truth, on made-up data with a known effect.

    python bench/seed_intervals.py            # the table of docs/studies.md
    python bench/seed_intervals.py --tries 500

Differences of two cells are drawn as effect + training (per seed) + sample + rest (per seed and sample), samples of a
seed or shared. Ways: ``t`` is what studies use (statistics/over_seeds.py); the percentiles of a bootstrap that
draws seeds, and within each its samples; bootstrap-t with the standard error of the seeds' means.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Callable

import numpy as np

from trifacet.statistics.over_seeds import over_seeds

EFFECT = 0.3
SEEDS, SAMPLES = (3, 5, 10), 60
KINDS = {"training and samples": (0.1, 1.0), "training alone": (0.3, 0.05), "samples alone": (0.0, 1.0)}


def drawn(rng: np.random.Generator, kind: str, seeds: int, samples: int, *, crossed: bool, skewed: bool) -> np.ndarray:
    """Differences by seed and sample, (S, U), whose expectation is EFFECT."""
    of_training, of_samples = KINDS[kind]

    def noise(*shape: int) -> np.ndarray:
        return rng.exponential(1.0, shape) - 1.0 if skewed else rng.standard_normal(shape)

    own = noise(samples) if crossed else 0.0
    rest = noise(seeds, samples)
    spread = of_samples * (own + rest) / np.sqrt(2.0) if crossed else of_samples * rest
    return EFFECT + of_training * rng.standard_normal((seeds, 1)) + spread


def by_t(table_SU: np.ndarray, crossed: bool, rng: np.random.Generator, draws: int) -> tuple[float, float]:
    """What a study gives."""
    found = over_seeds(table_SU.mean(axis=1).tolist(), list(table_SU), crossed=crossed).interval()
    assert found is not None
    return found


def resampled(table_SU: np.ndarray, crossed: bool, rng: np.random.Generator, draws: int) -> np.ndarray:
    """Draws of seeds and of samples within each (shared: of samples for all seeds), (D, S) means."""
    seeds, samples = table_SU.shape
    chosen_DS = rng.integers(0, seeds, (draws, seeds))
    if crossed:
        weights_DU = rng.multinomial(samples, np.full(samples, 1 / samples), size=draws) / samples
        return np.take_along_axis(weights_DU @ table_SU.T, chosen_DS, axis=1)
    weights_DSU = rng.multinomial(samples, np.full(samples, 1 / samples), size=(draws, seeds)) / samples
    return np.einsum("dsu,dsu->ds", weights_DSU, table_SU[chosen_DS])


def by_percentiles(table_SU: np.ndarray, crossed: bool, rng: np.random.Generator, draws: int) -> tuple[float, float]:
    """The hierarchical bootstrap's."""
    low, high = np.quantile(resampled(table_SU, crossed, rng, draws).mean(axis=1), [0.025, 0.975]).tolist()
    return low, high


def by_bootstrap_t(table_SU: np.ndarray, crossed: bool, rng: np.random.Generator, draws: int) -> tuple[float, float]:
    """The same draws, studentised by the spread of their seeds."""
    means_DS = resampled(table_SU, crossed, rng, draws)
    seeds, value = len(table_SU), float(table_SU.mean())
    error_D = means_DS.std(axis=1, ddof=1) / np.sqrt(seeds)
    kept = error_D > 0
    t_low, t_high = np.quantile((means_DS.mean(axis=1)[kept] - value) / error_D[kept], [0.025, 0.975])
    error = float(table_SU.mean(axis=1).std(ddof=1)) / np.sqrt(seeds)
    return value - float(t_high) * error, value - float(t_low) * error


WAYS: dict[str, Callable[..., tuple[float, float]]] = {
    "t": by_t, "percentiles": by_percentiles, "bootstrap-t": by_bootstrap_t,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tries", type=int, default=1000)
    parser.add_argument("--draws", type=int, default=400)
    options = parser.parse_args()
    print(f"| samples | what varies | seeds | {' | '.join(WAYS)} |\n|---|---|---:|{'---:|' * len(WAYS)}")
    for crossed, kind, seeds in itertools.product((False, True), KINDS, SEEDS):
        rng = np.random.default_rng([17, crossed, seeds, len(kind)])
        held = dict.fromkeys(WAYS, 0)
        for _ in range(options.tries):
            table_SU = drawn(rng, kind, seeds, SAMPLES, crossed=crossed, skewed=False)
            for name, way in WAYS.items():
                low, high = way(table_SU, crossed, rng, options.draws)
                held[name] += low <= EFFECT <= high
        cells = " | ".join(f"{100 * count / options.tries:.1f}" for count in held.values())
        print(f"| {'shared' if crossed else 'own'} | {kind} | {seeds} | {cells} |", flush=True)


if __name__ == "__main__":
    main()

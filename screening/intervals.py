"""Intervals of measured shares, and whether two differ beyond chance."""

from math import exp, lgamma, sqrt


def wilson(successes: int, total: int, z: float = 1.959964) -> tuple[float, float]:
    """The Wilson score interval (95 %) of a share (E. B. Wilson 1927); (0, 1) where nothing was counted."""
    if total == 0:
        return 0.0, 1.0
    share = successes / total
    centre = share + z * z / (2 * total)
    margin = z * sqrt(share * (1 - share) / total + z * z / (4 * total * total))
    return max(0.0, (centre - margin) / (1 + z * z / total)), min(1.0, (centre + margin) / (1 + z * z / total))


def tails(hits: int, n: int, all_hits: int, total: int) -> tuple[float, float]:
    """Fisher's exact test of `n` of `total`: how likely at least, and at most, `hits` of all `all_hits` fall among them by chance."""
    first, last = max(0, n - (total - all_hits)), min(n, all_hits)

    def logged(k: int) -> float:
        return _choose(all_hits, k) + _choose(total - all_hits, n - k) - _choose(total, n)

    def summed(places: range) -> float:
        return min(1.0, sum(exp(logged(k)) for k in places))

    return summed(range(hits, last + 1)), summed(range(first, hits + 1))


def _choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)

"""Protects: metrics are chosen by name, each once and in one order; a slip is refused with what there is."""

from __future__ import annotations

import pytest

from latcomp.errors import UsageError
from latcomp.metrics.choice import DEFAULT_METRICS, FURTHER_METRICS, MEMBERS, METRICS, metrics_of


def test_a_list_is_put_in_order_and_freed_of_repeats() -> None:
    assert metrics_of("vmaf, psnr,vmaf") == ("psnr", "vmaf") == metrics_of(["vmaf", "psnr"])
    assert metrics_of(METRICS) == tuple(METRICS) == DEFAULT_METRICS + FURTHER_METRICS
    assert set(MEMBERS) == set(FURTHER_METRICS)


@pytest.mark.parametrize("names", ["", "psnr,", "lpips", [], ["psnr", "VMAF"]])
def test_what_is_not_known_is_refused(names: str | list[str]) -> None:
    with pytest.raises(UsageError, match="choose from psnr, ssim, ms-ssim, vmaf, xpsnr, st-lpips"):
        metrics_of(names)


def test_a_benchmark_knows_fewer() -> None:
    with pytest.raises(UsageError, match="'psnr' unknown: choose from vmaf, xpsnr, st-lpips"):
        metrics_of("psnr", FURTHER_METRICS)

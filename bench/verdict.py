"""The bounds that zstackd has to keep, each with the figure that was measured."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bench.costs import Footprint, Live, Race
from bench.metrics import Scores
from bench.quality import Outcome

OURS = "zstackd"
COST_PEER = "FocusWeave"
MEAN_LEAD_DB = 3.0
CASE_LAG_DB = 0.2
CASE_LAG_SSIM = 0.002
RING_SHARE = 0.5
CHROMA_LEVELS = 1.0
ALIGN_PX = 0.25
DEPTH_MEDIAN, DEPTH_RMSE = 0.12, 0.5
NOISY = frozenset({"noise"})
"""Cases whose noise is not ordinary: no bound on depth."""
COST_SHARE = 1 / 3
DECODE_RATIO = 3.0
BYTES_PER_PX = 60.0
LOW_SHARE = 0.5
GROWTH = 1.25
"""A frame or a pixel may cost this much more in a larger stack: caches are finite."""
LATE_FRAMES = 1.5


@dataclass(frozen=True, slots=True)
class Check:
    """One requirement. `bound` says what the figure must keep; an `aim` is told, not required."""

    what: str
    figure: str
    bound: str
    passed: bool
    aim: bool = False

    @property
    def verdict(self) -> str:
        """For the table."""
        if self.passed:
            return "pass"
        return "aim missed" if self.aim else "**fail**"


@dataclass(frozen=True, slots=True)
class Table:
    """Outcomes by case and tool."""

    outcomes: Sequence[Outcome]
    peers: Sequence[str]

    @property
    def cases(self) -> list[str]:
        """In the order in which they were run."""
        return list(dict.fromkeys(one.case for one in self.outcomes))

    def of(self, tool: str, case: str) -> Outcome | None:
        """One outcome, None where the tool did not run."""
        return next((o for o in self.outcomes if (o.tool, o.case) == (tool, case)), None)

    def scores(self, tool: str, case: str) -> Scores | None:
        """None where the tool did not run or failed."""
        found = self.of(tool, case)
        return found.scores if found else None

    def mean_psnr_db(self, tool: str) -> float | None:
        """Over all cases; None unless the tool managed every one of them."""
        got = [self.scores(tool, case) for case in self.cases]
        return statistics.fmean(s.psnr_db for s in got if s) if all(got) else None

    def best_peer(self, case: str, what: str) -> float | None:
        """Highest `psnr_db` or `ssim` among the peers on a case."""
        got = [getattr(s, what) for peer in self.peers if (s := self.scores(peer, case))]
        return max(got, default=None)

    def mean_ring(self, tool: str) -> float | None:
        """Over the cases with objects."""
        got = [s.ring for case in self.cases if (s := self.scores(tool, case))]
        rings = [ring for ring in got if ring is not None]
        return statistics.fmean(rings) if rings else None


def quality_checks(table: Table, cleanest_frame: float | None) -> Iterator[Check]:
    """Of picture, alignment and height."""
    yield from _every_case(table)
    yield from _against_peers(table)
    ours = [(o.case, o) for o in table.outcomes if o.tool == OURS]
    judged = [(case, o.scores) for case, o in ours if o.scores]
    worst, chroma = max(((s.chroma, case) for case, s in judged), default=(0.0, ""))[::-1]
    yield Check(f"colour: greatest mean chroma error ({worst})", f"{chroma:.2f} levels",
                f"< {CHROMA_LEVELS:.0f} level", chroma < CHROMA_LEVELS)  # fmt: skip
    flats = [s.flat for _, s in judged if s.flat is not None]
    if flats and cleanest_frame is not None:
        yield Check("noise in flat places against the cleanest single frame",
                    f"{max(flats):.2f} levels", f"< {cleanest_frame:.2f}",
                    max(flats) < cleanest_frame)  # fmt: skip
    yield from _alignment_checks(ours)
    yield from _depth_checks(ours)


def _every_case(table: Table) -> Iterator[Check]:
    failed = [o.case for o in table.outcomes if o.tool == OURS and o.error]
    lost = sum(o.left_out for o in table.outcomes if o.tool == OURS)
    yield Check("cases that end with a picture", f"{len(table.cases) - len(failed)}",
                f"{len(table.cases)}", not failed)  # fmt: skip
    yield Check("good frames left out", f"{lost}", "0", lost == 0)


def _against_peers(table: Table) -> Iterator[Check]:
    means = [m for peer in table.peers if (m := table.mean_psnr_db(peer)) is not None]
    mean = table.mean_psnr_db(OURS)
    if means and mean is not None:
        yield Check("mean PSNR over the best peer's", f"{mean - max(means):+.2f} dB",
                    f"≥ +{MEAN_LEAD_DB:.0f} dB", mean - max(means) >= MEAN_LEAD_DB)  # fmt: skip
    for case in table.cases:
        yield from _case_checks(table, case)
    rings = [ring for peer in table.peers if (ring := table.mean_ring(peer)) is not None]
    ring = table.mean_ring(OURS)
    if rings and ring is not None:
        share = ring / min(rings)
        yield Check("ring error as a share of the best peer's", f"{share:.2f}",
                    f"≤ {RING_SHARE}", share <= RING_SHARE)  # fmt: skip


def _case_checks(table: Table, case: str) -> Iterator[Check]:
    ours = table.scores(OURS, case)
    psnr, ssim = table.best_peer(case, "psnr_db"), table.best_peer(case, "ssim")
    if ours is None or psnr is None or ssim is None:
        return
    yield Check(f"{case}: PSNR over the case's best peer", f"{ours.psnr_db - psnr:+.2f} dB",
                f"≥ -{CASE_LAG_DB} dB", ours.psnr_db - psnr >= -CASE_LAG_DB)  # fmt: skip
    yield Check(f"{case}: SSIM over the case's best peer", f"{ours.ssim - ssim:+.4f}",
                f"≥ -{CASE_LAG_SSIM}", ours.ssim - ssim >= -CASE_LAG_SSIM)  # fmt: skip


def _alignment_checks(ours: Iterable[tuple[str, Outcome]]) -> Iterator[Check]:
    for case, one in ours:
        if one.align_px is not None:
            yield Check(f"{case}: alignment, RMS over the field", f"{one.align_px:.3f} px",
                        f"≤ {ALIGN_PX} px", one.align_px <= ALIGN_PX)  # fmt: skip


def _depth_checks(ours: Iterable[tuple[str, Outcome]]) -> Iterator[Check]:
    for case, one in ours:
        if one.depth is None or case in NOISY:
            continue
        good = one.depth.median <= DEPTH_MEDIAN and one.depth.rmse <= DEPTH_RMSE
        yield Check(f"{case}: depth, median absolute error and RMSE on textured ground",
                    f"{one.depth.median:.3f}, {one.depth.rmse:.2f} planes",
                    f"≤ {DEPTH_MEDIAN}, ≤ {DEPTH_RMSE}", good)  # fmt: skip


def race_checks(races: Iterable[Race]) -> Iterator[Check]:
    """Processor and wall time against the peer, and against decoding."""
    for one in races:
        ours, peer = one.costs[OURS], one.costs.get(COST_PEER)
        if peer is not None:
            for what, a, b in (("CPU", ours.cpu_s, peer.cpu_s), ("wall", ours.wall_s, peer.wall_s)):
                yield Check(f"{one.stack}: {what} time as a share of {COST_PEER}'s", f"{a / b:.2f}",
                            "≤ 0.33", a / b <= COST_SHARE)  # fmt: skip
        ratio = ours.cpu_s / one.decode.cpu_s
        yield Check(f"{one.stack}: CPU time over that of decoding", f"{ratio:.1f}",
                    f"< {DECODE_RATIO:.0f} (aim)", ratio < DECODE_RATIO, aim=True)  # fmt: skip


def growth_checks(planes: Sequence[Footprint], pixels: Sequence[Footprint]) -> Iterator[Check]:
    """Whether time is linear: the largest stack costs no more for each than the one before.

    With the program's start in both figures; as an aim, without it.
    """
    for what, runs, amount in (
        ("frame", planes, [float(run.planes) for run in planes]),
        ("megapixel", pixels, [run.megapixels for run in pixels]),
    ):
        if len(runs) < 3:
            continue
        cpu = [run.cost.cpu_s for run in runs]
        whole = (cpu[-1] / amount[-1]) / (cpu[-2] / amount[-2])
        yield Check(f"CPU time per {what}, at {amount[-1]:.3g} over at {amount[-2]:.3g}",
                    f"{whole:.2f}", f"≤ {GROWTH}", whole <= GROWTH)  # fmt: skip
        first = (cpu[-2] - cpu[0]) / (amount[-2] - amount[0])
        last = (cpu[-1] - cpu[-2]) / (amount[-1] - amount[-2])
        yield Check(f"the same of a further {what}, over those from {amount[0]:.3g} on",
                    f"{last / first:.2f}", f"≤ {GROWTH} (aim)", last / first <= GROWTH,
                    aim=True)  # fmt: skip


def memory_checks(runs: Iterable[Footprint], low: Footprint | None, same: Footprint | None) -> (
    Iterator[Check]
):  # fmt: skip
    """Bytes per pixel of each run; `low` beside `same`, which is the same stack by default."""
    listed = list(runs)
    for run in listed:
        yield Check(f"peak memory per pixel, {run.stack}", f"{run.bytes_per_px:.0f} bytes",
                    f"≤ {BYTES_PER_PX:.0f}", run.bytes_per_px <= BYTES_PER_PX)  # fmt: skip
    if low is not None and same is not None:
        share = low.bytes_per_px / same.bytes_per_px
        yield Check("memory: low, as a share of the default", f"{share:.2f}", f"≤ {LOW_SHARE}",
                    share <= LOW_SHARE)  # fmt: skip


def live_checks(live: Live) -> Iterator[Check]:
    """How late the finished image is after the last frame."""
    late = live.finish_s / live.frame_s
    yield Check("live: image complete after the last frame, in times of one frame's stacking",
                f"{late:.2f}", f"≤ {LATE_FRAMES}", late <= LATE_FRAMES)  # fmt: skip

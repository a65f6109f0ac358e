"""Each tool on each case: run, register, judge; peers' results are kept for the next run."""

import hashlib
import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.metrics import DepthScores, Scores, depth_scores, flat_mask, noise, scores
from bench.motion import compose, inverse, rms_over_field
from bench.peers import Tool
from bench.process import Cost, ToolError
from bench.register import luminance, registered
from bench.render import hash_of
from bench.truth import Truth

Floats = NDArray[np.float32]
_KEPT = "outcome.json"
_JUDGES = ("metrics", "quality", "register", "truth")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tool made of a case. `align_px`: RMS error of its own transforms over the field."""

    tool: str
    case: str
    cost: Cost | None
    scores: Scores | None
    depth: DepthScores | None = None
    align_px: float | None = None
    left_out: int = 0
    error: str = ""


JUDGE_VERSION = hash_of(_JUDGES)
"""Eight digits that change with any source of the metrics."""


def work_of(tool: Tool, truth: Truth, out: Path) -> Path:
    """Where what a tool makes of a case is kept."""
    key = hashlib.sha256(f"{tool.version}|{truth.folder.name}".encode()).hexdigest()[:8]
    return out / "outputs" / tool.name / f"{truth.name}_{key}"


def outcome(tool: Tool, truth: Truth, out: Path, *, fresh: bool) -> Outcome:
    """Run `tool` on a case, or take what was kept of an earlier run (where not `fresh`)."""
    work = work_of(tool, truth, out)
    kept = work / _KEPT
    if not fresh and kept.exists():
        record = json.loads(kept.read_text("utf-8"))
        if record["judge"] == JUDGE_VERSION:
            return _loaded(record["outcome"])
        cost = Cost(**record["outcome"]["cost"]) if record["outcome"]["cost"] else None
        made = _judged(tool, truth, work, cost)
    else:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        made = _run(tool, truth, work)
    kept.write_text(
        json.dumps({"judge": JUDGE_VERSION, "outcome": asdict(made)}, indent=1), "utf-8"
    )
    return made


def _run(tool: Tool, truth: Truth, work: Path) -> Outcome:
    still = bool(truth.case["still"])
    try:
        cost = tool.fuse(truth.frames, picture_path(work), work, still=still)
    except (ToolError, OSError) as error:
        return Outcome(tool.name, truth.name, None, None, error=str(error))
    for layer in work.glob("aligned_*"):
        layer.unlink()
    return _judged(tool, truth, work, cost)


def picture_path(work: Path) -> Path:
    """Where a tool is told to write."""
    return work / "fused.png"


def read_levels(path: Path) -> Floats:
    """A picture as (H, W, 3) float32, levels 0 to 255."""
    pixels = cv2.imread(str(path), cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR)
    if pixels is None:
        raise ToolError(f"{path}: no picture was written")
    scale = 257.0 if pixels.dtype == np.uint16 else 1.0
    return np.asarray(pixels, np.float32) / np.float32(scale)


def _judged(tool: Tool, truth: Truth, work: Path, cost: Cost | None) -> Outcome:
    try:
        found = registered(read_levels(picture_path(work)), truth)
    except ToolError as error:
        return Outcome(tool.name, truth.name, cost, None, error=str(error))
    depth = None
    if (work / "depth.tif").exists():
        planes, sureness = (
            np.asarray(cv2.imread(str(work / name), cv2.IMREAD_UNCHANGED), np.float32)
            for name in ("depth.tif", "confidence.tif")
        )
        depth = depth_scores(planes, sureness, found.view)
    align_px, left_out = _alignment(work / "report.json", truth)
    return Outcome(
        tool.name, truth.name, cost, scores(found.image, found.view), depth, align_px, left_out
    )


def _alignment(report: Path, truth: Truth) -> tuple[float | None, int]:
    """RMS error over field and frames of the transforms in zstackd's report; frames left out."""
    if not report.exists():
        return None, 0
    described = json.loads(report.read_text("utf-8"))
    reference = truth.matrix(described["reference_index"])
    errors = []
    for frame in described["frames"]:
        if frame["used"]:
            known = compose(reference, inverse(truth.matrix(frame["index"])))
            told = np.array(frame["transform"])
            errors.append(rms_over_field(told, known, truth.size_px))
    left_out = len(described["frames"]) - len(errors)
    return float(np.sqrt(np.mean(np.square(errors)))), left_out


def cleanest_frame_noise(truth: Truth) -> float | None:
    """Least noise of any single frame in bare places, in levels; None without such places."""
    view = truth.view(truth.middle, truth.size_px)
    mask = flat_mask(view)
    if not mask.any():
        return None
    theirs = luminance(view.image)
    return min(noise(luminance(read_levels(path)) - theirs, mask) for path in truth.frames)


def _loaded(record: dict[str, Any]) -> Outcome:
    parts: dict[str, Any] = dict(record)
    for name, kind in (("cost", Cost), ("scores", Scores), ("depth", DepthScores)):
        if parts[name] is not None:
            parts[name] = kind(**parts[name])
    return Outcome(**parts)


def all_outcomes(
    tools: Sequence[Tool],
    truths: Iterable[Truth],
    out: Path,
    *,
    fresh: frozenset[str],
    kept_only: frozenset[str] = frozenset(),
) -> list[Outcome]:
    """Case after case, the tools in turn.

    Those named in `fresh` run again whatever was kept; those in `kept_only` never run.
    """
    made = []
    for truth in truths:
        for tool in tools:
            if tool.name in kept_only and not (work_of(tool, truth, out) / _KEPT).exists():
                continue
            made.append(outcome(tool, truth, out, fresh=tool.name in fresh))
            print(line(made[-1]), flush=True)
    return made


def line(one: Outcome) -> str:
    """One outcome as a line of text."""
    head = f"{one.case:10s} {one.tool:12s}"
    if one.scores is None or one.cost is None:
        return f"{head} failed: {one.error}"
    got = one.scores
    text = f"{head} {got.psnr_db:6.2f} dB  SSIM {got.ssim:.4f}  chroma {got.chroma:.2f}"
    text += "" if got.ring is None else f"  ring {got.ring:5.2f}"
    text += "" if got.flat is None else f"  flat {got.flat:4.2f}"
    text += f"  {one.cost.cpu_s:5.1f} s CPU  {one.cost.peak_mb:5.0f} MB"
    if one.depth is not None:
        text += f"  depth {one.depth.median:.3f}/{one.depth.rmse:.2f}"
    text += "" if one.align_px is None else f"  align {one.align_px:.3f} px"
    return text + (f"  left out {one.left_out}" if one.left_out else "")

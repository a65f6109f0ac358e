"""Renders a case to a folder: frames as a camera would write them, and the truth.

    frames/frame_000.jpg …   sharp.png (16 bits, encoded as the frames are, canvas geometry)
    depth.tif (planes)       masks.png (bit 1: covered by an object, bit 2: textured ground)
    case.json (canvas to frame matrices, gains)

A folder is made under another name and renamed when it is whole, so a folder that exists is one
that can be used; its name carries the hash of the generator's sources.
"""

import ast
import hashlib
import json
import shutil
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from bench.cases import CASES, Case
from bench.motion import Matrix
from bench.optics import encode, vignette

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8] | NDArray[np.uint16] | Floats
_SOURCES = ("cases", "motion", "optics", "render", "scene", "texture", "things")
COVERED, TEXTURED = 1, 2
JPEG_QUALITY = 95


def hash_of(names: Iterable[str]) -> str:
    """Eight digits that change with what modules of this package do, not with their comments."""
    digest = hashlib.sha256()
    for name in names:
        source = Path(__file__).with_name(f"{name}.py").read_text("utf-8")
        digest.update(ast.unparse(ast.parse(source)).encode())
    return digest.hexdigest()[:8]


GENERATOR_VERSION = hash_of(_SOURCES)
"""Eight digits that change with the generator's sources."""


def folder_of(case: Case, root: Path) -> Path:
    """Where a case lies once rendered."""
    width, height = case.size_px
    return root / f"{case.name}_{width}x{height}x{case.planes}_{GENERATOR_VERSION}"


def render_all(cases: Iterable[Case], root: Path, workers: int) -> dict[str, Path]:
    """Render what is not there yet; the folder of each case by its name."""
    wanted = list(cases)
    missing = [case for case in wanted if not folder_of(case, root).exists()]
    if missing:
        with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
            jobs = {
                pool.submit(_render_named, case.name, case.size_px, case.planes, root): case
                for case in missing
            }
            for job in as_completed(jobs):
                job.result()
                print(f"rendered {jobs[job].name}", flush=True)
    return {case.name: folder_of(case, root) for case in wanted}


def _render_named(name: str, size_px: tuple[int, int], planes: int, root: Path) -> None:
    cv2.setNumThreads(1)
    render(CASES[name].of_size(size_px, planes), root)


def render(case: Case, root: Path) -> Path:
    """Render one case; its folder."""
    folder = folder_of(case, root)
    if folder.exists():
        return folder
    partial = folder.with_name(f".{folder.name}")
    shutil.rmtree(partial, ignore_errors=True)
    (partial / "frames").mkdir(parents=True)
    built = case.build(case, np.random.default_rng(case.seed), case.canvas)
    rng = np.random.default_rng(case.seed + 1000)
    canvas_px = (case.canvas[1], case.canvas[0])
    transforms = case.motion.transforms(
        rng, planes=case.planes, size_px=case.size_px, canvas_px=canvas_px
    )
    gains = np.clip(1 + case.flicker * rng.standard_normal(case.planes), 0.8, 1.2)
    shading = vignette(case.size_px, case.vignette)
    for plane in range(case.planes):
        seen = _through_lens(built.scene.at(plane), transforms[plane], case.size_px)
        frame = case.sensor.expose(seen * shading * float(gains[plane]), rng)
        _write(partial / "frames" / f"frame_{plane:03d}{case.suffix}", frame)
    depth, cover = built.scene.depth()
    masks = COVERED * (cover > 0.02) + TEXTURED * built.textured
    _write(partial / "sharp.png", np.rint(encode(built.scene.sharp()) * 257).astype(np.uint16))
    _write(partial / "depth.tif", depth)
    _write(partial / "masks.png", masks.astype(np.uint8))
    (partial / "case.json").write_text(_description(case, transforms, gains), encoding="utf-8")
    partial.rename(folder)
    return folder


def _description(case: Case, transforms: list[Matrix], gains: NDArray[np.float64]) -> str:
    return json.dumps(
        {
            "name": case.name,
            "what": case.what,
            "planes": case.planes,
            "size_px": case.size_px,
            "slope_px": case.slope_px,
            "vignette": case.vignette,
            "still": case.motion.still,
            "gains": gains.tolist(),
            "canvas_to_frame": [matrix.tolist() for matrix in transforms],
        },
        indent=1,
    )


def _through_lens(canvas: Floats, matrix: Matrix, size_px: tuple[int, int]) -> Floats:
    warped = cv2.warpAffine(canvas, matrix, size_px, flags=cv2.INTER_LANCZOS4)
    return np.maximum(np.asarray(warped, np.float32), 0)


def _write(path: Path, pixels: Pixels) -> None:
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if path.suffix == ".jpg" else []
    if not cv2.imwrite(str(path), pixels, options):
        raise OSError(f"{path}: could not be written")

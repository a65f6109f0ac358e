"""Procedural surfaces in linear light: 1/f spectra with edges and fine detail.

All colours are (H, W, 3) float32 in blue, green, red order, about 0 to 1.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rng = np.random.Generator


def fractal(rng: Rng, shape: tuple[int, int], *, beta: float, highest: float = 0.5) -> Floats:
    """Gaussian field of unit variance whose amplitude falls as 1/f**beta, up to `highest` c/px."""
    height, width = shape
    f_y = np.fft.fftfreq(height)[:, None]
    f_x = np.fft.rfftfreq(width)[None, :]
    f = np.hypot(f_y, f_x)
    f[0, 0] = 1.0
    amplitude = f**-beta * (f <= highest)
    amplitude[0, 0] = 0.0
    phase = rng.random(f.shape) * (2 * np.pi)
    field = np.fft.irfft2(amplitude * np.exp(1j * phase), s=shape)
    return np.asarray(field / field.std(), dtype=np.float32)


def band(rng: Rng, shape: tuple[int, int], size_px: float) -> Floats:
    """Gaussian field of unit variance with features of about `size_px`."""
    noise = rng.standard_normal(shape, dtype=np.float32)
    inner = cv2.GaussianBlur(noise, (0, 0), size_px / 2)
    field = inner - cv2.GaussianBlur(inner, (0, 0), size_px)
    return np.asarray(field / field.std(), dtype=np.float32)


def smooth_field(rng: Rng, shape: tuple[int, int], size_px: float) -> Floats:
    """Smooth field from 0 to 1 without features smaller than `size_px`."""
    cells = (max(3, round(shape[0] / size_px) + 3), max(3, round(shape[1] / size_px) + 3))
    grid = rng.standard_normal(cells).astype(np.float32)
    field = cv2.GaussianBlur(
        cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_CUBIC), (0, 0), size_px / 3
    )
    low, high = float(field.min()), float(field.max())
    return np.asarray((field - low) / (high - low), dtype=np.float32)


def palette(rng: Rng, count: int, *, hue: float, spread: float) -> Floats:
    """`count` related colours around `hue` (0 to 1), of different lightness, (count, 3)."""
    hues = (hue + spread * rng.standard_normal(count)) % 1.0
    hsv = np.stack(
        [hues * 360, rng.uniform(0.15, 0.6, count), rng.uniform(0.18, 0.6, count)], axis=-1
    ).astype(np.float32)
    return np.asarray(cv2.cvtColor(hsv[None], cv2.COLOR_HSV2BGR)[0], dtype=np.float32)


def _grains(rng: Rng, shape: tuple[int, int], colours: Floats, size_px: float) -> Floats:
    """Irregular patches of one colour each, with sharp borders, as in a rock or tissue section."""
    field = smooth_field(rng, shape, size_px) + 0.06 * fractal(rng, shape, beta=1.6)
    edges = np.quantile(field[::8, ::8], np.linspace(0, 1, 2 * len(colours) + 1)[1:-1])
    label = np.digitize(field, edges) % len(colours)
    return np.asarray(colours[label], dtype=np.float32)


def _specks(rng: Rng, shape: tuple[int, int], per_megapixel: float) -> Floats:
    """Coverage (0 to 1) of dots and short scratches."""
    canvas = np.zeros(shape, np.uint8)
    count = int(per_megapixel * shape[0] * shape[1] / 1e6)
    points = (rng.random((count, 2)) * (shape[1], shape[0]) * 16).astype(int)
    for x, y in points[: count * 2 // 3]:
        radius = int(16 * rng.uniform(0.7, 3.5))
        cv2.circle(canvas, (int(x), int(y)), radius, 255, -1, cv2.LINE_AA, 4)
    for x, y in points[count * 2 // 3 :]:
        length, angle = 16 * rng.uniform(8, 60), rng.uniform(0, 2 * np.pi)
        end = (int(x + length * np.cos(angle)), int(y + length * np.sin(angle)))
        cv2.line(canvas, (int(x), int(y)), end, 200, 1, cv2.LINE_AA, 4)
    return np.asarray(canvas / 255, np.float32)


def surface(
    rng: Rng,
    shape: tuple[int, int],
    *,
    hue: float = 0.1,
    level: float = 0.25,
    contrast: float = 1.0,
    bare: float = 0.0,
) -> Floats:
    """Rough coloured surface of mean about `level`; a share `bare` of it is left without detail."""
    colours = palette(rng, 5, hue=hue, spread=0.08)
    colours = colours / colours.mean() * level
    texture = _grains(rng, shape, colours, 90.0)
    modulation = 0.16 * fractal(rng, shape, beta=1.1) + 0.09 * band(rng, shape, 2.0)
    modulation += 0.08 * band(rng, shape, 7.0)
    cover = np.ones(shape, np.float32)
    if bare > 0:
        smooth = smooth_field(rng, shape, 160.0)
        cover = (smooth > np.quantile(smooth[::8, ::8], bare)).astype(np.float32)
    specks = _specks(rng, shape, 900.0) * cover
    sign = np.where(smooth_field(rng, shape, 120.0) > 0.5, 0.55, -0.6).astype(np.float32)
    gain = np.exp((modulation + sign * specks) * cover)
    mean = texture.mean(axis=(0, 1), keepdims=True)
    texture = np.where(cover[..., None] > 0.5, texture, mean * 1.1)
    return np.asarray(mean + contrast * (texture * gain[..., None] - mean), dtype=np.float32)

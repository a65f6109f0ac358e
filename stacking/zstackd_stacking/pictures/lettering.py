"""Short labels on pictures, with the µ that Pillow's built-in typeface lacks."""

from dataclasses import dataclass

from PIL import ImageDraw, ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

_MICRO = "µ"
_DESCENDER_SHARE = 0.38


@dataclass(frozen=True, slots=True)
class Pen:
    """Writes centred labels of one size and colour."""

    draw: ImageDraw.ImageDraw
    font: Font
    ink: tuple[int, int, int]

    def write(self, text: str, *, middle: float, top: float) -> None:
        """Write `text` below `top`, centred on `middle`; a µ is a u with its stem drawn down."""
        x, y = round(middle - self.length(text) / 2), round(top)
        for letter in _pieces(text):
            glyph = "u" if letter == _MICRO else letter
            if letter == _MICRO:
                self._stem(x, y)
            self.draw.text((x, y), glyph, fill=self.ink, font=self.font, anchor="la")
            x += round(self.font.getlength(glyph))

    def length(self, text: str) -> float:
        """Width of `text` in pixels."""
        return float(self.font.getlength(text.replace(_MICRO, "u")))

    def _stem(self, x: int, top: int) -> None:
        left, upper, _, bottom = self.draw.textbbox((x, top), "u", font=self.font, anchor="la")
        depth = round((bottom - upper) * _DESCENDER_SHARE)
        for offset, cover in enumerate(_stem_cover(self.font)):
            if cover:
                column = round(left) + offset
                shade = tuple(round(255 - (255 - part) * cover) for part in self.ink)
                ends = (column, round(bottom) - depth, column, round(bottom) + depth - 1)
                self.draw.line(ends, fill=shade)


def _stem_cover(font: Font) -> list[float]:
    """How much of each pixel column, 0 to 1, the left upright stroke of a font's u covers."""
    mask = font.getmask("u")
    return [mask[column] / 255 for column in range(mask.size[0] // 2)]


def _pieces(text: str) -> list[str]:
    """`text` cut before and after each µ."""
    spaced = text.replace(_MICRO, f"\0{_MICRO}\0")
    return [piece for piece in spaced.split("\0") if piece]

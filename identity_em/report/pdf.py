"""A figure as PDF from its SVG: the few shapes that our drawings use, text as text, in the light palette.

Only the fonts that every reader has are named, none is embedded; a character that they lack becomes a question mark.
"""

import re
import zlib
from typing import Final
from xml.etree import ElementTree

_COLOURS: Final = {
    "ink": (0.11, 0.11, 0.11), "mute": (0.36, 0.36, 0.36), "line": (0.79, 0.79, 0.79), "grid": (0.93, 0.93, 0.93),
    "paper": (1.0, 1.0, 1.0), "a": (0.0, 0.45, 0.70), "b": (0.75, 0.30, 0.0), "c": (0.0, 0.48, 0.37),
    "d": (0.54, 0.31, 0.49),
}  # fmt: skip
# class -> fill, stroke, width, dashed; the counterpart of templates/figure.css
_STYLES: Final[dict[str, tuple[str, str, float, bool]]] = {
    "axis": ("", "line", 1, False), "grid": ("", "grid", 1, False), "zero": ("", "mute", 1, False),
    "dash": ("", "mute", 1, True), "edge": ("", "line", 1.3, False), "band": ("grid", "", 1, False),
    "node": ("paper", "mute", 1, False), "ghost": ("", "line", 1, True), "focus": ("paper", "b", 1.6, False),
    "ink": ("ink", "ink", 1, False), "a": ("a", "a", 1, False), "b": ("b", "b", 1, False), "c": ("c", "c", 1, False),
    "d": ("d", "d", 1, False), "cool": ("a", "", 1, False), "warm": ("b", "", 1, False),
    "plain": ("mute", "", 1, False), "outline": ("", "ink", 1.2, False), "lead": ("", "line", 0.8, False),
}  # fmt: skip
_WIDTHS: Final = dict(zip(map(chr, range(32, 127)), (
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333, 278, 278, *([556] * 10), 278, 278, 584, 584,
    584, 556, 1015, 667, 667, 722, 722, 667, 611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667, 611,
    722, 667, 944, 667, 667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278, 556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500, 500, 334, 260, 334, 584,
), strict=True))  # fmt: skip
_SYMBOLS: Final = {"→": (b"\xae", 987), "−": (b"-", 549)}  # in the font Symbol
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?")
_SVG: Final = "{http://www.w3.org/2000/svg}"


def render(svg: str) -> bytes:
    """One page as large as the drawing; the same drawing gives the same bytes."""
    root = ElementTree.fromstring(svg)
    width, height = float(root.get("width", "1")), float(root.get("height", "1"))
    parts = [f"1 0 0 -1 0 {height:.2f} cm 0.8 w".encode()]  # the drawing counts from the top
    states: dict[str, float] = {}
    for element in root:
        parts += _drawn(element, states)
    return _document(width, height, b"\n".join(parts), states)


def _drawn(element: ElementTree.Element, states: dict[str, float]) -> list[bytes]:
    match element.tag.removeprefix(_SVG):
        case "path":
            return _shape(element, _path(element.get("d", "")), states)
        case "rect":
            x, y, w, h = (float(element.get(name, "0")) for name in ("x", "y", "width", "height"))
            return _shape(element, f"{x:.2f} {y:.2f} {w:.2f} {h:.2f} re", states)
        case "circle":
            x, y, r = (float(element.get(name, "0")) for name in ("cx", "cy", "r"))
            return _shape(element, _circle(x, y, r), states)
        case "polygon":
            points = element.get("points", "").replace(",", " ").split()
            pairs = [" ".join(points[i : i + 2]) for i in range(0, len(points), 2)]
            return _shape(element, f"{pairs[0]} m " + " ".join(f"{pair} l" for pair in pairs[1:]) + " h", states)
        case "text":
            return _text(element)
        case _:
            return []


def _path(d: str) -> str:
    """Moves, lines and one curve: all that our drawings hold."""
    out = []
    for command, numbers in re.findall(r"([MLC])([^MLC]*)", d):
        out.append(" ".join(_NUMBER.findall(numbers)) + {"M": " m", "L": " l", "C": " c"}[command])
    return " ".join(out)


def _circle(x: float, y: float, r: float) -> str:
    k = 0.5523 * r  # four Bezier quarters
    curves = ((r, k, k, r, 0, r), (-k, r, -r, k, -r, 0), (-r, -k, -k, -r, 0, -r), (k, -r, r, -k, r, 0))
    bent = [" ".join(f"{(x, y)[i % 2] + v:.2f}" for i, v in enumerate(curve)) + " c" for curve in curves]
    return f"{x + r:.2f} {y:.2f} m " + " ".join(bent)


def _shape(element: ElementTree.Element, path: str, states: dict[str, float]) -> list[bytes]:
    classes = element.get("class", "").split()
    fill, stroke, width, dashed = next((_STYLES[name] for name in classes if name in _STYLES), ("", "ink", 1.0, False))
    if {"bar", "tick", "seed", "thin"} & set(classes):
        fill, width = "", 2.0 if {"bar", "tick"} & set(classes) else 1.0
    out = [f"{width} w {'[3 3]' if dashed else '[]'} 0 d"]
    out += [_rgb(fill) + " rg"] if fill else []
    out += [_rgb(stroke) + " RG"] if stroke else []
    clear = float(element.get("fill-opacity", "0.55" if "tick" in classes else "1"))
    name = f"G{round(100 * clear)}"
    states[name] = clear
    paint = "B" if fill and stroke else "f" if fill else "S"
    return [f"q /{name} gs {' '.join(out)} {path} {paint} Q".encode()]


def _rgb(name: str) -> str:
    return " ".join(f"{value:.3f}" for value in _COLOURS[name])


def _text(element: ElementTree.Element) -> list[bytes]:
    classes = set(element.get("class", "").split())
    size = 11 if "small" in classes else 12
    tail = next(iter(element), None)
    runs = [(element.text or "", "Bold" if "bold" in classes else "Plain", "mute" if "mute" in classes else "ink")]
    if tail is not None:
        runs.append(("  " + (tail.text or ""), "Plain", "mute"))
    length = sum(_length(text) for text, *_ in runs) * size / 1000
    x = float(element.get("x", "0")) - {"middle": length / 2, "end": length}.get(element.get("text-anchor", ""), 0.0)
    out = [f"q BT 1 0 0 -1 {x:.2f} {float(element.get('y', '0')):.2f} Tm".encode()]  # upright again
    for text, font, colour in runs:
        out.append(f"{_rgb(colour)} rg".encode())
        for piece in re.split("([→−])", text):
            code = _SYMBOLS[piece][0] if piece in _SYMBOLS else piece.encode("cp1252", "replace")
            if piece:
                face = "Symbol" if piece in _SYMBOLS else font
                out.append(f"/{face} {size} Tf <{code.hex()}> Tj".encode())
    return [b" ".join([*out, b"ET Q"])]


def _length(text: str) -> int:
    return sum(_SYMBOLS[c][1] if c in _SYMBOLS else _WIDTHS.get(c, 556) for c in text)


def _document(width: float, height: float, content: bytes, states: dict[str, float]) -> bytes:
    packed = zlib.compress(content, 9)
    faces = {"Plain": "Helvetica", "Bold": "Helvetica-Bold", "Symbol": "Symbol"}
    fonts = " ".join(
        f"/{name} << /Type /Font /Subtype /Type1 /BaseFont /{face}"
        + ("" if face == "Symbol" else " /Encoding /WinAnsiEncoding")
        + " >>"
        for name, face in faces.items()
    )
    clear = " ".join(f"/{name} << /ca {value:.2f} /CA {value:.2f} >>" for name, value in sorted(states.items()))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width:.2f} {height:.2f}] /Contents 4 0 R "
        f"/Resources << /Font << {fonts} >> /ExtGState << {clear} >> >> >>".encode(),
        f"<< /Length {len(packed)} /Filter /FlateDecode >>\nstream\n".encode() + packed + b"\nendstream",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    table = "".join(f"{place:010d} 00000 n \n" for place in places)
    end = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}trailer\n"
    return out + (end + f"<< /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n").encode()

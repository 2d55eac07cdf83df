"""Pictures of the book: score maps laid over images, yellow crosses, the image grid and the slider.

Arrays in, HTML out; everything is embedded, so a page needs no other file and no network.

Geometry: a score map of (n, m) cells covers the square canvas on which the image lies top-left (the `stretch`
mapping of Section 6); resized to the canvas and cropped to the image, it lies over the image.
"""

import base64
import html
import io
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from wsl.pages.show import Html

YELLOW = "#ffdd33"  # the crosses of Figure 6


@dataclass(frozen=True)
class Remote:
    """A photograph that is not here: its size in pixels, and the public address that a reader's browser may load it from."""

    width: int
    height: int
    address: str

    @property
    def shape(self) -> tuple[int, int]:
        return self.height, self.width


def data_uri(image: np.ndarray, format: str = "jpeg", width: int = 10_000, quality: int = 85) -> str:
    """uint8 (H, W, 3) as a data URI, reduced to `width` pixels if it is wider. `format`: png or jpeg."""
    buffer = io.BytesIO()
    options = {"quality": quality} if format == "jpeg" else {"optimize": True}
    Image.fromarray(resize_to(np.asarray(image, np.uint8), width)).save(buffer, format, **options)
    return f"data:image/{format};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def resize_to(image: np.ndarray, width: int) -> np.ndarray:
    """uint8 (H, W, 3) reduced to `width` pixels wide, or left as it is where narrower."""
    if image.shape[1] <= width:
        return image
    height = max(1, round(image.shape[0] * width / image.shape[1]))
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def on_square(image: np.ndarray) -> np.ndarray:
    """The image top-left on a grey square of its longest side: the canvas that the network sees."""
    height, width = image.shape[:2]
    side = max(height, width)
    return np.pad(image, ((0, side - height), (0, side - width), (0, 0)), constant_values=127)


def stretch(score_map: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A map (n, m) of the square canvas -> float32 (H, W) over the image that lies on it top-left."""
    height, width = shape[:2]
    side = max(height, width)
    full = Image.fromarray(np.asarray(score_map, np.float32)).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(full)[:height, :width]


def overlay(image: np.ndarray, score_map: np.ndarray, low: float, high: float) -> np.ndarray:
    """The image in grey, the score map over it: transparent at `low`, bright at `high`. uint8 (H, W, 3)."""
    from matplotlib import colormaps  # a page of `wsl evaluate` shows crosses alone, and does without

    heat = np.clip((stretch(score_map, image.shape) - low) / max(high - low, 1e-9), 0, 1)
    grey = np.repeat(image.mean(axis=2, keepdims=True), 3, axis=2) * 0.85
    alpha = 0.85 * heat[..., None]
    return ((1 - alpha) * grey + alpha * 255 * colormaps["inferno"](heat)[..., :3]).astype(np.uint8)


def over_image(image: np.ndarray, score_map: np.ndarray) -> np.ndarray:
    """`overlay` with the map's own range."""
    return overlay(image, score_map, float(score_map.min()), float(score_map.max()))


def img(image: np.ndarray, alt: str, width: int = 420) -> str:
    """An `<img>` that fills its box."""
    return f'<img src="{data_uri(image, width=width, quality=80)}" alt="{html.escape(alt)}" style="width:100%">'


def with_boxes(image: np.ndarray, boxes) -> np.ndarray:
    """uint8 (H, W, 3) with boxes (x0, y0, x1, y1), white on a dark rim."""
    shown = Image.fromarray(image)
    draw = ImageDraw.Draw(shown)
    for box in boxes:
        draw.rectangle(tuple(map(float, box)), outline="black", width=4)
        draw.rectangle(tuple(np.asarray(box, float) + (1, 1, -1, -1)), outline="white", width=2)
    return np.asarray(shown)


def with_points(image: np.ndarray | Remote, points, alt: str, width: int = 420, boxes=(), quality: int = 85) -> str:
    """The image with a yellow cross and a label for each point (Figure 6): an SVG, crisp at any size.

    `points`: (x, y, label) in pixels of the image; `boxes`: (x0, y0, x1, y1), drawn thin and dashed. A `Remote` image is an
    empty ground until its reader asks for the photograph (`photographs_button`).
    """
    height, full = image.shape[:2]
    unit = full / 100  # line widths and letters follow the picture's width
    marks = [_box(box, unit) for box in boxes] + [_cross(x, y, unit) for x, y, _ in points]
    marks += _labels(points, full, unit)
    if isinstance(image, Remote):
        source = f'data-address="{html.escape(image.address)}"'
    else:
        source = f'href="{data_uri(image, width=width, quality=quality)}"'
    return (
        f'<svg role="img" aria-label="{html.escape(alt)}" viewBox="0 0 {full} {height}" class="wsl-ground" '
        f'style="width:100%;max-width:{width}px;height:auto;display:block">'
        f'<image {source} width="{full}" height="{height}"/>'
        f"{''.join(marks)}</svg>"
    )


def photographs_button(host: str) -> Html:
    """The button that loads the photographs of a page from `host` (wsl-photographs.js); nothing where there is none."""
    if not host:
        return Html("")
    return Html(
        f'<p class="wsl-photographs"><button type="button" hidden>Load the photographs from {html.escape(host)}</button> '
        '<span role="status">This page holds no photograph and has requested none: it shows boxes, crosses and score maps. '
        f"The button, which needs a network, loads the photographs that are in view from {html.escape(host)}, the server of "
        "the data set; that server then learns your address. They are under the terms of their authors.</span></p>"
    )


def _box(box, unit: float) -> str:
    x0, y0, x1, y1 = box
    place = f'x="{x0:.1f}" y="{y0:.1f}" width="{x1 - x0:.1f}" height="{y1 - y0:.1f}" fill="none"'
    dashes = f'stroke-width="{0.5 * unit:.2f}" stroke-dasharray="{2 * unit:.1f}"'
    return f'<rect {place} stroke="#000" stroke-width="{unit:.2f}"/><rect {place} stroke="#fff" {dashes}/>'


def _cross(x: float, y: float, unit: float) -> str:
    arm = 3 * unit
    path = f"M{x - arm:.1f},{y:.1f}h{2 * arm:.1f}M{x:.1f},{y - arm:.1f}v{2 * arm:.1f}"
    lines = [(1.7, "#000"), (1.0, YELLOW)]  # a dark rim keeps the cross visible on bright ground
    return "".join(f'<path d="{path}" stroke="{colour}" stroke-width="{w * unit:.2f}"/>' for w, colour in lines)


def _labels(points, full: int, unit: float) -> list[str]:
    """Labels beside their crosses: turned inwards at the right edge, moved down where they would overlap."""
    size, taken, out = 4.6 * unit, [], []
    for x, y, label in sorted(points, key=lambda point: point[1]):
        length = 0.68 * size * len(label)
        right = x + 4 * unit + length <= full or x - 4 * unit < length
        left = min(x + 4 * unit, max(0, full - length)) if right else x - 4 * unit - length
        baseline = max(y - unit, size)
        while any(abs(baseline - b) < 1.1 * size and left < r and l < left + length for l, r, b in taken):  # noqa: E741
            baseline += 0.3 * size
        taken.append((left, left + length, baseline))
        out.append(
            f'<text x="{left if right else left + length:.1f}" y="{baseline:.1f}" '
            f'text-anchor="{"start" if right else "end"}" font-size="{size:.1f}" font-weight="600" '
            f'font-family="system-ui, sans-serif" fill="{YELLOW}" stroke="#000" '
            f'stroke-width="{0.9 * unit:.2f}" paint-order="stroke">{html.escape(label)}</text>'
        )
    return out


def gallery(cards, columns: int = 3, caption: str = "") -> Html:
    """Cards (html, words) side by side, `columns` a row at most, fewer on a narrow screen; one figure where it has a caption."""
    if not cards:
        return Html("<p>No picture to show.</p>")
    size = f"minmax(min(100%,max({90 // columns}%,11rem)),1fr)"
    style = f"display:grid;grid-template-columns:repeat(auto-fill,{size});gap:.8rem;align-items:start"
    note = "font-size:.85em;line-height:1.3;padding-top:.2rem"
    items = "".join(f'<div>{body}<div style="{note}">{words}</div></div>' for body, words in cards)
    body = f'<div class="wsl-gallery" style="{style}">{items}</div>'
    return Html(f"<figure>{body}{_caption(caption)}</figure>" if caption else body)


def grid(columns, row_labels, caption: str = "") -> Html:
    """Figure 1: a grid of pictures, one column an image and one row an epoch, as in the paper.

    `columns`: list of (title, [(uint8 image, alt), ...]), one entry a row label.
    """
    cells = ["<div></div>"]
    cells += [f'<div style="text-align:center">{html.escape(title)}</div>' for title, _ in columns]
    for row, label in enumerate(row_labels):
        cells.append(f'<div style="align-self:center;white-space:nowrap">{html.escape(label)}</div>')
        cells += [img(*entries[row], width=240) for _, entries in columns]
    template = f"grid-template-columns:4.5em repeat({len(columns)},minmax(0,1fr))"
    style = f"display:grid;{template};gap:.3rem;font-size:min(.85em,2.5vw);align-items:start"  # narrow screens: all columns
    body = f'<div class="wsl-grid" style="{style}">{"".join(cells)}</div>'
    return Html(f'<figure class="wsl-figure">{body}{_caption(caption)}</figure>')


def _colour_bar() -> str:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    stops = ",".join(to_hex(colormaps["inferno"](x)) for x in (0.25, 0.5, 0.75, 1.0))
    return (
        '<div class="wsl-colours" role="img" aria-label="Colour bar: probability 0 is the grey photograph, 1 is the brightest">'
        f'<span>0</span><i style="background:linear-gradient(to right,#777,{stops})"></i><span>1</span>'
        "<span>probability of the class at each position</span></div>"
    )


def slider(frames, labels, alt: str, caption: str = "", width: int = 560) -> Html:
    """Score maps after each epoch under one range control and a play button, with their colour bar; without script, a strip.

    `frames`: uint8 (H, W, 3) arrays; `labels`: what each shows ("epoch 3"). The first frame shows first.
    """
    last = len(frames) - 1
    images = "".join(
        f'<img src="{data_uri(frame, width=width, quality=70)}" alt="{html.escape(f"{alt}, {label}")}" '
        f'data-label="{html.escape(label)}" style="max-width:100%"{" hidden" if k else ""}>'
        for k, (frame, label) in enumerate(zip(frames, labels, strict=True))
    )
    move = (
        "const f=this.closest('figure'),i=f.querySelectorAll('img');"
        "i.forEach((p,k)=>p.hidden=k!=this.value);"
        "f.querySelector('output').textContent=i[this.value].dataset.label"
    )
    play = (  # from the first frame on; a second press stops
        "const f=this.closest('figure'),r=f.querySelector('input'),b=this,stop=()=>{clearInterval(b.t);b.t=0;"
        "b.textContent='\u25b6 play'};if(b.t){stop();return}if(+r.value===+r.max)r.value=0;b.textContent='\u25a0 stop';"
        "b.t=setInterval(()=>{r.value=+r.value+1;r.dispatchEvent(new Event('input'));if(+r.value===+r.max)stop()},350)"
    )
    control = (
        f'<button type="button" onclick="{play}">▶ play</button> '
        f'<label><input type="range" min="0" max="{last}" value="0" step="1" '
        f'aria-label="{html.escape(alt)}" style="width:min(100%,{width}px)" oninput="{move}"></label> '
        f"<output>{html.escape(labels[0])}</output>"
    )
    # The strip repeats no picture data: without script one rule shows every frame small.
    strip = ".wsl-slider img{display:inline!important;width:19%!important}.wsl-slider-control{display:none}"
    return Html(
        f'<figure class="wsl-slider">{images}{_colour_bar()}<div class="wsl-slider-control">{control}</div>'
        f"<noscript><style>{strip}</style></noscript>{_caption(caption)}</figure>"
    )


def _caption(text: str) -> str:
    return f"<figcaption>{text}</figcaption>" if text else ""

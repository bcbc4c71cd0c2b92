"""Backgrounds: streets, rooms, parks, beaches, courts, studios, textures and clutter, with nobody in them."""

import cv2
import numpy as np
from jaxtyping import UInt8

KINDS = ("street", "room", "park", "beach", "court", "studio", "texture", "clutter")


def draw_background(rng: np.random.Generator, kind: str, width: int, height: int,
                    horizon: float) -> UInt8[np.ndarray, "H W 3"]:
    """A picture without people; structures may look like limbs (trunks, poles, pipes), as they do in photographs.

    Args:
        rng: source of chance.
        kind: one of `KINDS`.
        width, height: pixels.
        horizon: row at which ground meets sky or wall; may lie outside of the picture.

    Raises:
        ValueError: unknown kind.

    Not in the paper: scenes are our data.
    """
    draw = dict(zip(KINDS, (_street, _room, _park, _beach, _court, _studio, _texture, _clutter)))
    if kind not in draw:
        raise ValueError(f"background: expected one of {KINDS}, got {kind!r}")
    row = int(np.clip(horizon, -height, 2 * height))
    image = np.ascontiguousarray(draw[kind](rng, width, height, row))
    blur = rng.choice((0.0, 0.0, 0.6, 1.2, 2.2)) * height / 256  # depth of field
    return cv2.GaussianBlur(image, (0, 0), blur) if blur > 0.3 else image


def _colour(rng, low=0, high=255, grey=0.5):
    """A random colour; ``grey`` of 1 has no hue."""
    base = rng.uniform(low, high)
    return np.clip(base + (1 - grey) * rng.uniform(-90, 90, 3), 0, 255)


def _noise(rng, width, height, cells, octaves=1):
    """(H, W) float32 about 0, smooth noise; ``cells`` is its coarsest spacing in pixels, higher octaves are finer."""
    total = np.zeros((height, width), np.float32)
    for octave in range(octaves):
        step = max(1.0, cells / 2**octave)
        grid = rng.standard_normal((int(height / step) + 2, int(width / step) + 2), dtype=np.float32)
        total += cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC) * np.float32(0.6**octave)
    return total


def _fade(height, width, top, bottom):
    """(H, W, 3) float32 vertical gradient."""
    t = np.linspace(0, 1, max(height, 1), dtype=np.float32)[:, None, None]
    return np.broadcast_to(np.float32(top) * (1 - t) + np.float32(bottom) * t, (height, width, 3)).copy()


def _as_image(values):
    return np.clip(values, 0, 255).astype(np.uint8)


def _sky_and_ground(rng, width, height, row, ground, grain):
    """(H, W, 3) float32 sky over ground with texture that grows towards the viewer."""
    row = int(np.clip(row, 0, height))
    blue = rng.uniform(0, 1)
    sky = np.float32([205, 215, 225]) * (1 - blue) + np.float32([110, 160, 220]) * blue
    image = np.empty((height, width, 3), np.float32)
    image[:row] = _fade(row, width, sky, sky * 0.5 + 120)
    image[row:] = _fade(height - row, width, np.float32(ground) * 0.85 + 25, ground)
    if row > 4 and rng.random() < 0.6:
        cloud = _noise(rng, width, row, max(row, width) / 4, 3)
        image[:row] += (np.clip(cloud, 0, 1.5) * 32)[..., None]
    if height - row > 2:
        texture = _noise(rng, width, height - row, 3, 1) * grain + _noise(rng, width, height - row, 30, 2) * grain
        image[row:] += (texture * np.linspace(0.3, 1, height - row, dtype=np.float32)[:, None])[..., None]
    return image, row


def _floor_lines(rng, image, row, width, height, shade):
    """Planks or slabs in perspective: lines to a vanishing point, and cross lines that draw together."""
    if height - row < 6:
        return
    vanish = (int(width * rng.uniform(0.2, 0.8)), row)
    step = width / rng.uniform(2, 7)
    for x in np.arange(-3 * width, 4 * width, step):
        cv2.line(image, vanish, (int(x), height + height // 2), shade, 1, cv2.LINE_AA)
    if rng.random() < 0.7:
        depth = rng.uniform(1.15, 1.6)
        y = 2.0
        while y < height - row:
            cv2.line(image, (0, int(row + y)), (width, int(row + y)), shade, 1, cv2.LINE_AA)
            y *= depth


def _street(rng, width, height, row):
    image, row = _sky_and_ground(rng, width, height, row, _colour(rng, 70, 160, 0.9), 7)
    image = _as_image(image)
    _floor_lines(rng, image, row, width, height, tuple(float(v) for v in _colour(rng, 60, 170, 0.9)))
    x = -rng.uniform(0, 0.3) * width
    foot = max(row, int(0.15 * height)) + int(0.03 * height)
    while x < width:
        broad = rng.uniform(0.14, 0.5) * width
        top = int(foot - rng.uniform(0.25, 1.3) * foot)
        wall = _colour(rng, 60, 215, 0.75)
        cv2.rectangle(image, (int(x), top), (int(x + broad), foot), tuple(wall.tolist()), -1)
        pane = _colour(rng, 25, 130, 0.8) if rng.random() < 0.7 else np.array([235, 215, 150])
        _windows(rng, image, int(x), top, int(broad), foot, pane, height)
        x += broad + rng.choice((0, 0, rng.uniform(0, 0.15) * width))
    for _ in range(rng.integers(0, 4)):  # lamp posts and signs
        px, thick = int(rng.uniform(0, width)), max(1, int(rng.uniform(0.006, 0.02) * width))
        shade = tuple(_colour(rng, 25, 110, 0.9).tolist())
        cv2.line(image, (px, -5), (px, int(foot + rng.uniform(0, 0.2) * height)), shade, thick, cv2.LINE_AA)
        if rng.random() < 0.5:
            y = int(rng.uniform(0.05, 0.4) * height)
            cv2.rectangle(image, (px - 5 * thick, y), (px + 5 * thick, y + 4 * thick), tuple(_colour(rng).tolist()), -1)
    return image


def _windows(rng, image, x, top, broad, foot, pane, height):
    step_x, step_y = rng.uniform(0.045, 0.11) * height, rng.uniform(0.06, 0.14) * height
    fill_x, fill_y = rng.uniform(0.4, 0.75) * step_x, rng.uniform(0.45, 0.75) * step_y
    for wx in np.arange(x + 0.3 * step_x, x + broad - fill_x, step_x):
        for wy in np.arange(max(top, -step_y) + 0.3 * step_y, foot - 1.2 * step_y, step_y):
            shade = (pane * rng.uniform(0.75, 1.2)).clip(0, 255)
            cv2.rectangle(image, (int(wx), int(wy)), (int(wx + fill_x), int(wy + fill_y)), tuple(shade.tolist()), -1)
    if rng.random() < 0.5:  # shop front
        y = int(foot - 1.1 * step_y)
        cv2.rectangle(image, (x + 2, y), (x + broad - 2, foot), tuple((pane * 0.8).tolist()), -1)
        awning = tuple(_colour(rng, 60, 200, 0.2).tolist())
        cv2.rectangle(image, (x, y - int(0.25 * step_y)), (x + broad, y), awning, -1)


def _room(rng, width, height, row):
    row = int(np.clip(row + rng.uniform(0.05, 0.25) * height, 0.25 * height, 0.92 * height))
    wall, floor = _colour(rng, 110, 230, 0.8), _colour(rng, 60, 170, 0.75)
    image = np.empty((height, width, 3), np.float32)
    image[:row] = _fade(row, width, wall * 1.05, wall * 0.9)
    image[row:] = _fade(height - row, width, floor * 0.8, floor * 1.05)
    image += (_noise(rng, width, height, width / 3) * 8)[..., None]
    if rng.random() < 0.25:  # striped wallpaper
        period = rng.uniform(0.03, 0.1) * width
        image[:row] += np.where(np.mod(np.arange(width) / period, 1) < 0.5, 9, -9)[None, :, None]
    image = _as_image(image)
    _floor_lines(rng, image, row, width, height, tuple((floor * 0.8).tolist()))
    cv2.line(image, (0, row), (width, row), tuple((wall * rng.choice((0.5, 1.1))).clip(0, 255).tolist()),
             max(1, height // 90))
    for _ in range(rng.integers(1, 5)):
        _furniture(rng, image, row, width, height)
    return image


def _furniture(rng, image, row, width, height):
    """A picture, window, door, shelf or cupboard on the wall."""
    x = int(rng.uniform(-0.1, 0.9) * width)
    dark = tuple(_colour(rng, 30, 150, 0.6).tolist())
    light = tuple(_colour(rng, 120, 245, 0.6).tolist())
    kind = rng.integers(5)
    if kind == 0:  # picture
        w, h, y = rng.uniform(0.08, 0.25) * width, rng.uniform(0.08, 0.25) * height, rng.uniform(0.05, 0.4) * row
        cv2.rectangle(image, (x, int(y)), (int(x + w), int(y + h)), dark, -1)
        cv2.rectangle(image, (x + 3, int(y) + 3), (int(x + w) - 3, int(y + h) - 3), light, -1)
        cv2.ellipse(image, (int(x + w / 2), int(y + h / 2)), (int(w / 4), int(h / 4)), rng.uniform(0, 180), 0, 360,
                    tuple(_colour(rng, 40, 220, 0.2).tolist()), -1, cv2.LINE_AA)
    elif kind == 1:  # window
        w, h = int(rng.uniform(0.15, 0.35) * width), int(rng.uniform(0.3, 0.6) * row)
        y = int(rng.uniform(0.05, 0.2) * row)
        cv2.rectangle(image, (x, y), (x + w, y + h), (245, 245, 240), -1)
        cv2.rectangle(image, (x + 4, y + 4), (x + w - 4, y + h - 4), (190, 215, 235), -1)
        cv2.line(image, (x + w // 2, y), (x + w // 2, y + h), (245, 245, 240), 3)
    elif kind == 2:  # door
        w = int(rng.uniform(0.14, 0.22) * width)
        cv2.rectangle(image, (x, int(0.15 * row)), (x + w, row), dark, -1)
        cv2.rectangle(image, (x + w // 6, int(0.25 * row)), (x + w - w // 6, int(0.5 * row)), light, 1)
        cv2.circle(image, (x + w - 5, int(0.62 * row)), max(2, height // 90), (200, 180, 90), -1, cv2.LINE_AA)
    elif kind == 3:  # shelf with books
        w, y = int(rng.uniform(0.2, 0.4) * width), int(rng.uniform(0.05, 0.2) * row)
        cv2.rectangle(image, (x, y), (x + w, row), dark, -1)
        rows = rng.integers(3, 6)
        for level in range(rows):
            base = int(y + (level + 1) * (row - y) / rows)
            bx = x + 3.0
            while bx < x + w - 6:
                bw, bh = rng.uniform(0.008, 0.02) * width, rng.uniform(0.4, 0.85) * (row - y) / rows
                cv2.rectangle(image, (int(bx), int(base - bh)), (int(bx + bw), base - 2),
                              tuple(_colour(rng, 40, 210, 0.2).tolist()), -1)
                bx += bw + 1
    else:  # curtain
        w = int(rng.uniform(0.08, 0.2) * width)
        fold = 1 + 0.18 * np.sin(np.arange(w) * rng.uniform(0.3, 0.9))
        x0, x1 = max(x, 0), min(x + w, width)
        if x1 > x0:
            image[:row, x0:x1] = np.clip(np.float32(dark) * fold[: x1 - x0, None], 0, 255)[None]


def _park(rng, width, height, row):
    grass = np.array([rng.uniform(70, 130), rng.uniform(110, 150), rng.uniform(45, 80)])
    image, row = _sky_and_ground(rng, width, height, row, grass, 13)
    leaves = np.array([rng.uniform(30, 100), rng.uniform(70, 125), rng.uniform(25, 60)])
    edge = max(row, int(0.2 * height)) + rng.uniform(0, 0.05) * height
    crown = _noise(rng, width, height, 0.25 * width, 4)
    rows = np.arange(height, dtype=np.float32)[:, None]
    mass = crown + 1.3 - np.abs(rows - edge * 0.55) / (edge * rng.uniform(0.25, 0.6))
    mask = np.clip(mass * 4, 0, 1) * (rows < edge)
    shade = leaves * (0.8 + 0.25 * crown + 0.18 * _noise(rng, width, height, 4, 1))[..., None]
    image = _as_image(image * (1 - mask[..., None]) + shade * mask[..., None])
    for _ in range(rng.integers(1, 6)):
        x, y = rng.uniform(0, width), edge + rng.uniform(0, 0.12) * height
        bark = _colour(rng, 50, 120, 0.85) * np.array([1.08, 0.95, 0.8])
        _branch(rng, image, x, y, -np.pi / 2 + rng.normal(0, 0.08), rng.uniform(0.02, 0.07) * width, edge, bark, 2)
    return image


def _branch(rng, image, x, y, heading, thick, length, colour, forks):
    """A tapered trunk that forks."""
    end = (x + np.cos(heading) * length, y + np.sin(heading) * length)
    _strip(image, (x, y), end, thick, thick * 0.6, colour)
    for _ in range(2 * (forks > 0)):
        t = rng.uniform(0.4, 0.95)
        _branch(rng, image, x + (end[0] - x) * t, y + (end[1] - y) * t, heading + rng.normal(0, 0.7), thick * 0.5,
                length * rng.uniform(0.3, 0.5), colour * rng.uniform(0.85, 1.1), forks - 1)


def _strip(image, start, end, thick_start, thick_end, colour):
    """A tapered strip with a dark and a light edge, like a lit round bar."""
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    along = end - start
    side = np.array([-along[1], along[0]]) / max(float(np.hypot(*along)), 1e-6) * 0.5
    for low, high, light in ((-1, 1, 1.0), (-1, -0.35, 0.72), (0.1, 0.6, 1.18)):
        corners = [start + side * thick_start * low, start + side * thick_start * high,
                   end + side * thick_end * high, end + side * thick_end * low]
        shade = tuple((colour * light).clip(0, 255).tolist())
        cv2.fillConvexPoly(image, (np.array(corners) * 16).astype(np.int32), shade, cv2.LINE_AA, 4)


def _beach(rng, width, height, row):
    sand = np.array([rng.uniform(190, 225), rng.uniform(170, 200), rng.uniform(130, 165)])
    image, row = _sky_and_ground(rng, width, height, row, sand, 8)
    sea = int(min(height, row + rng.uniform(0.04, 0.18) * height))
    if sea > row:
        image[row:sea] = _fade(sea - row, width, (60, 110, 150), (110, 170, 180))
        image[row:sea] += (_noise(rng, width, sea - row, 5) * 10)[..., None]
    image = _as_image(image)
    for _ in range(rng.integers(0, 3)):  # parasols and windbreaks far away
        x, y, r = int(rng.uniform(0, width)), sea + int(0.02 * height), int(rng.uniform(0.03, 0.08) * width)
        cv2.line(image, (x, y), (x, y - r), (120, 100, 80), 2)
        cv2.ellipse(image, (x, y - r), (r, int(0.6 * r)), 0, 180, 360, tuple(_colour(rng, 60, 240, 0.1).tolist()), -1,
                    cv2.LINE_AA)
    return image


def _court(rng, width, height, row):
    ground = _colour(rng, 70, 150, 0.3)
    image, row = _sky_and_ground(rng, width, height, max(row, int(0.2 * height)), ground, 4)
    seats = rng.standard_normal((max(1, row // 3), width // 3, 3), dtype=np.float32) * 14
    seats += rng.standard_normal((*seats.shape[:2], 1), dtype=np.float32) * 24
    stand = cv2.resize(seats, (width, row), interpolation=cv2.INTER_LINEAR) if row else seats[:0]
    image[:row] = _fade(row, width, _colour(rng, 50, 130, 0.6), _colour(rng, 60, 150, 0.6)) + stand
    image = _as_image(image)
    board = int(0.08 * height)
    for x in range(0, width, max(8, width // 5)):
        cv2.rectangle(image, (x, row - board), (x + width // 5, row), tuple(_colour(rng, 40, 230, 0.1).tolist()), -1)
    for _ in range(rng.integers(2, 5)):
        start = (int(rng.uniform(-0.5, 1.5) * width), row)
        end = (int(rng.uniform(-1, 2) * width), height)
        cv2.line(image, start, end, (235, 235, 230), max(1, height // 100), cv2.LINE_AA)
    centre = (int(rng.uniform(0.2, 0.8) * width), int(row + 0.6 * (height - row)))
    cv2.ellipse(image, centre, (width // 3, max(1, height // 14)), 0, 0, 360, (235, 235, 230), max(1, height // 110),
                cv2.LINE_AA)
    return image


def _studio(rng, width, height, row):
    image = _fade(height, width, _colour(rng, 20, 235, 0.7), _colour(rng, 40, 235, 0.7))
    x, y = np.meshgrid(np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32))
    spot = np.exp(-((x - rng.uniform(-0.5, 0.5)) ** 2 + (y - rng.uniform(-0.5, 0.5)) ** 2) / rng.uniform(0.4, 2))
    return _as_image(image + (spot * rng.uniform(-30, 70))[..., None])


def _texture(rng, width, height, row):
    image = _fade(height, width, _colour(rng, 60, 190, 0.4), _colour(rng, 60, 190, 0.4))
    cells = rng.uniform(0.05, 0.4) * width
    for channel in range(3):
        image[..., channel] += _noise(rng, width, height, cells, 2) * rng.uniform(3, 15)
    image += (_noise(rng, width, height, cells / 2, 3) * rng.uniform(6, 26))[..., None]
    return _as_image(image)


def _clutter(rng, width, height, row):
    """Boards, balls, pipes and sticks, some in the colour and width of arms and legs."""
    image = _texture(rng, width, height, row)
    for _ in range(rng.integers(8, 26)):
        x, y, size = rng.uniform(0, width), rng.uniform(0, height), rng.uniform(0.04, 0.25) * width
        colour = _colour(rng, 30, 230, 0.4)
        kind = rng.integers(4)
        if kind == 0:
            corners = np.array([x, y]) + rng.uniform(-1, 1, (4, 2)) * size
            hull = cv2.convexHull(corners.astype(np.float32))[:, 0]
            cv2.fillConvexPoly(image, (hull * 16).astype(np.int32), tuple(colour.tolist()), cv2.LINE_AA, 4)
        elif kind == 1:
            radius = int(size / 3)
            cv2.circle(image, (int(x), int(y)), radius, tuple(colour.tolist()), -1, cv2.LINE_AA)
            cv2.circle(image, (int(x - radius / 3), int(y - radius / 3)), radius // 2,
                       tuple((colour * 1.2).clip(0, 255).tolist()), -1, cv2.LINE_AA)
        else:
            if kind == 3:  # the colour of skin
                colour = np.array([225, 170, 138]) * rng.uniform(0.35, 1.08)
            heading, thick = rng.uniform(0, np.pi), rng.uniform(0.015, 0.06) * width
            end = (x + 2 * size * np.cos(heading), y + 2 * size * np.sin(heading))
            _strip(image, (x, y), end, thick, thick * rng.uniform(0.4, 1), colour)
    return image

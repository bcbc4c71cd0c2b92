"""Appearance: skin, hair, face and clothes of people."""

import colorsys
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float

BALD, SHORT, CREW, BOB, LONG, PONYTAIL, BUN, AFRO, CAP, BEANIE, SCARF, SUNHAT = range(12)
"""Hair and head-wear."""

_SKIN = ((255, 222, 200), (241, 200, 172), (234, 190, 158), (224, 172, 138), (205, 150, 115), (186, 130, 92),
         (158, 106, 72), (132, 86, 58), (104, 66, 46), (78, 50, 38))
_HAIR = ((24, 20, 18), (36, 26, 20), (60, 40, 28), (92, 62, 38), (136, 98, 58), (196, 160, 100), (140, 66, 34),
         (150, 148, 145), (214, 210, 204))
_CLOTH = ((28, 30, 36), (44, 50, 66), (34, 52, 96), (58, 88, 140), (238, 238, 234), (205, 205, 205), (128, 130, 134),
          (84, 84, 88), (176, 40, 44), (120, 28, 42), (206, 92, 40), (226, 176, 60), (70, 104, 66), (92, 96, 60),
          (44, 92, 88), (120, 172, 206), (214, 150, 170), (126, 92, 150), (196, 174, 140), (118, 84, 58))
_TROUSERS = ((30, 32, 38), (40, 50, 76), (58, 78, 118), (88, 112, 150), (70, 72, 76), (120, 120, 122), (160, 142, 112),
             (104, 88, 66), (76, 82, 60), (224, 222, 214), (110, 40, 48))
_SHOES = ((26, 26, 28), (236, 236, 236), (90, 62, 42), (60, 66, 84), (190, 50, 50), (150, 150, 152))


@dataclass(frozen=True)
class Looks:
    """How P people look; colours are (P, 3) albedo, RGB in [0, 1].

    Attributes:
        skin, hair, top, top_second, bottom, bottom_second, inner, shoes, sole, lips, iris, hat: colours; ``second`` is
            a pattern's other colour, ``inner`` what an open jacket shows.
        hair_style: (P,) one of this module's constants.
        beard, fringe, smile: (P,) 0..1 strength.
        glasses, jacket, collar, print: (P,) 0 or 1.
        sleeve: (P,) share of the arm covered: 0 none, 0.5 to the elbow, 1 to the wrist.
        leg: (P,) share of the leg covered by trousers: 0.3 shorts .. 1 to the ankle.
        skirt: (P,) length of skirt or coat as a share of the leg; 0 none.
        skirt_of_top: (P,) 1 if the skirt is the lower half of a dress or coat.
        loose, flare: (P,) metres that cloth stands off the body, at the trunk and at the ankles.
        hem: (P,) height of the top's hem over the hip joints, fraction of stature (negative: worn out).
        pattern: (P, 2) of top and bottom: 0 plain, 1 hoops, 2 stripes, 3 checks, 4 plaid.
        pitch: (P,) metres between repeats of the pattern.

    Not in the paper: scenes are our data.
    """

    skin: Float[np.ndarray, "P 3"]
    hair: Float[np.ndarray, "P 3"]
    top: Float[np.ndarray, "P 3"]
    top_second: Float[np.ndarray, "P 3"]
    bottom: Float[np.ndarray, "P 3"]
    bottom_second: Float[np.ndarray, "P 3"]
    inner: Float[np.ndarray, "P 3"]
    shoes: Float[np.ndarray, "P 3"]
    sole: Float[np.ndarray, "P 3"]
    lips: Float[np.ndarray, "P 3"]
    iris: Float[np.ndarray, "P 3"]
    hat: Float[np.ndarray, "P 3"]
    hair_style: Float[np.ndarray, "P"]
    beard: Float[np.ndarray, "P"]
    fringe: Float[np.ndarray, "P"]
    smile: Float[np.ndarray, "P"]
    glasses: Float[np.ndarray, "P"]
    jacket: Float[np.ndarray, "P"]
    collar: Float[np.ndarray, "P"]
    print: Float[np.ndarray, "P"]
    sleeve: Float[np.ndarray, "P"]
    leg: Float[np.ndarray, "P"]
    skirt: Float[np.ndarray, "P"]
    skirt_of_top: Float[np.ndarray, "P"]
    loose: Float[np.ndarray, "P"]
    flare: Float[np.ndarray, "P"]
    hem: Float[np.ndarray, "P"]
    pattern: Float[np.ndarray, "P 2"]
    pitch: Float[np.ndarray, "P"]

    def take(self, rows) -> "Looks":
        """The looks of some people."""
        return Looks(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def sample_looks(rng: np.random.Generator, female: np.ndarray, stature: np.ndarray, alike: float = 0.0) -> Looks:
    """Looks of P people.

    Args:
        rng: source of chance.
        female: (P,) bool, shifts the frequencies of hair styles, skirts and beards.
        stature: (P,) metres; small people get no beard and no grey hair.
        alike: probability that all wear one outfit (a team).

    Not in the paper: scenes are our data.
    """
    people = [_one(rng, bool(f), float(s)) for f, s in zip(female, stature)]
    if people and rng.random() < alike:
        uniform = ("top", "top_second", "bottom", "bottom_second", "pattern", "pitch", "sleeve", "leg", "skirt",
                   "skirt_of_top", "jacket", "print", "hem")
        for person in people[1:]:
            person.update({name: people[0][name] for name in uniform})
    names = Looks.__annotations__
    empty = {n: (0, 3) if "P 3" in str(kind) else (0, 2) if "P 2" in str(kind) else (0,) for n, kind in names.items()}
    stacked = {n: np.array([p[n] for p in people], np.float32) if people else np.zeros(empty[n], np.float32)
               for n in names}
    return Looks(**stacked)


def _one(rng, female, stature):
    u = rng.random
    adult = stature > 1.45
    look = {
        "skin": _pick(rng, _SKIN, 0.02),
        "hair": _pick(rng, _HAIR if adult else _HAIR[:7], 0.03),
        "iris": _pick(rng, ((40, 26, 20), (60, 42, 28), (56, 74, 92)), 0),
        "hat": _pick(rng, _CLOTH, 0.05),
        "shoes": _pick(rng, _SHOES, 0.04),
        "sole": _pick(rng, ((235, 235, 232), (40, 38, 36)), 0.02),
        "bottom": _pick(rng, _TROUSERS, 0.04),
        "inner": _pick(rng, ((240, 240, 238), (60, 60, 66), (130, 160, 190), (180, 60, 60)), 0.03),
        "smile": u() < 0.35,
        "glasses": u() < 0.13,
        "fringe": u() < 0.35,
        "collar": u() < 0.35,
        "print": u() < 0.3,
        "beard": rng.uniform(0.25, 0.9) if not female and adult and u() < 0.4 else 0,
        "pitch": rng.uniform(0.06, 0.16),
        "loose": rng.uniform(0.002, 0.016) * (0.7 if female else 1.0),
        "flare": rng.uniform(-0.004, 0.028),
        "hem": rng.uniform(-0.05, 0.035),
    }
    look["lips"] = look["skin"] * np.array([0.86, 0.58, 0.56]) + (rng.uniform(0, 0.15) if female else 0) * np.array(
        [1, 0, 0])
    styles, weights = ((SHORT, BOB, LONG, PONYTAIL, BUN, AFRO, CAP, BEANIE, SCARF, SUNHAT),
                       (0.10, 0.20, 0.28, 0.14, 0.09, 0.04, 0.04, 0.03, 0.05, 0.03))
    if not female:
        styles, weights = ((BALD, SHORT, CREW, BOB, LONG, AFRO, CAP, BEANIE),
                           (0.11, 0.34, 0.24, 0.06, 0.03, 0.05, 0.12, 0.05))
    look["hair_style"] = rng.choice(styles, p=np.array(weights) / sum(weights))
    vivid = np.array(colorsys.hsv_to_rgb(u(), rng.uniform(0.3, 0.9), rng.uniform(0.35, 0.95)))
    look["top"] = vivid if u() < 0.3 else _pick(rng, _CLOTH, 0.05)
    look["top_second"] = _contrast(rng, look["top"])
    look["bottom_second"] = look["bottom"] * 0.6 + 0.4 * _contrast(rng, look["bottom"])
    look["pattern"] = (rng.choice(5, p=(0.56, 0.17, 0.07, 0.08, 0.12)), rng.choice(5, p=(0.84, 0.02, 0.04, 0.05, 0.05)))
    look["sleeve"] = rng.choice((0.0, 0.34, 0.62, 1.0), p=(0.1, 0.42, 0.06, 0.42))
    look["leg"] = rng.choice((1.0, 0.42, 0.28, 0.78), p=(0.66, 0.18, 0.08, 0.08))
    look["jacket"] = look["sleeve"] == 1.0 and u() < 0.4
    look["skirt"], look["skirt_of_top"] = 0.0, 0.0
    dice = u()
    if female and dice < 0.34:
        look["skirt"] = rng.choice((0.34, 0.5, 0.85), p=(0.4, 0.42, 0.18))
        look["skirt_of_top"] = dice < 0.2
        look["leg"] = rng.choice((0.0, 1.0), p=(0.75, 0.25))
        look["flare"] = -0.004
        look["hem"] = -0.1 if look["skirt_of_top"] else look["hem"]
        if not look["skirt_of_top"] and u() < 0.6:
            look["bottom"] = _pick(rng, _CLOTH, 0.05)
            look["bottom_second"] = _contrast(rng, look["bottom"])
    elif look["jacket"] and dice < 0.6:  # a coat
        look["skirt"], look["skirt_of_top"], look["hem"] = rng.uniform(0.2, 0.5), 1.0, -0.1
    return look


def _pick(rng, palette, jitter):
    colour = np.array(palette[rng.integers(len(palette))]) / 255
    return np.clip(colour * rng.uniform(0.92, 1.08) + rng.normal(0, jitter, 3) if jitter else colour, 0.02, 0.98)


def _contrast(rng, colour):
    """A colour that stands off from ``colour``: white on dark, dark on light, or its own lighter or darker shade."""
    light = colour.mean() > 0.5
    plain = np.full(3, 0.12 if light else 0.92)
    shade = np.clip(colour * (0.55 if light else 1.7) + (0 if light else 0.08), 0, 1)
    return plain if rng.random() < 0.5 else shade

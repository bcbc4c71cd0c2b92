"""Poses: joint angles of standing, walking, sitting, lying and other people."""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True)
class Pose:
    """Joint angles of P people in radians; all zero is standing upright with hanging arms.

    Angles of a pair are (left, right), each as seen by the person: flexion swings a limb forward, abduction away from
    the body, twist turns it inwards.

    Attributes:
        root: (P, 2) pitch (forward lean) and roll of the pelvis.
        spine: (P, 3) bend forward, bend to the right, twist to the left, of the chest against the pelvis.
        neck: (P, 3) turn to the left, nod down, tilt to the right, of the head against the chest.
        shoulder: (P, 2, 3) flexion, abduction, twist.
        elbow: (P, 2) flexion.
        wrist: (P, 2, 2) bend towards the palm and turn of the palm.
        hip: (P, 2, 3) flexion, abduction, twist.
        knee: (P, 2) flexion.
        ankle: (P, 2) toes down; zero keeps the foot flat under an upright shin and square to any other.
        lift: (P,) height of the lowest point over the ground, as a fraction of stature.
        seated: (P,) 1 if the pelvis rests on something, else 0.
        lying: (P,) 1 if the body rests on the ground, else 0.

    Not in the paper: scenes are our data.
    """

    root: Float[np.ndarray, "P 2"]
    spine: Float[np.ndarray, "P 3"]
    neck: Float[np.ndarray, "P 3"]
    shoulder: Float[np.ndarray, "P 2 3"]
    elbow: Float[np.ndarray, "P 2"]
    wrist: Float[np.ndarray, "P 2 2"]
    hip: Float[np.ndarray, "P 2 3"]
    knee: Float[np.ndarray, "P 2"]
    ankle: Float[np.ndarray, "P 2"]
    lift: Float[np.ndarray, "P"]
    seated: Float[np.ndarray, "P"]
    lying: Float[np.ndarray, "P"]

    def take(self, rows) -> "Pose":
        """The poses of some people."""
        return Pose(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def sample_poses(rng: np.random.Generator, count: int) -> Pose:
    """Poses of ``count`` people: about half stand, a quarter move, a fifth sit or crouch, a few lie.

    Not in the paper: scenes are our data.
    """
    standing = (_stand, _stand, _hips, _crossed, _wave, _cheer, _phone, _reach, _stretch, _hold)
    moving = (_walk, _walk, _run, _jump, _kick, _dance, _throw, _lunge)
    low = (_sit, _sit, _floor, _crouch, _kneel, _bend)
    groups = (standing, moving, low, (_lie,))
    singles = []
    for group in rng.choice(4, size=count, p=(0.44, 0.31, 0.21, 0.04)):
        archetype = groups[group][rng.integers(len(groups[group]))]
        singles.append(_one(rng, archetype))
    return Pose(**{
        name: np.stack([single[name] for single in singles]).astype(np.float32) for name in singles[0]
    })


def _one(rng, archetype):
    """One person's angles; the archetypes are written in degrees."""
    u = rng.uniform
    n = rng.normal
    pose = {
        "root": np.array([n(0, 3), n(0, 2)]),
        "spine": np.array([n(3, 5), n(0, 4), n(0, 7)]),
        "neck": np.array([n(0, 22), n(3, 9), n(0, 5)]),
        "shoulder": np.stack([n(0, 9, 2), u(5, 16, 2), u(-10, 35, 2)], 1),
        "elbow": u(6, 32, 2),
        "wrist": np.stack([n(0, 10, 2), n(0, 25, 2)], 1),
        "hip": np.stack([n(0, 4, 2), u(1, 8, 2), u(-18, 0, 2)], 1),
        "knee": np.abs(n(0, 5, 2)),
        "ankle": np.zeros(2),
        "lift": np.zeros(()),
        "seated": np.zeros(()),
        "lying": np.zeros(()),
    }
    archetype(rng, pose)
    if rng.random() < 0.5:  # archetypes are written one-sided
        for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
            pose[name] = pose[name][::-1]
        for name, signs in (("root", (1, -1)), ("spine", (1, -1, -1)), ("neck", (-1, 1, -1))):
            pose[name] = pose[name] * np.array(signs)
    angles = ("root", "spine", "neck", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
    return {name: np.deg2rad(value) if name in angles else value for name, value in pose.items()}


def _stand(rng, p):
    if rng.random() < 0.5:  # weight on one leg
        p["hip"][0] = (rng.uniform(4, 14), rng.uniform(4, 12), -rng.uniform(0, 25))
        p["knee"][0] = rng.uniform(10, 25)
        p["root"][1] = rng.uniform(2, 6)
        p["spine"][1] = -rng.uniform(2, 6)


def _hips(rng, p):
    _stand(rng, p)
    p["shoulder"][:] = np.array([-18, 42, 25]) + rng.normal(0, 4, 3)
    p["elbow"][:] = 88 + rng.normal(0, 8)
    if rng.random() < 0.4:
        p["shoulder"][1] = (0, 10, 10)
        p["elbow"][1] = rng.uniform(5, 30)


def _crossed(rng, p):
    _stand(rng, p)
    p["shoulder"][0] = (26, 10, 62)
    p["shoulder"][1] = (32, 10, 66)
    p["shoulder"] += rng.normal(0, 3, (2, 3))
    p["elbow"][:] = (100, 108)


def _wave(rng, p):
    _stand(rng, p)
    p["shoulder"][0] = (rng.uniform(-10, 30), rng.uniform(85, 150), rng.uniform(-90, -50))
    p["elbow"][0] = rng.uniform(20, 90)


def _cheer(rng, p):
    p["shoulder"][:] = np.stack([rng.uniform(-5, 30, 2), rng.uniform(115, 168, 2), rng.uniform(-80, -30, 2)], 1)
    p["elbow"][:] = rng.uniform(5, 60, 2)
    p["neck"][1] = rng.uniform(-25, 5)


def _phone(rng, p):
    _stand(rng, p)
    if rng.random() < 0.5:
        p["shoulder"][0] = (35, 22, 30)
        p["elbow"][0] = rng.uniform(132, 146)
    else:
        p["shoulder"][:] = (24, 8, 24)
        p["elbow"][:] = rng.uniform(95, 118)
        p["neck"][1] = rng.uniform(18, 34)


def _reach(rng, p):
    _stand(rng, p)
    p["shoulder"][0] = (rng.uniform(55, 110), rng.uniform(-8, 35), 0)
    p["elbow"][0] = rng.uniform(5, 45)
    if rng.random() < 0.4:
        p["shoulder"][1] = (rng.uniform(55, 100), rng.uniform(-8, 25), 0)
        p["elbow"][1] = rng.uniform(5, 45)
    p["spine"][0] = rng.uniform(0, 18)


def _stretch(rng, p):
    p["shoulder"][:] = np.stack([rng.normal(0, 10, 2), rng.uniform(70, 105, 2), rng.uniform(-90, 20, 2)], 1)
    p["elbow"][:] = rng.uniform(0, 30, 2)
    p["hip"][:, 1] = rng.uniform(4, 20)


def _hold(rng, p):
    _stand(rng, p)
    p["shoulder"][:] = (rng.uniform(5, 40), rng.uniform(5, 20), rng.uniform(5, 35))
    p["elbow"][:] = rng.uniform(60, 105)


def _walk(rng, p):
    stride = rng.uniform(14, 32)
    p["hip"][0, 0], p["hip"][1, 0] = stride, -0.7 * stride
    p["hip"][:, 1:] = (3, -6)
    p["knee"][:] = (rng.uniform(4, 16), rng.uniform(12, 42))
    p["ankle"][1] = rng.uniform(0, 25)
    p["shoulder"][0, 0], p["shoulder"][1, 0] = -0.9 * stride, 0.9 * stride
    p["elbow"][:] = rng.uniform(10, 45, 2)
    p["spine"][2] = stride * 0.25
    p["root"][0] = rng.uniform(0, 6)


def _run(rng, p):
    stride = rng.uniform(38, 65)
    p["hip"][0, 0], p["hip"][1, 0] = stride, -0.5 * stride
    p["hip"][:, 1:] = (2, -3)
    p["knee"][:] = (rng.uniform(40, 90), rng.uniform(50, 105))
    p["ankle"][:] = rng.uniform(5, 30, 2)
    p["shoulder"][0, 0], p["shoulder"][1, 0] = -stride, 0.8 * stride
    p["shoulder"][:, 1:] = (14, 15)
    p["elbow"][:] = rng.uniform(75, 110, 2)
    p["root"][0] = rng.uniform(8, 18)
    p["spine"][2] = stride * 0.3
    p["lift"] = np.array(rng.uniform(0, 0.06))


def _jump(rng, p):
    p["hip"][:, 0] = rng.uniform(5, 70, 2)
    p["hip"][:, 1] = rng.uniform(5, 30, 2)
    p["knee"][:] = rng.uniform(20, 110, 2)
    p["ankle"][:] = rng.uniform(15, 45, 2)
    p["shoulder"][:] = np.stack([rng.uniform(-20, 60, 2), rng.uniform(60, 160, 2), rng.uniform(-60, 10, 2)], 1)
    p["elbow"][:] = rng.uniform(5, 70, 2)
    p["lift"] = np.array(rng.uniform(0.08, 0.28))


def _kick(rng, p):
    p["hip"][0] = (rng.uniform(40, 95), rng.uniform(0, 20), 0)
    p["knee"][:] = (rng.uniform(0, 50), rng.uniform(5, 20))
    p["ankle"][0] = rng.uniform(0, 30)
    p["root"][0] = -rng.uniform(0, 14)
    p["hip"][1, 0] = p["root"][0]
    p["shoulder"][:] = np.stack([rng.uniform(-40, 60, 2), rng.uniform(20, 75, 2), rng.uniform(0, 20, 2)], 1)
    p["elbow"][:] = rng.uniform(20, 80, 2)


def _dance(rng, p):
    _stand(rng, p)
    p["shoulder"][:] = np.stack([rng.uniform(-30, 60, 2), rng.uniform(20, 150, 2), rng.uniform(-60, 40, 2)], 1)
    p["elbow"][:] = rng.uniform(20, 120, 2)
    p["hip"][:] = np.stack([rng.uniform(-5, 35, 2), rng.uniform(3, 25, 2), rng.uniform(-30, 0, 2)], 1)
    p["knee"][:] = rng.uniform(5, 55, 2)
    p["spine"] = rng.normal(0, 12, 3)


def _throw(rng, p):
    p["shoulder"][0] = (rng.uniform(-25, 15), rng.uniform(80, 115), rng.uniform(-100, -60))
    p["elbow"][0] = rng.uniform(55, 115)
    p["shoulder"][1] = (rng.uniform(50, 90), rng.uniform(0, 30), 0)
    p["elbow"][1] = rng.uniform(0, 50)
    p["hip"][0, 0], p["hip"][1, 0] = -rng.uniform(5, 20), rng.uniform(15, 40)
    p["knee"][:] = rng.uniform(8, 35, 2)
    p["spine"][2] = rng.uniform(10, 30)


def _lunge(rng, p):
    bend = rng.uniform(45, 85)
    p["hip"][0], p["hip"][1] = (bend, 6, -5), (-rng.uniform(10, 30), 6, -5)
    p["knee"][:] = (bend + rng.uniform(-5, 12), rng.uniform(15, 60))
    p["ankle"][1] = rng.uniform(10, 30)
    p["shoulder"][:] = np.stack([rng.uniform(-20, 80, 2), rng.uniform(10, 60, 2), rng.uniform(0, 30, 2)], 1)
    p["elbow"][:] = rng.uniform(20, 90, 2)


def _sit(rng, p):
    lean = rng.uniform(-12, 22)
    p["root"][0] = lean
    p["hip"][:] = np.stack([lean + rng.uniform(78, 92, 2), rng.uniform(4, 18, 2), rng.uniform(-20, 0, 2)], 1)
    p["knee"][:] = rng.uniform(70, 105, 2)
    p["seated"] = np.ones(())
    if rng.random() < 0.7:  # hands in the lap or on the knees
        p["shoulder"][:] = np.stack([lean + rng.uniform(15, 35, 2), rng.uniform(5, 14, 2), rng.uniform(5, 28, 2)], 1)
        p["elbow"][:] = rng.uniform(35, 85, 2)
    else:
        p["shoulder"][0] = (rng.uniform(20, 80), rng.uniform(10, 60), rng.uniform(-40, 20))
        p["elbow"][0] = rng.uniform(40, 130)


def _floor(rng, p):
    lean = -rng.uniform(0, 22)
    knees = rng.uniform(20, 130)
    p["root"][0] = lean
    p["hip"][:, 0] = lean + 92 + 0.33 * knees + rng.normal(0, 4, 2)
    p["hip"][:, 1] = rng.uniform(4, 26)
    p["knee"][:] = knees + rng.normal(0, 5, 2)
    p["ankle"][:] = 25
    p["seated"] = np.ones(())
    p["spine"][0] = rng.uniform(5, 25)
    if rng.random() < 0.5:
        p["shoulder"][:] = (rng.uniform(35, 60), 12, 15)
        p["elbow"][:] = rng.uniform(20, 60)
    else:  # leaning on the hands behind
        p["shoulder"][:] = (-rng.uniform(28, 42), 18, 0)
        p["elbow"][:] = rng.uniform(0, 15)


def _crouch(rng, p):
    knees = rng.uniform(85, 130)
    p["root"][0] = rng.uniform(15, 35)
    p["hip"][:] = np.stack([p["root"][0] + knees * 0.66 + rng.normal(0, 4, 2), rng.uniform(6, 22, 2), -np.ones(2)], 1)
    p["knee"][:] = knees
    p["ankle"][:] = rng.uniform(0, 30)
    p["shoulder"][:] = np.stack([rng.uniform(30, 75, 2), rng.uniform(0, 20, 2), rng.uniform(0, 30, 2)], 1)
    p["elbow"][:] = rng.uniform(15, 90, 2)
    p["neck"][1] = rng.uniform(-25, 5)


def _kneel(rng, p):
    p["hip"][0], p["hip"][1] = (rng.uniform(80, 95), 4, 0), (rng.uniform(-5, 8), 4, 0)
    p["knee"][:] = (rng.uniform(82, 100), rng.uniform(85, 100))
    p["ankle"][1] = 50
    p["shoulder"][:, 0] = rng.uniform(5, 60, 2)
    p["elbow"][:] = rng.uniform(15, 90, 2)


def _bend(rng, p):
    pitch = rng.uniform(25, 60)
    p["root"][0] = pitch
    p["hip"][:, 0] = pitch + rng.uniform(-5, 12, 2)
    p["knee"][:] = rng.uniform(5, 30, 2)
    p["spine"][0] = rng.uniform(10, 40)
    p["shoulder"][:, 0] = pitch + p["spine"][0] + rng.uniform(-30, 15, 2)
    p["elbow"][:] = rng.uniform(5, 45, 2)
    p["neck"][1] = -rng.uniform(0, 35)


def _lie(rng, p):
    p["root"][:] = (-90, 0) if rng.random() < 0.65 else (90, 0)
    p["spine"][0] = 0
    p["neck"] = np.array([rng.normal(0, 35), rng.uniform(0, 15), 0])
    p["hip"][:, 0] = 0
    if p["root"][0] < 0:
        p["hip"][0, 0], p["knee"][0] = rng.choice([0, 45]) * np.array([1, 2])
        p["shoulder"][:] = np.stack([rng.uniform(0, 20, 2), rng.uniform(10, 130, 2), rng.uniform(-40, 0, 2)], 1)
        p["elbow"][:] = rng.uniform(0, 90, 2)
    else:  # face down, hands under the chin
        p["shoulder"][:] = (150, 30, 40)
        p["elbow"][:] = rng.uniform(70, 110)
        p["ankle"][:] = 60
        p["spine"][0] = -15
        p["neck"][1] = -20
    p["lying"] = np.ones(())


"""People for tests of the simulation: a body with noise, of several sizes, standing about in square images."""

import torch

from hggbook.data.coco import PoseSet
from hggbook.skeleton import COCO

# nose, eyes, ears, shoulders, elbows, wrists, hips, knees, ankles; in heights of the body
BODY = torch.tensor([
    (0.0, 0.0), (0.02, -0.02), (-0.02, -0.02), (0.05, 0.0), (-0.05, 0.0), (0.12, 0.15), (-0.12, 0.15), (0.18, 0.3),
    (-0.18, 0.3), (0.2, 0.45), (-0.2, 0.45), (0.08, 0.45), (-0.08, 0.45), (0.1, 0.68), (-0.1, 0.68), (0.1, 0.9),
    (-0.1, 0.9),
])  # fmt: skip


def standing(images: int, people: int = 3, *, side: float = 256.0, occluded: float = 0.3, seed: int = 0) -> PoseSet:
    """(images x people) people; of each a stretch of keypoints in order of height is occluded."""
    g = torch.Generator().manual_seed(seed)
    m, k = images * people, COCO.num_types
    height = 60 + 90 * torch.rand(m, 1, 1, generator=g)
    foot = torch.rand(m, 1, 2, generator=g) * torch.tensor([0.8, 0.2]) + torch.tensor([0.1, 0.7])
    xy = foot * side + height * (BODY - torch.tensor([0.0, 0.9]) + 0.02 * torch.randn(m, k, 2, generator=g))
    order = torch.argsort(BODY[:, 1] + 0.05 * torch.rand(m, k, generator=g), dim=1).argsort(dim=1)
    first = torch.randint(0, k, (m, 1), generator=g)
    hidden = (order - first) % k < (2 * occluded * k * torch.rand(m, 1, generator=g))
    visibility = torch.where(hidden, 1.0, 2.0)[..., None]
    return PoseSet(
        keypoints=torch.cat([xy, visibility], dim=2),
        area=(0.35 * height[:, 0, 0]).square(),
        batch=torch.repeat_interleave(torch.arange(images), people),
        image_id=torch.arange(1, images + 1),
        size=torch.full((images, 2), side),
    )

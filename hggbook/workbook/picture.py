"""The picture of the README: one held-out scene, grouped round by round by the shipped weights.

``python -m hggbook.workbook.picture [FILE]`` draws it anew (default ``data/grouping.png``).
"""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from hggbook import paths, viz
from hggbook.data.loading import loader
from hggbook.data.source import scenes_of
from hggbook.data.transforms import Fit
from hggbook.decode import decode
from hggbook.skeleton import SKELETONS
from hggbook.weights import load

SCENES, SEED = 16, 2  # the reporting seed: scenes that were neither trained nor tuned on


@torch.no_grad()
def draw(weights: str = "scenes-tiny") -> Figure:
    """Candidates, two stages of the grouping, and the people, of the scene that has the most people of the first few.

    Paper: Fig. 5.
    """
    model, config = load(weights)
    size = config.detector.input_size
    dataset = scenes_of(config, SCENES, SEED)
    batch = next(iter(loader(dataset, Fit(size), SCENES)))
    image = int(torch.bincount(batch.batch, minlength=SCENES).argmax())
    output = model(batch.images)
    skeleton = SKELETONS[config.skeleton]
    poses = decode(output.candidates, output.grouping.person, batch.to_image, skeleton.num_types)

    rounds = int(output.grouping.rounds[image])
    figure, axes = plt.subplots(1, 4, figsize=(12, 3.4), layout="constrained")
    for ax in axes:
        viz.draw_image(ax, batch.images[image], fade=0.0 if ax is axes[-1] else 0.35)
    viz.draw_candidates(axes[0], output.candidates, image)
    axes[0].set_title("keypoint candidates")
    for ax, step in zip(axes[1:3], (min(1, rounds), max(rounds - 2, 0))):
        viz.draw_graph_level(ax, output.candidates, output.grouping, step, image, most=0)
        ax.set_title(f"round {step + 1} of {rounds}")
    viz.draw_poses(axes[3], poses, skeleton, image, min_score=0.15)
    axes[3].set_title("people")
    return figure


def main(path: str | Path | None = None) -> None:
    """Writes the picture."""
    viz.set_style()
    draw().savefig(path or paths.committed_data() / "grouping.png", dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main(*sys.argv[1:2])

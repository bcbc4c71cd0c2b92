"""The whole chain learns: trained on 8 scenes, it groups them as well as perfect maps of that resolution would be."""

import pytest
import torch

from hggbook.compare import compare
from hggbook.config import preset
from hggbook.data.coco import CocoPeople
from hggbook.data.loading import loader
from hggbook.data.scenes import scene_config, write_dataset
from hggbook.data.transforms import Fit
from hggbook.decode import decode
from hggbook.detector import propose, render
from hggbook.evaluate import coco_ap, to_coco_results
from hggbook.grouping.groupers import AEGreedy
from hggbook.skeleton import COCO
from hggbook.train import train
from hggbook.types import Batch, Maps

SIZE, STRIDE, SIGMA = 64, 4, 1.0


def perfect_maps(batch: Batch) -> Maps:
    """The target heatmaps; at every cell the embedding of the person whose Gaussian is the highest there."""
    cells = (SIZE // STRIDE, SIZE // STRIDE)
    heatmaps = render(batch.keypoints, batch.batch, batch.num_images, cells, STRIDE, sigma=SIGMA)
    embeddings = torch.zeros_like(heatmaps)
    for person, image in enumerate(batch.batch.tolist()):
        alone = batch.keypoints[person : person + 1], torch.zeros(1, dtype=torch.int64), 1
        own = render(*alone, cells, STRIDE, sigma=SIGMA)
        embeddings[image][(own[0] > 0) & (own[0] >= heatmaps[image])] = 3.0 * person
    return Maps(heatmaps[:, None], embeddings[:, None, :, None], STRIDE)


@pytest.mark.slow
def test_eight_scenes_are_learned_up_to_what_perfect_maps_allow(tmp_path):
    annotations = write_dataset(tmp_path / "data", scene_config("easy", width=SIZE, height=SIZE), 8, seed=0)
    dataset = CocoPeople(annotations, annotations.parent / "images")
    batch = next(iter(loader(dataset, Fit(SIZE), 8)))

    candidates = propose(perfect_maps(batch), subpixel="taylor")
    person = AEGreedy(COCO.greedy_order)(candidates)
    poses = decode(candidates, person, batch.to_image, COCO.num_types)
    ceiling = coco_ap(to_coco_results(poses, batch.image_id), dataset.coco)["AP"]
    assert ceiling > 0.9

    config = preset("tiny").override(
        **{
            "detector.input_size": SIZE,
            "proposal.subpixel": "taylor", "proposal.limit": 150, "loss.sigma": SIGMA,
            "data.kind": "coco", "data.train": str(annotations), "data.images": str(annotations.parent / "images"),
            "data.augment": False, "train.batch": 8, "train.pretrain_steps": 1400, "train.joint_steps": 300,
            "train.learning_rate": 4e-3, "train.grouping_learning_rate": 4e-3, "train.warmup": 10,
        }
    )  # fmt: skip
    model = train(config, tmp_path / "run").model
    scores = compare(model, dataset, config)
    ap = {name: score.ap["AP"] for name, score in scores.items()}
    assert ap["ae"] >= ceiling - 0.03, (ap, ceiling)
    assert ap["hgg"] >= ceiling - 0.03, (ap, ceiling)

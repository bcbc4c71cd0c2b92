"""The joined model: batch = one by one, one path, end-to-end gradient, weights files."""

import dataclasses

import pytest
import torch

from hggbook.config import Config, preset
from hggbook.decode import decode
from hggbook.grouping.groupers.scores import embedding_scores
from hggbook.grouping.losses import grouping_losses
from hggbook.labels import level_labels, match_candidates
from hggbook.model import build, joined, load_weights, save_weights
from hggbook.objective import Objective, gradients
from hggbook.skeleton import COCO
from hggbook.types import Batch, Maps

from .grouping.builders import same_partition

SMALL = preset("tiny").override(
    **{
        "detector.input_size": 64, "detector.width": 8, "detector.growth": 4, "detector.depth": 2,
        "proposal.per_type": 2, "proposal.threshold": -1.0, "grouping.cut": -0.5,
        "grouping.dropout": 0.0,
    }
)  # fmt: skip


def model_of(seed=0, **settings):
    torch.manual_seed(seed)
    model = build(SMALL.override(**settings))
    with torch.no_grad():  # an untrained detector is flat, an untrained scorer indifferent: spread both
        for head in model.detector.heads:
            head.weight.normal_()
        for parameter in model.ohgc.parameters():
            parameter.normal_(std=0.2)
    return model.eval()


def images(n, seed=0):
    pictures = torch.rand(n, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
    return pictures


def annotated(n, people):
    """A batch with ``people[i]`` random people in image i."""
    g = torch.Generator().manual_seed(1)
    m = sum(people)
    return Batch(
        images=images(n),
        keypoints=torch.cat([torch.rand(m, 17, 2, generator=g) * 60, torch.full((m, 17, 1), 2.0)], dim=2),
        area=torch.full((m,), 900.0),
        batch=torch.repeat_interleave(torch.arange(n), torch.tensor(people)),
        mask=torch.ones(n, 64, 64, dtype=torch.bool),
        image_id=torch.arange(n),
        to_image=torch.eye(2, 3).repeat(n, 1, 1),
    )


@pytest.mark.parametrize("graclus", ["mutual", "heaviest", "random"])
@pytest.mark.parametrize("reading", ["literal", "pairwise"])
def test_a_batch_equals_its_images_one_by_one(graclus, reading):
    model = model_of(**{"grouping.graclus": graclus, "grouping.reading": reading})
    pictures = images(4)
    pictures[1] = 0.5  # a flat image
    with torch.no_grad():
        whole = model(pictures)
        for i in range(4):
            alone = model(pictures[i : i + 1])
            rows = whole.candidates.batch == i
            torch.testing.assert_close(whole.candidates.xy[rows], alone.candidates.xy, atol=5e-3, rtol=0.0)
            torch.testing.assert_close(
                whole.candidates.embedding[rows], alone.candidates.embedding, atol=1e-4, rtol=1e-4
            )
            assert same_partition(whole.grouping.person[rows], alone.grouping.person)
    assert len(whole.grouping.person.unique()) < len(whole.candidates)


class Painter(torch.nn.Module):
    """A detector of one's own: anything that gives `Maps` will do. It sees peaks only where an image is not black."""

    def __init__(self, peaks):
        super().__init__()
        self.peaks = peaks

    def forward(self, pictures):
        g = torch.Generator().manual_seed(5)
        heatmaps = torch.zeros(1, 1, 17, 16, 16)
        for _ in range(self.peaks):
            k, row, column = (int(torch.randint(n, (), generator=g)) for n in (17, 16, 16))
            heatmaps[0, 0, k, row, column] = 0.3 + 0.6 * torch.rand((), generator=g)
        embeddings = torch.randn(1, 1, 17, 1, 16, 16, generator=g).expand(len(pictures), -1, -1, -1, -1, -1)
        return Maps(heatmaps * pictures.amax(dim=(1, 2, 3))[:, None, None, None, None], embeddings, 4)


@pytest.mark.parametrize("peaks", [0, 1, 25])
def test_images_without_candidates_in_the_middle_and_at_the_end(peaks):
    model = model_of(**{"proposal.threshold": 0.1, "proposal.per_type": 30})
    model.detector = Painter(peaks)
    pictures = torch.ones(5, 3, 64, 64)
    pictures[[1, 2, 4]] = 0
    pictures[3] *= 0.9
    with torch.no_grad():
        whole = model(pictures)
        assert whole.candidates.num_images == len(whole.grouping.rounds) == 5
        found = whole.candidates.batch.bincount(minlength=5)
        assert found[[1, 2, 4]].tolist() == [0, 0, 0]
        assert found[0] == found[3]
        assert (found[0] > 0) == (peaks > 0)
        for i in range(5):
            alone = model(pictures[i : i + 1])
            assert same_partition(whole.grouping.person[whole.candidates.batch == i], alone.grouping.person)
            assert whole.grouping.rounds[i] == alone.grouping.rounds[0]
    poses = decode(whole.candidates, whole.grouping.person, torch.eye(2, 3).repeat(5, 1, 1), 17)
    assert poses.num_images == 5
    assert set(poses.batch.tolist()) == ({0, 3} if peaks else set())


def test_training_and_inference_mode_give_the_same_grouping_without_dropout():
    model = model_of()
    with torch.no_grad():
        evaluated = model(images(2))
        trained = model.train()(images(2))
    assert torch.equal(evaluated.candidates.xy, trained.candidates.xy)
    assert torch.equal(evaluated.grouping.person, trained.grouping.person)


def test_the_grouping_loss_alone_changes_the_first_convolution():
    # End to end: no detection, pull or push loss, and yet the gradient of the edge scores arrives at the stem.
    model = model_of()
    batch = annotated(2, [2, 1])
    output = model(batch.images)
    targets = match_candidates(output.candidates, batch, torch.tensor(COCO.sigmas) * 10)
    losses = grouping_losses(output.grouping, level_labels(output.grouping, output.candidates, targets))
    first = model.detector.stem[0].conv.weight
    before = first.detach().clone()
    optimiser = torch.optim.SGD(model.parameters(), lr=1.0)
    losses["edge"].backward()
    assert first.grad.abs().max() > 0
    optimiser.step()
    assert not torch.equal(before, first)


@pytest.mark.parametrize("factor", [1.0, 1e-5])
def test_the_gradient_into_the_detector_is_scaled_and_that_of_the_gnn_is_not(factor):
    def gradients(into_detector):
        model = model_of(**{"loss.into_detector": into_detector})
        objective = Objective(model, SMALL.loss, tuple(10 * s for s in COCO.sigmas))
        losses = objective(annotated(2, [2, 1]), True, 2)
        losses["edge"].backward()
        gnn = next(model.gnn.parameters()).grad.clone()
        return model.detector.stem[0].conv.weight.grad.clone(), gnn

    detector, gnn = gradients(factor)
    reference, same = gradients(1.0)
    torch.testing.assert_close(detector, reference * factor, atol=1e-12, rtol=1e-3)
    torch.testing.assert_close(gnn, same)


def test_gradients_tell_which_loss_reaches_what():
    model = model_of()
    losses = Objective(model, SMALL.loss, tuple(10 * s for s in COCO.sigmas))(annotated(2, [2, 1]), True, 2)
    parts = {
        "stem": [*model.detector.stem.parameters()],
        "edges": [*model.ohgc.edge_discriminator.parameters()],
        "nodes": [*model.ohgc.node_discriminator.parameters()],
    }
    reach = gradients(losses, parts)
    assert reach.keys() == losses.keys()
    assert all(list(of) == list(parts) for of in reach.values())
    assert all(of[part].shape == (sum(p.numel() for p in own),) for of in reach.values() for part, own in parts.items())
    assert all(of["stem"].any() for of in reach.values())
    assert [name for name, of in reach.items() if of["edges"].any()] == ["edge"]
    assert not reach["edge"]["nodes"].any()
    losses["edge"].backward()  # the graph is still there
    flat = torch.cat([p.grad.flatten() for p in parts["edges"]])
    torch.testing.assert_close(reach["edge"]["edges"], flat)


def test_losses_of_a_batch_without_people_are_finite():
    objective = Objective(model_of(), SMALL.loss, COCO.sigmas)
    losses = objective(annotated(2, [0, 0]), True, 2)
    assert set(losses) == {"detection", "pull", "push", "edge", "macro_final", "macro_intermediate"}
    total = objective.total(losses)
    total.backward()
    assert torch.isfinite(total)


def test_half_the_batch_on_each_of_two_processes_adds_up():
    objective = Objective(model_of(), SMALL.loss, tuple(10 * s for s in COCO.sigmas))
    batch = annotated(4, [2, 0, 1, 3])

    def part(rows):
        keep = torch.isin(batch.batch, rows)
        return Batch(
            batch.images[rows], batch.keypoints[keep], batch.area[keep], batch.batch[keep] - rows[0],
            batch.mask[rows], batch.image_id[rows], batch.to_image[rows],
        )  # fmt: skip

    whole = objective(batch, True, 4)
    parts = [objective(part(rows), True, 4) for rows in torch.arange(4).split(2)]
    for name, value in whole.items():
        torch.testing.assert_close(value, parts[0][name] + parts[1][name], atol=1e-6, rtol=1e-4)


class TestWeightsFiles:
    def test_saving_and_loading_gives_the_same_model(self, tmp_path):
        model = model_of()
        save_weights(tmp_path / "w.safetensors", model, SMALL, note="test")
        loaded, config = load_weights(tmp_path / "w.safetensors")
        assert config == SMALL
        with torch.no_grad():
            assert torch.equal(model(images(1)).candidates.score, loaded(images(1)).candidates.score)
        assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]

    def test_loading_with_changes_to_the_config(self, tmp_path):
        save_weights(tmp_path / "w.safetensors", model_of(), SMALL)
        loaded, config = load_weights(tmp_path / "w.safetensors", ["detector.input_size=128", "proposal.threshold=9"])
        assert config == SMALL.override("detector.input_size=128", "proposal.threshold=9")
        with torch.no_grad():
            assert len(loaded(images(1)).candidates) == 0

    def test_the_detector_of_one_and_the_grouping_of_another(self):
        """As the one sees and as the other groups; other embeddings cannot be grouped."""
        other = SMALL.override("grouping.hidden=8", "grouping.layers=1", "grouping.cut=0.25", "proposal.per_type=1")
        torch.manual_seed(3)
        grouper = build(other, with_detector=False).eval()
        seeing = model_of()
        model, config = joined((seeing, SMALL), (grouper, other))
        assert config == dataclasses.replace(SMALL, grouping=other.grouping)
        with torch.no_grad():
            found, seen = model(images(2)), seeing(images(2))
            assert torch.equal(found.candidates.xy, seen.candidates.xy)
            expected = grouper.group(seen.candidates)
        assert torch.equal(found.grouping.person, expected.person)
        wider = SMALL.override("detector.embedding=2")
        with pytest.raises(ValueError, match="grouping stage: weights of another architecture: .* of another shape"):
            joined((seeing, SMALL), (build(wider), wider))
        with pytest.raises(ValueError, match="grouping stage only"):
            joined((grouper, other), (seeing, SMALL))

    def test_a_grouping_stage_alone_has_no_detector(self, tmp_path):
        save_weights(tmp_path / "w.safetensors", build(SMALL, with_detector=False), SMALL)
        model, _ = load_weights(tmp_path / "w.safetensors")
        with pytest.raises(ValueError, match="grouping stage only"):
            model(images(1))

    def test_other_files_and_other_architectures_are_refused(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="none.safetensors: no such weights file"):
            load_weights(tmp_path / "none.safetensors")
        (tmp_path / "text").write_text("hello")
        with pytest.raises(ValueError, match="text: expected a safetensors file"):
            load_weights(tmp_path / "text")
        save_weights(tmp_path / "w.safetensors", model_of(), SMALL.override("grouping.hidden=32"))
        with pytest.raises(ValueError, match=r"w.safetensors: weights of another architecture: .* of another shape"):
            load_weights(tmp_path / "w.safetensors")

    def test_the_papers_model_has_the_papers_size(self):
        with torch.device("meta"):
            model = build(preset("paper"))
        assert sum(p.numel() for p in model.detector.parameters()) == 138_832_776


class TestConfig:
    def test_round_trip(self):
        assert Config.from_dict(SMALL.to_dict()) == SMALL

    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ("grouping.layer=2", "unknown config key 'grouping.layer'; did you mean layers"),
            ("groupin.layers=2", "unknown config section 'groupin'"),
            ("grouping.layers=two", "grouping.layers: expected int, got 'two'"),
            ("grouping.layers", "expected key=value"),
            ("data.augment=2", "data.augment: expected true or false"),
        ],
    )
    def test_bad_overrides_say_what_is_known(self, setting, message):
        with pytest.raises(ValueError, match=message):
            SMALL.override(setting)

    def test_unknown_sizes_and_skeletons(self):
        with pytest.raises(ValueError, match="size: expected one of .* got 'huge'"):
            preset("huge")
        with pytest.raises(ValueError, match="skeleton: expected one of .* got 'cat'"):
            build(SMALL.override("skeleton=cat"))

    def test_the_paper_preset_is_the_papers_words(self):
        config = preset("paper")
        assert (config.loss.detection, config.loss.pull, config.loss.push) == (1.0, 1e-3, 1e-3)
        assert config.loss.into_detector == 1e-5
        assert (config.train.learning_rate, config.detector.input_size, config.detector.stacks) == (2e-4, 512, 4)
        assert (config.grouping.reading, config.grouping.graclus) == ("literal", "random")


def test_without_an_edge_discriminator_edges_are_scored_by_the_distance_of_embeddings():
    settings = {"grouping.edge_score": "distance", "baseline.threshold": 0.8, "loss.edge": 0.0}
    model = model_of(**settings)
    assert not list(model.ohgc.edge_discriminator.parameters())
    with torch.no_grad():
        candidates = model.propose(model.detect(images(2)))
        grouping = model.group(candidates)
    first = grouping.levels[0]
    expected = embedding_scores(candidates, model.linked, 0.8)
    assert torch.equal(first.graph.edge_index, expected.edge_index)
    assert torch.equal(first.edge_logit, expected.logit)
    assert torch.equal(model.score_pairs(candidates, 0.1).logit, expected.logit - 0.1)
    # a macro-edge: the mean over the pairs of candidates that it stands for
    last = grouping.levels[-1]
    member = torch.arange(len(candidates))
    for level in grouping.levels[:-1]:
        member = level.cluster[member]
    widest = last.graph.edge_count.argmax()
    i, j = last.graph.edge_index[:, widest]
    a, b = member[expected.edge_index]
    pairs = ((a == i) & (b == j)) | ((a == j) & (b == i))
    assert pairs.sum() > 1
    assert last.edge_logit[widest] == pytest.approx(float(expected.logit[pairs].mean()), abs=1e-5)


def test_the_macro_node_losses_train_what_is_left_without_the_edge_loss():
    settings = {"grouping.edge_score": "distance", "loss.edge": 0.0, "loss.into_detector": 1.0}
    model = model_of(**settings).train()
    objective = Objective(model, SMALL.override(**settings).loss, COCO.sigmas)
    batch = annotated(2, [2, 2])
    losses = objective(batch, True, 2)
    losses = {name: losses[name] for name in ("edge", "macro_final", "macro_intermediate")}
    objective.total(losses).backward()
    assert float(losses["macro_final"].detach()) > 0
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in model.gnn.parameters())
    with pytest.raises(ValueError, match="edge_score"):
        build(SMALL.override("grouping.edge_score=nonsense"))

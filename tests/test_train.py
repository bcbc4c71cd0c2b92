"""Training: resume equals an unbroken run, interrupts, bad runs, one process equals two, and it learns."""

import json
import multiprocessing
import os
import signal
import subprocess
import sys

import cv2
import numpy as np
import pytest
import torch

from hggbook.config import preset
from hggbook.data.source import training_images
from hggbook.model import HGG, build
from hggbook.train import learning_rates, read_log, train
from hggbook.weights import read_images

TINY = preset("tiny").override(
    **{
        "detector.input_size": 64, "detector.width": 8, "detector.growth": 4, "detector.depth": 2,
        "proposal.limit": 40, "proposal.threshold": 0.02,
        "train.batch": 4, "train.pretrain_steps": 3, "train.joint_steps": 4, "train.log_every": 1,
        "train.save_every": 2, "data.kind": "coco",
    }
)  # fmt: skip


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """A COCO-format data set: 16 images with coloured dots as keypoints, in most of them those of two people."""
    folder = tmp_path_factory.mktemp("dots")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    images, annotations = [], []
    for i in range(1, 17):
        picture = rng.integers(0, 60, (64, 64, 3), dtype=np.uint8)
        images.append({"id": i, "file_name": f"{i}.png", "width": 64, "height": 64})
        for _ in range(2 if i % 4 else 0):
            points = rng.integers(6, 58, (17, 2))
            for k, (x, y) in enumerate(points.tolist()):
                cv2.circle(picture, (x, y), 2, (15 * k, 255 - 15 * k, 200), -1)
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": i, "category_id": 1, "iscrowd": 0, "area": 1600.0,
                    "bbox": [0, 0, 64, 64], "num_keypoints": 17,
                    "keypoints": np.concatenate([points, np.full((17, 1), 2)], axis=1).flatten().tolist(),
                }
            )  # fmt: skip
        cv2.imwrite(str(folder / "images" / f"{i}.png"), picture)
    from hggbook.skeleton import COCO

    category = {"id": 1, "name": "person", "keypoints": list(COCO.keypoints), "skeleton": []}
    document = {"images": images, "annotations": annotations, "categories": [category]}
    (folder / "people.json").write_text(json.dumps(document))
    return folder


@pytest.fixture
def config(people):
    return TINY.override(**{"data.train": str(people / "people.json"), "data.images": str(people / "images")})


def weights_of(model):
    return torch.cat([value.flatten().float() for value in model.state_dict().values()])


def steps_of(folder):
    return [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines()]


class TestRuns:
    def test_a_run_leaves_config_log_checkpoint_and_weights(self, config, tmp_path):
        seen = []
        done = train(config, tmp_path / "run", on_step=lambda step, losses: seen.append((step, losses)))
        assert done.complete
        assert done.step == 7
        assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
            "checkpoint.pt", "config.json", "log.jsonl", "weights.images.json", "weights.safetensors",
        ]  # fmt: skip
        assert read_images(tmp_path / "run" / "weights.safetensors") == training_images(config).files()
        assert steps_of(tmp_path / "run") == list(range(1, 8))
        assert "edge" not in seen[2][1]
        assert "edge" in seen[3][1]
        log = read_log(tmp_path / "run")
        assert [(entry["step"], entry["phase"]) for entry in log] == [
            *((step, "pretrain") for step in (1, 2, 3)), *((step, "joint") for step in (4, 5, 6, 7)),
        ]  # fmt: skip
        assert log == read_log(tmp_path / "run" / "log.jsonl")
        assert log[4]["edge"] == pytest.approx(seen[4][1]["edge"])

    def test_a_resumed_run_ends_with_the_weights_of_an_unbroken_one(self, config, tmp_path):
        whole = train(config, tmp_path / "whole").model
        for stop in (2, 5, None):  # broken in the first phase and in the second
            parts = train(config, tmp_path / "parts", resume=True, stop_at=stop)
        assert parts.complete
        assert torch.equal(weights_of(whole), weights_of(parts.model))
        assert steps_of(tmp_path / "parts") == list(range(1, 8))

    def test_a_killed_run_goes_on_from_its_last_checkpoint(self, config, tmp_path):
        class Killed(BaseException):
            pass

        def kill(step, losses):
            if step == 5:
                raise Killed

        with pytest.raises(Killed):
            train(config, tmp_path / "run", on_step=kill)
        resumed = train(config, tmp_path / "run", resume=True)  # the checkpoint is of step 4, the log has step 5
        assert torch.equal(weights_of(train(config, tmp_path / "whole").model), weights_of(resumed.model))
        assert steps_of(tmp_path / "run") == list(range(1, 8))

    def test_a_run_killed_before_its_first_checkpoint_still_starts_from_the_given_weights(self, config, tmp_path):
        class Killed(BaseException):
            pass

        def kill(step, losses):
            raise Killed

        start = train(config.override("seed=5"), tmp_path / "start").model
        rarely = config.override("train.save_every=100")
        with pytest.raises(Killed):
            train(rarely, tmp_path / "run", start_from=start, on_step=kill)
        resumed = train(rarely, tmp_path / "run", resume=True).model
        unbroken = train(rarely, tmp_path / "whole", start_from=start).model
        assert torch.equal(weights_of(unbroken), weights_of(resumed))

    @pytest.fixture
    def usual_interrupt(self):
        """Python's own handler of Ctrl-C; a shell starts what runs in the background without one."""
        before = signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
        signal.signal(signal.SIGINT, before)

    @pytest.mark.usefixtures("usual_interrupt")
    def test_ctrl_c_ends_the_step_saves_and_says_how_to_resume(self, config, tmp_path, capsys):
        def interrupt(step, losses):
            if step == 2:
                os.kill(os.getpid(), signal.SIGINT)

        stopped = train(config, tmp_path / "run", on_step=interrupt)
        assert not stopped.complete
        assert 2 <= stopped.step <= 3
        assert f"hggbook train --resume {tmp_path / 'run'}" in capsys.readouterr().out
        assert train(config, tmp_path / "run", resume=True).complete
        with pytest.raises(KeyboardInterrupt):  # the usual handler is back
            os.kill(os.getpid(), signal.SIGINT)

    def test_a_stop_sent_to_the_workers_too_saves_as_well(self, config, tmp_path, capsys):
        def stop(step, losses):
            if step == 2:
                for process in [*multiprocessing.active_children(), multiprocessing.current_process()]:
                    os.kill(process.pid, signal.SIGTERM)

        several = config.override("data.workers=2")
        stopped = train(several, tmp_path / "run", on_step=stop)
        assert not stopped.complete
        assert f"hggbook train --resume {tmp_path / 'run'}" in capsys.readouterr().out
        assert train(several, tmp_path / "run", resume=True).complete

    def test_training_can_start_from_other_weights(self, config, tmp_path):
        first = train(config, tmp_path / "first").model
        nothing = config.override(**{"train.learning_rate": 0.0, "train.grouping_learning_rate": 0.0})
        second = train(nothing, tmp_path / "second", start_from=first).model
        assert torch.equal(weights_of(first), weights_of(second))


class TestBadRuns:
    @pytest.mark.parametrize("line", ["{", "3", '{"step": 1}'])
    def test_a_log_with_a_line_that_is_no_entry_is_refused(self, line, tmp_path):
        (tmp_path / "log.jsonl").write_text('{"step": 1, "phase": "joint"}\n' + line + "\n")
        with pytest.raises(ValueError, match=r"log\.jsonl, line 2: expected an entry of a training log"):
            read_log(tmp_path)

    def test_a_folder_that_holds_a_run_is_not_overwritten(self, config, tmp_path):
        train(config, tmp_path / "run", stop_at=1)
        with pytest.raises(ValueError, match="holds a run already; resume it, or name another folder"):
            train(config, tmp_path / "run")

    def test_a_start_that_failed_leaves_no_run_behind(self, config, tmp_path):
        with pytest.raises(ValueError, match="a batch of 64"):
            train(config.override("train.batch=64"), tmp_path / "run")
        assert train(config, tmp_path / "run").complete

    def test_a_foreign_checkpoint_and_a_log_cut_short(self, config, tmp_path):
        train(config, tmp_path / "run", stop_at=2)
        with (tmp_path / "run" / "log.jsonl").open("a") as log:
            log.write('{"step": 3, "tot')  # the disk was full
        assert train(config, tmp_path / "run", resume=True, stop_at=3).step == 3
        torch.save([1, 2], tmp_path / "run" / "checkpoint.pt")
        with pytest.raises(ValueError, match=r"checkpoint.pt: .* something else that torch saved"):
            train(config, tmp_path / "run", resume=True)

    def test_a_gpu_that_is_not_there(self, config, tmp_path):
        if torch.cuda.is_available():
            pytest.skip("there is a GPU")
        with pytest.raises(ValueError, match="sees no GPU; use cpu"):
            train(config, tmp_path / "run", device="cuda")

    def test_resuming_with_another_config_is_refused(self, config, tmp_path):
        train(config, tmp_path / "run", stop_at=1)
        with pytest.raises(ValueError, match="started with another config"):
            train(config.override("train.batch=2"), tmp_path / "run", resume=True)

    def test_a_broken_checkpoint_is_named(self, config, tmp_path):
        train(config, tmp_path / "run", stop_at=1)
        (tmp_path / "run" / "checkpoint.pt").write_bytes(b"broken")
        with pytest.raises(ValueError, match=r"checkpoint.pt: expected a checkpoint of hggbook"):
            train(config, tmp_path / "run", resume=True)

    def test_a_full_disk_keeps_the_checkpoint_before(self, config, tmp_path, monkeypatch):
        train(config, tmp_path / "run", stop_at=2)
        before = (tmp_path / "run" / "checkpoint.pt").read_bytes()

        def full(state, path):
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(torch, "save", full)
        with pytest.raises(RuntimeError, match="could not be written .*No space left.*the one before is kept"):
            train(config, tmp_path / "run", resume=True)
        assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == before
        assert not list((tmp_path / "run").glob("*.part"))

    def test_a_loss_that_is_not_finite_stops_the_run(self, config, tmp_path):
        with pytest.raises(RuntimeError, match=r"step \d+: the loss is not finite"):
            train(config.override(**{"loss.detection": float("inf")}), tmp_path / "run")

    @pytest.mark.parametrize(
        ("setting", "message"),
        [
            ("data.kind=video", "data.kind: expected one of .* got 'video'"),
            ("data.part=half", "data.part: expected all or train, got 'half'"),
            ("train.decay=step", "train.decay: expected none, linear or cosine"),
            ("train.batch=64", "a batch of 64 was asked for, the data set has"),
        ],
    )
    def test_bad_settings_are_named(self, config, tmp_path, setting, message):
        with pytest.raises(ValueError, match=message):
            train(config.override(setting), tmp_path / "run")


def test_learning_rates_warm_up_decay_and_the_grouping_counts_from_the_joint_phase():
    config = preset("tiny").override(
        **{"train.pretrain_steps": 100, "train.joint_steps": 100, "train.warmup": 9, "train.decay": "linear",
           "train.learning_rate": 1.0, "train.grouping_learning_rate": 2.0, "train.encoder_rate": 0.5}
    )  # fmt: skip
    assert learning_rates(config, 0) == pytest.approx([0.1, 0.2, 0.05])
    assert learning_rates(config, 100) == pytest.approx([0.5, 0.2, 0.25])
    assert learning_rates(config, 150) == pytest.approx([0.25, 1.0, 0.125])
    flat = config.override("train.decay=none", "train.warmup=0")
    assert learning_rates(flat, 199) == [1.0, 2.0, 0.5]


def test_an_encoder_learns_at_its_own_rate(config, tmp_path):
    """With a rate of 0 nothing of it moves but the statistics of its normalisation; the rest of the detector does."""
    lite = config.override(
        "detector.kind=efficientnet", "detector.stacks=1", "detector.normalisation=batch", "train.encoder_rate=0",
        "train.pretrain_steps=2", "train.joint_steps=0", "train.decay=none",
    )  # fmt: skip
    torch.manual_seed(lite.seed)
    before = dict(build(lite).detector.named_parameters())
    for name, value in train(lite, tmp_path / "run").model.detector.named_parameters():
        assert torch.equal(value, before[name]) == name.startswith("encoder."), name


def edges_by_half(config, folder, monkeypatch):
    """Edges that each half of the batch has in every joint step, when one process does all the work."""
    counts = []
    group = HGG.group

    def watched(self, candidates):
        grouping = group(self, candidates)
        image = grouping.levels[0].graph.batch[grouping.levels[0].graph.edge_index[0]] if grouping.levels else ()
        counts.append([sum(int(i) < 2 for i in image), sum(int(i) >= 2 for i in image)])
        return grouping

    with monkeypatch.context() as patch:
        patch.setattr(HGG, "group", watched)
        train(config, folder)
    return counts


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [0.02, 0.46])
def test_two_processes_give_the_losses_of_one(config, tmp_path, people, monkeypatch, threshold):
    """First ten losses on the same global batch; at the higher threshold some process has no edge in some step."""
    settings = [
        "train.pretrain_steps=4", "train.joint_steps=6", "grouping.dropout=0.0", "loss.into_detector=1.0",
        f"proposal.threshold={threshold}",
    ]  # fmt: skip
    edges = edges_by_half(config.override(*settings), tmp_path / "one", monkeypatch)
    lonely = [half for half in edges if sum(half) and not all(half)]
    assert bool(lonely) == (threshold > 0.1), edges

    file = tmp_path / "config.yaml"
    file.write_text(json.dumps({"preset": "tiny", **config.to_dict()}))
    command = ["train", str(file), "--device", "cpu", "--out", str(tmp_path / "two")]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    run = subprocess.run(
        [*torchrun, "-m", "hggbook", *command, *(part for s in settings for part in ("--set", s))],
        capture_output=True, text=True, timeout=300, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr[-3000:]
    logs = [(tmp_path / name / "log.jsonl").read_text().splitlines() for name in ("one", "two")]
    one, two = ([json.loads(line) for line in lines] for lines in logs)
    assert len(one) == len(two) == 10
    assert any(entry.get("edge", 0) > 0 for entry in one)
    for a, b in zip(one, two):
        for name in ("detection", "pull", "push", "edge", "macro_final", "macro_intermediate", "total"):
            assert a.get(name) == pytest.approx(b.get(name), abs=1e-4), (a["step"], name)

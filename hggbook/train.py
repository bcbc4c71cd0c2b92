"""The training loop: AE pre-training, then everything jointly, end to end. Paper: sec. 3.3.

It reads top to bottom and runs the same on a laptop's CPU, one GPU, or several processes started by ``torchrun``. A run
is a folder: ``config.json``, ``log.jsonl`` (one line per logged step), ``checkpoint.pt``, at the end
``weights.safetensors``, and ``weights.images.json`` if they learn from photographs: from which. Everything random is
drawn from (seed, step) or (seed, epoch, sample), so a run that was killed and resumed ends with the same weights as an
unbroken one.
"""

import contextlib
import json
import math
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from tqdm import tqdm

from hggbook.config import Config
from hggbook.data.source import training_images, training_stream
from hggbook.model import HGG, build, fit_weights, save_weights
from hggbook.objective import Objective
from hggbook.paths import whole_file
from hggbook.skeleton import SKELETONS
from hggbook.weights import write_images

OnStep = Callable[[int, dict[str, float]], None]
WEIGHTS = "weights.safetensors"


@dataclass(frozen=True)
class Finished:
    """How a call of `train` ended: the model as it stands, steps taken in all, whether that was all of them."""

    model: HGG
    step: int
    complete: bool


def train(
    config: Config,
    folder: str | Path,
    *,
    device: str = "cpu",
    resume: bool = False,
    start_from: HGG | None = None,
    learned: Mapping[str, int] | None = None,
    stop_at: int | None = None,
    on_step: OnStep | None = None,
    progress: bool = False,
) -> Finished:
    """Trains the model that a config describes.

    First ``pretrain_steps`` of the proposal network alone, then ``joint_steps`` of everything. Ctrl-C (or SIGTERM) ends
    the step that is running, saves, and says how to resume. Under ``torchrun`` each process takes its part of every
    batch.

    Args:
        config: what to train, on what, for how long.
        folder: of the run; must not hold another run unless ``resume``.
        device: ``cpu`` or ``cuda``.
        resume: go on from the folder's checkpoint (from the beginning if it has none yet).
        start_from: a model of the same architecture whose weights are taken over at step 0.
        learned: images that these have learned from, id by file name; the run's own are added (`write_images`).
        stop_at: end (saved and resumable) after this many steps in all.
        on_step: called after every step with its number and losses, in the first process.
        progress: show a progress bar on stderr.

    Raises:
        ValueError: the folder holds another run; its checkpoint is of another config; a bad config.
        RuntimeError: a loss is not finite.

    Paper: sec. 3.3 (training).
    """
    folder = Path(folder)
    _check_folder(folder, config, resume)
    rank, world = _start_processes(device)
    first = rank == 0
    target = torch.device(device, int(os.environ.get("LOCAL_RANK", 0))) if device == "cuda" else torch.device(device)

    torch.manual_seed(config.seed)
    model = build(config, with_detector=config.data.has_images)
    if start_from is not None:
        fit_weights(model, start_from.state_dict(), "start_from")
    model = model.to(target).train()
    objective = Objective(model, config.loss, SKELETONS[config.skeleton].sigmas).to(target)
    groups = _parameter_groups(model, config)
    optimiser = torch.optim.Adam(groups, eps=config.train.epsilon)
    step = _restore(folder / "checkpoint.pt", config, model, optimiser) if resume else 0
    with _first_to_render(world):
        pin = target.type == "cuda"
        stream = training_stream(config, step, rank, world, progress=progress and first, pin_memory=pin)
    if first and not (folder / "checkpoint.pt").is_file():
        # Only now, when model and data are known to be sound, does the run begin to exist.
        with whole_file(folder / "config.json") as place:
            place.write_text(json.dumps(config.to_dict(), indent=1) + "\n", encoding="utf-8")
        own = training_images(config).files() if config.data.kind == "coco" else {}
        if images := {**(learned or {}), **own}:
            write_images(folder / WEIGHTS, images)
        _save(folder / "checkpoint.pt", config, model, optimiser, 0)
    if config.train.compile and model.detector is not None:
        model.detector.compile()
    # In the first phase the grouping stage gets no gradient, which DDP must expect.
    wrapped = DistributedDataParallel(objective, find_unused_parameters=True) if world > 1 else objective

    pretrain = pretrain_steps(config)
    total_steps = pretrain + config.train.joint_steps
    end = total_steps if stop_at is None else min(stop_at, total_steps)
    log = _open_log(folder / "log.jsonl", step) if first else contextlib.nullcontext()
    bar = tqdm(total=total_steps, initial=step, disable=not (progress and first), unit="step", dynamic_ncols=True)
    started, seen = time.perf_counter(), 0
    with log, bar, _Interrupts() as interrupts:
        stopping = False
        while step < end and not stopping:
            joint = step >= pretrain
            for group, rate in zip(optimiser.param_groups, learning_rates(config, step)):
                group["lr"] = rate
            torch.manual_seed(_step_seed(config.seed, step, rank))  # dropout; nothing else draws here
            batch = _to(next(stream), target)
            losses = wrapped(batch, joint, config.train.batch)
            loss = objective.total(losses)
            optimiser.zero_grad(set_to_none=True)
            (loss * world).backward()  # DDP averages over processes; the losses are parts of one sum
            norm = _gradient_norm(groups, config.train.clip)
            values, stopping = _summed(losses | {"total": loss}, interrupts.asked, world)
            values["gradient_norm"] = norm
            if not math.isfinite(values["total"]):
                raise RuntimeError(f"step {step}: the loss is not finite ({values}); the last checkpoint is kept")
            optimiser.step()
            step += 1
            seen += config.train.batch

            if first:
                speed = seen / (time.perf_counter() - started)
                if step % config.train.log_every == 0 or step == end or step <= 10:
                    entry = {"step": step, "phase": "joint" if joint else "pretrain", **values}
                    entry |= {"lr": optimiser.param_groups[0]["lr"], "images_per_second": round(speed, 2)}
                    log.write(json.dumps(entry) + "\n")
                    log.flush()
                bar.update()
                bar.set_postfix({name: f"{value:.4f}" for name, value in values.items() if name != "gradient_norm"})
                if on_step is not None:
                    on_step(step, values)
                if step % config.train.save_every == 0 and step < end:
                    _save(folder / "checkpoint.pt", config, model, optimiser, step)
    if first:
        _save(folder / "checkpoint.pt", config, model, optimiser, step)
        if step >= total_steps:
            save_weights(folder / WEIGHTS, model, config, steps=str(step))
        elif stopping:
            print(f"stopped after step {step} of {total_steps}; resume with: hggbook train --resume {folder}")
    if world > 1:
        dist.barrier()
    return Finished(model, step, step >= total_steps)


def learning_rates(config: Config, step: int) -> list[float]:
    """Learning rate of the proposal network, the grouping stage and the network's encoder at a step: warm-up, decay.

    The grouping stage counts from the beginning of the joint phase. Paper: sec. 3.3; Choice: the paper names only the
    initial rate, and has no encoder that has learned before.
    """
    t = config.train
    if t.decay not in ("none", "linear", "cosine"):
        raise ValueError(f"train.decay: expected none, linear or cosine, got {t.decay!r}")

    def factor(done: int, of: int) -> float:
        left = max(0.0, 1 - done / max(of, 1))
        decay = {"none": 1.0, "linear": left, "cosine": (1 - math.cos(math.pi * left)) / 2}[t.decay]
        return decay * min(1.0, (done + 1) / (t.warmup + 1))

    before = pretrain_steps(config)
    joint = max(step - before, 0)
    detector = t.learning_rate * factor(step, before + t.joint_steps)
    return [detector, t.grouping_learning_rate * factor(joint, t.joint_steps), t.encoder_rate * detector]


def pretrain_steps(config: Config) -> int:
    """Steps of the first phase: none where training begins with candidates, without a proposal network."""
    return config.train.pretrain_steps if config.data.has_images else 0


def read_log(path: str | Path) -> list[dict[str, Any]]:
    """The lines of a run's ``log.jsonl``, in the order of the steps.

    Args:
        path: the file, or the folder of the run.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a line that is no entry of a log; it is named.

    Not in the paper: bookkeeping.
    """
    path = Path(path)
    path = path / "log.jsonl" if path.is_dir() else path
    entries = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entry = json.loads(line)
            entry["step"], entry["phase"]
        except (json.JSONDecodeError, KeyError, TypeError):
            raise ValueError(f"{path}, line {number}: expected an entry of a training log, got {line[:60]!r}") from None
        entries.append(entry)
    return entries


def _parameter_groups(model: HGG, config: Config) -> list[dict[str, Any]]:
    named = [] if model.detector is None else list(model.detector.named_parameters())
    encoder = [parameter for name, parameter in named if name.startswith("encoder.")]
    detector = [parameter for name, parameter in named if not name.startswith("encoder.")]
    parts = [detector, model.grouping_parameters(), encoder]
    return [{"params": part, "lr": rate} for part, rate in zip(parts, learning_rates(config, 0), strict=True)]


def _start_processes(device: str) -> tuple[int, int]:
    """Rank and number of processes; joins the group that ``torchrun`` announces."""
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda was asked for, and this PyTorch sees no GPU; use cpu")
    world = int(os.environ.get("WORLD_SIZE", 1))
    if world == 1:
        return 0, 1
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device == "cuda" else "gloo")
    if device == "cuda":
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    return dist.get_rank(), world


def _check_folder(folder: Path, config: Config, resume: bool) -> None:
    place = folder / "config.json"
    if not place.is_file():
        return
    if not resume:
        raise ValueError(f"{folder}: holds a run already; resume it, or name another folder")
    if json.loads(place.read_text(encoding="utf-8")) != config.to_dict():
        raise ValueError(f"{place}: the run was started with another config than the one given")


@contextlib.contextmanager
def _first_to_render(world: int):
    """The first process renders or reads the data before the others look for it; they then find it in the cache."""
    if world > 1 and dist.get_rank() > 0:
        dist.barrier()
    yield
    if world > 1 and dist.get_rank() == 0:
        dist.barrier()


def _save(path: Path, config: Config, model: HGG, optimiser: torch.optim.Optimizer, step: int) -> None:
    """Everything a run needs to go on, whole or not at all."""
    state = {"config": config.to_dict(), "step": step, "model": model.state_dict(), "optimiser": optimiser.state_dict()}
    try:
        with whole_file(path) as temporary:
            torch.save(state, temporary)
    except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
        raise RuntimeError(f"{path}: the checkpoint could not be written ({error}); the one before is kept") from error


def _restore(path: Path, config: Config, model: HGG, optimiser: torch.optim.Optimizer) -> int:
    if not path.is_file():
        return 0
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # the unpickler raises whatever it stumbles over
        raise ValueError(f"{path}: expected a checkpoint of hggbook, cannot read it ({type(error).__name__})") from None
    if not (isinstance(state, dict) and {"config", "step", "model", "optimiser"} <= state.keys()):
        raise ValueError(f"{path}: expected a checkpoint of hggbook, got something else that torch saved")
    if state["config"] != config.to_dict():
        raise ValueError(f"{path}: the checkpoint was made with another config than the one given")
    fit_weights(model, state["model"], str(path))
    optimiser.load_state_dict(state["optimiser"])
    return state["step"]


def _step_seed(seed: int, step: int, rank: int) -> int:
    return (seed * 1_000_003 + step) * 64 + rank


def _to(batch, device):
    if isinstance(batch, tuple):
        return tuple(record.to(device, non_blocking=True) for record in batch)
    return batch.to(device, non_blocking=True)


def _gradient_norm(groups: list[dict[str, Any]], clip: float) -> float:
    """Norm over all parameters before clipping; each group is clipped by itself.

    Choice: by itself, so that a large gradient of the grouping stage does not shrink the detector's, nor the reverse.
    """
    norms = [torch.nn.utils.clip_grad_norm_(group["params"], clip or math.inf) for group in groups if group["params"]]
    return float(torch.stack([norm.cpu() for norm in norms]).norm())


def _summed(losses: dict[str, torch.Tensor], asked: bool, world: int) -> tuple[dict[str, float], bool]:
    """The losses summed over processes, and whether any of them was asked to stop (then all stop after this step)."""
    values = torch.stack([value.detach().float() for value in losses.values()])
    values = torch.cat([values, values.new_tensor([float(asked)])])
    if world > 1:
        dist.all_reduce(values)
    *numbers, stops = values.tolist()
    return dict(zip(losses, numbers)), stops > 0


def _open_log(path: Path, step: int):
    """The log, without the lines of steps that were taken after the last checkpoint and are taken again."""
    if path.is_file():
        kept = []
        for line in path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(json.JSONDecodeError):  # a last line that a full disk cut short
                if json.loads(line)["step"] <= step:
                    kept.append(line + "\n")
        with whole_file(path) as temporary:
            temporary.write_text("".join(kept), encoding="utf-8")
    return path.open("a", encoding="utf-8")


class _Interrupts:
    """While active, Ctrl-C and SIGTERM only set a flag, so that the step that is running ends whole."""

    def __enter__(self):
        self.asked = False
        self.before = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self.before[number] = signal.signal(number, self._ask)
        return self

    def _ask(self, number, frame):
        self.asked = True

    def __exit__(self, *error):
        for number, handler in self.before.items():
            signal.signal(number, handler)

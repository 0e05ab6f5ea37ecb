"""Fine-tunes the embedded model to read commands: `python -m planners.finetune -o out/finetune`.

SmolLM2-135M-Instruct stays as it is; LoRA matrices (Hu et al. 2021, arXiv 2106.09685) on every linear
layer learn to answer in the language of `planners.forms`. Training data are written as they are needed, a
function of the seed and the step, so that a run that was stopped goes on where it was.

A row of a batch is one scene followed by several commands, each of which sees the scene and itself alone:
what a scene costs is shared. The loss is on the answers only. Runs in bfloat16 on one thread of a CPU that
has AVX512-BF16. Attention is written out: rows of 576 tokens together take 1.4 s of processor time so, 1.7 s
with torch's unfused kernel, and more with its fused one, whose backward pass is slow in bfloat16.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import logging
import math
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from planners.adapter import LAYERS, read_adapter, write_adapter
from planners.compact import describe, prompt
from planners.embedded import bundled_weights
from planners.phrasing.scenes import sample_scene
from planners.phrasing.triples import Triple, scene_triples
from robot_skills.errors import InputError, require
from robot_skills.policies.torchvision_shim import import_declaring

log = logging.getLogger("planners.finetune")
_MAY_CHANGE = ("steps", "device", "threads", "learning_rate")
_SHORTEST = 24  # tokens of a command with its answer, or few are less


@dataclass(frozen=True)
class Tuning:
    """How the model is tuned.

    Attributes:
        rank: of every adapter; 5 on all layers are 1.5 million weights, 3.1 MB in half precision.
        alpha: LoRA's; the adapters count alpha / rank.
        learning_rate: the highest, reached after `warmup` steps and held.
        steps: in all; in the last quarter the rate goes down to a twentieth. A run that is over goes on with
            more of them.
        scenes: rows of a batch.
        row: tokens of a row, which takes in as many commands about its scene as fit.
        seed: of the data and of the first weights.
        device: "cpu" or "cuda".
        threads: of the CPU.
        first: step that it begins at: where an adapter is gone on from, as many as made it.
    """

    rank: int = 5
    alpha: float = 10.0
    learning_rate: float = 1.5e-3
    warmup: int = 40
    steps: int = 1200
    scenes: int = 2
    row: int = 288
    seed: int = 0
    device: str = "cpu"
    threads: int = 1
    first: int = 0

    def rate(self, step: int) -> float:
        """The learning rate of a step."""
        if step - self.first < self.warmup:
            return self.learning_rate * (step - self.first + 1) / self.warmup
        left = (self.steps - step) / (0.25 * self.steps)
        return self.learning_rate * min(1.0, 0.05 + 0.95 * left)


@dataclass(frozen=True)
class Batch:
    """Rows of tokens.

    Attributes:
        tokens: (B, T), padded with 0.
        positions: (B, T); each command's begin where the scene's end.
        seen: (B, 1, T, T) bool, what each token attends to.
        answers: (B, T) bool, the tokens that are to be foretold.
    """

    tokens: Tensor
    positions: Tensor
    seen: Tensor
    answers: Tensor

    def to(self, device: str) -> Batch:
        """On a device."""
        return Batch(*(each.to(device) for each in (self.tokens, self.positions, self.seen, self.answers)))


class Rows:
    """Turns triples into rows of tokens.

    Args:
        tokenizer: the model's.
        length: of a row, at most; commands that do not fit in are left out, but for the first.
    """

    def __init__(self, tokenizer: Any, length: int) -> None:
        self._tokenizer, self._length = tokenizer, length

    def ids(self, text: str) -> list[int]:
        """The tokens of a text, with nothing put before or after it."""
        return list(self._tokenizer(text, add_special_tokens=False).input_ids)

    def batch(self, rows: Sequence[Sequence[Triple]]) -> Batch:
        """Pack rows of triples; those of a row share their scene."""
        packed = [self._row(row) for row in rows]
        longest = max(len(tokens) for tokens, *_ in packed)
        tokens, positions = (torch.zeros(len(rows), longest, dtype=torch.long) for _ in "tp")
        answers = torch.zeros(len(rows), longest, dtype=torch.bool)
        block = torch.full((len(rows), longest), -1)
        for number, (ids, places, blocks, asked) in enumerate(packed):
            span = slice(0, len(ids))
            tokens[number, span], positions[number, span] = torch.tensor(ids), torch.tensor(places)
            block[number, span], answers[number, span] = torch.tensor(blocks), torch.tensor(asked)
        same = (block[:, :, None] == block[:, None, :]) | (block[:, None, :] == 0)
        earlier = torch.ones(longest, longest, dtype=torch.bool).tril()
        return Batch(tokens, positions, (same & earlier)[:, None], answers)

    def _row(self, row: Sequence[Triple]) -> tuple[list[int], list[int], list[int], list[bool]]:
        """Tokens, positions, which block each belongs to (0 is the scene), and which are answers."""
        tokens = self.ids(describe(row[0].scene))
        start = len(tokens)
        positions, blocks, asked = list(range(start)), [0] * start, [False] * start
        for number, triple in enumerate(row, start=1):
            said, answer = self.ids(prompt(triple.command)), self.ids(f" {triple.form}\n")
            length = len(said) + len(answer)
            if number > 1 and len(tokens) + length > self._length:
                continue
            tokens += said + answer
            positions += range(start, start + length)
            blocks += [number] * length
            asked += [False] * len(said) + [True] * len(answer)
        return tokens, positions, blocks, asked


def load_base(device: str) -> tuple[nn.Module, Any]:
    """The embedded model's weights in torch, dequantised to bfloat16, and its tokenizer.

    Raises:
        InputError: a package is missing.
    """
    if importlib.util.find_spec("torchvision"):
        import_declaring("torchvision")  # as transformers will
    transformers = require("transformers", "finetune")
    weights = bundled_weights()
    where: dict[str, Any] = {"gguf_file": weights.name}
    tokenizer = transformers.AutoTokenizer.from_pretrained(weights.parent, **where)
    config = transformers.GgufConfig(dequantize=True)
    model = transformers.AutoModelForCausalLM.from_pretrained(
        weights.parent,
        dtype=torch.bfloat16,
        quantization_config=config,
        attn_implementation="eager",
        **where,
    )
    return model.to(device), tokenizer


def adapted(model: nn.Module, tuning: Tuning) -> nn.Module:
    """The model with LoRA on every linear layer."""
    peft = require("peft", "finetune")
    torch.manual_seed(tuning.seed)
    names = sorted({name.rpartition(".")[2] for name in LAYERS})
    config = peft.LoraConfig(r=tuning.rank, lora_alpha=tuning.alpha, target_modules=names)
    wrapped: nn.Module = peft.get_peft_model(model, config)
    for parameter in wrapped.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.float()
    return wrapped


def loss_of(model: Any, batch: Batch, device: str) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the answers' tokens, and whether each was foretold: (), (N,)."""
    llama = model.base_model.model
    mask = torch.zeros(batch.seen.shape, dtype=torch.bfloat16, device=device)
    mask.masked_fill_(~batch.seen, torch.finfo(torch.bfloat16).min)
    with torch.autocast(device, torch.bfloat16):
        hidden = llama.model(
            input_ids=batch.tokens, attention_mask=mask, position_ids=batch.positions, use_cache=False
        ).last_hidden_state
        foretold = batch.answers[:, 1:]
        logits = llama.lm_head(hidden[:, :-1][foretold]).float()
    targets = batch.tokens[:, 1:][foretold]
    return F.cross_entropy(logits, targets), logits.argmax(-1) == targets


def step_rows(tuning: Tuning, step: int, held_out: bool = False) -> list[list[Triple]]:
    """The triples of a step, more than rows take in: a function of the seed and the step alone."""
    rows = []
    for row in range(tuning.scenes):
        rng = random.Random(f"{tuning.seed}:{step}:{row}:{held_out}")
        rows.append(scene_triples(rng, sample_scene(rng), tuning.row // _SHORTEST, held_out))
    return rows


def _place(name: str) -> tuple[int, str, int]:
    """Of a parameter's name in torch: the layer, the module in it, and whether it is A (0) or B (1)."""
    _, _, inside = name.partition(".layers.")
    layer, _, rest = inside.partition(".")
    module, _, side = rest.partition(".lora_")
    return int(layer), module, int(side.startswith("B"))


class Run:
    """One fine-tuning run in a folder; a folder that holds one already goes on with it.

    Args:
        folder: for the checkpoint, the log and the adapter.
        tuning: how.
        initial: an adapter that the run begins with; None: one that changes nothing.
    """

    def __init__(self, folder: Path, tuning: Tuning, initial: Path | None = None) -> None:
        self.folder, self.tuning = folder, tuning
        self.step, self.seconds, self.tokens = tuning.first, 0.0, 0
        folder.mkdir(parents=True, exist_ok=True)
        torch.set_num_threads(tuning.threads)
        base, tokenizer = load_base(tuning.device)
        self.rows = Rows(tokenizer, tuning.row)
        self.model: Any = adapted(base, tuning)
        self.learned = {n: p for n, p in self.model.named_parameters() if p.requires_grad}
        self.optimizer = torch.optim.AdamW(self.learned.values(), lr=0.0, betas=(0.9, 0.98), weight_decay=0.0)
        if self._checkpoint.is_file():
            self._load()
        elif initial:
            self._begin_with(initial)

    @property
    def _checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    def _load(self) -> None:
        saved = torch.load(self._checkpoint, map_location=self.tuning.device, weights_only=True)
        theirs = {key: value for key, value in saved["tuning"].items() if key not in _MAY_CHANGE}
        ours = {key: value for key, value in asdict(self.tuning).items() if key in theirs}
        if theirs != ours:
            raise InputError(f"{self.folder} holds a run with other settings: {theirs}.")
        for name, parameter in self.learned.items():
            parameter.data.copy_(saved["weights"][name])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.seconds, self.tokens = saved["step"], saved["seconds"], saved["tokens"]
        log.info("Going on at step %d of %d.", self.step, self.tuning.steps)

    def _begin_with(self, path: Path) -> None:
        matrices = read_adapter(path, self._heads)
        for name, parameter in self.learned.items():
            layer, module, side = _place(name)
            given = torch.from_numpy(matrices[layer, module][side])
            if given.shape != parameter.shape:
                raise InputError(f"{path} is of rank {min(given.shape)}, asked is --rank {self.tuning.rank}.")
            parameter.data.copy_(given)

    @property
    def _heads(self) -> tuple[int, int]:
        """Of queries, and of keys and values."""
        config = self.model.base_model.model.config
        return config.num_attention_heads, config.num_key_value_heads

    def save(self) -> None:
        """Write the checkpoint and the adapter, each at once."""
        temporary = self._checkpoint.with_suffix(".part")
        weights = {name: parameter.data for name, parameter in self.learned.items()}
        state: dict[str, Any] = {
            "weights": weights,
            "optimizer": self.optimizer.state_dict(),
            "tuning": asdict(self.tuning),
        }
        state |= {"step": self.step, "seconds": self.seconds, "tokens": self.tokens}
        torch.save(state, temporary)
        temporary.replace(self._checkpoint)
        self.export(self.folder / "adapter.gguf")

    def export(self, path: Path) -> None:
        """Write the adapter for llama.cpp."""
        matrices: dict[tuple[int, str], list[Any]] = {}
        for name, parameter in self.learned.items():
            layer, module, side = _place(name)
            learned = parameter.detach().float().cpu().numpy()
            matrices.setdefault((layer, module), [None, None])[side] = learned
        pairs = {key: (a, b) for key, (a, b) in matrices.items()}
        write_adapter(path, pairs, self.tuning.alpha, self._heads)

    def train(self, save_every: float, until: float = math.inf) -> None:
        """Train to the last step, or until a time (`time.time()`); saves every so many seconds."""
        saved = time.time()
        recent: list[tuple[float, float]] = []
        while self.step < self.tuning.steps and time.time() < until:
            started = time.perf_counter()
            batch = self.rows.batch(step_rows(self.tuning, self.step)).to(self.tuning.device)
            for group in self.optimizer.param_groups:
                group["lr"] = self.tuning.rate(self.step)
            loss, right = loss_of(self.model, batch, self.tuning.device)
            self.optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(self.learned.values(), 1.0)
            self.optimizer.step()
            self.step += 1
            self.tokens += int((batch.positions > 0).sum())
            self.seconds += time.perf_counter() - started
            recent.append((loss.item(), right.float().mean().item()))
            if self.step % 20 == 0:
                self._report(recent)
                recent.clear()
            if time.time() - saved > save_every:
                self.save()
                saved = time.time()
        self.save()

    def _report(self, recent: Sequence[tuple[float, float]]) -> None:
        loss, right = (sum(values) / len(recent) for values in zip(*recent, strict=True))
        speed = self.tokens / self.seconds
        told = {"step": self.step, "loss": round(loss, 4), "tokens_right": round(right, 4)}
        told |= {"tokens_per_second": round(speed), "seconds": round(self.seconds)}
        log.info("%s", json.dumps(told))
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(told) + "\n")

    @torch.no_grad()
    def held_out(self, batches: int = 8) -> tuple[float, float]:
        """Loss and share of tokens foretold on constructions that were not trained on."""
        told = [
            loss_of(self.model, self.rows.batch(rows).to(self.tuning.device), self.tuning.device)
            for rows in (step_rows(self.tuning, step, held_out=True) for step in range(batches))
        ]
        right = torch.cat([each for _, each in told]).float().mean().item()
        return sum(loss.item() for loss, _ in told) / batches, right


def main() -> None:
    """The command line."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-o", "--output", type=Path, default=Path("out/finetune"), help="folder of the run")
    parser.add_argument("--export", type=Path, help="where to write the adapter besides")
    parser.add_argument(
        "--initial", type=Path, help="an adapter to begin with; say --first, the step that made it"
    )
    parser.add_argument("--minutes", type=float, default=math.inf, help="stop after so long")
    parser.add_argument("--save-every", type=float, default=150.0, help="seconds between checkpoints")
    for name, default in asdict(Tuning()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default)
    args = parser.parse_args()
    tuning = Tuning(**{name: getattr(args, name) for name in asdict(Tuning())})
    try:
        run = Run(args.output, tuning, args.initial)
    except InputError as error:
        raise SystemExit(str(error)) from error
    run.train(args.save_every, time.time() + 60 * args.minutes)
    loss, right = run.held_out()
    log.info("Held-out constructions: loss %.3f, %.1f %% of tokens.", loss, 100 * right)
    if args.export:
        run.export(args.export)


if __name__ == "__main__":
    main()

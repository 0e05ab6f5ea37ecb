"""Whether llama.cpp with the adapter says what torch said when it was tuned.

    python benchmarks/reader_agreement.py [--adapter FILE] [--run FOLDER] [-o TABLE.md]

The likeliest next tokens after held-out commands, from the checkpoint in torch (weights dequantised to
bfloat16) and from llama.cpp with the exported adapter (weights in 4 bits, activations in 8): how often the
likeliest is the same, and how far its log-probability is off. Beside it, llama.cpp without the adapter.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import torch

from planners.compact import describe, prompt
from planners.embedded import bundled_weights, start_server
from planners.finetune import Run, Tuning
from planners.phrasing.triples import write_triples

HERE = Path(__file__).parent
SEED = 990_002


def torch_says(run: Run, text: str) -> tuple[int, float]:
    """The likeliest next token and its log-probability."""
    ids = torch.tensor([run.rows.ids(text)])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        logits = run.model(input_ids=ids).logits[0, -1].float()
    best = int(logits.argmax())
    return best, float(logits.log_softmax(-1)[best])


def llama_says(server: Any, text: str) -> tuple[int, float]:
    """The same from llama.cpp."""
    answer = server.handle_completions(
        {"prompt": text, "n_predict": 1, "temperature": 0.0, "n_probs": 1, "logprobs": 1}
    )
    told = answer["choices"][0]["logprobs"]["content"][0]
    return int(told["id"]), float(told["logprob"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", type=Path, default=Path("out/finetune/reader"))
    parser.add_argument("--adapter", type=Path, default=Path("out/finetune/reader/adapter.gguf"))
    parser.add_argument("--commands", type=int, default=12)
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "reader_agreement.md")
    args = parser.parse_args()
    run = Run(args.run, Tuning())
    servers = {
        "with the adapter": start_server(bundled_weights(), 1, 1024, args.adapter),
        "without": start_server(bundled_weights(), 1, 1024),
    }
    texts = []
    for triple in write_triples(SEED, args.commands, 1, held_out=True):
        start = describe(triple.scene) + prompt(triple.command)
        answer = f" {triple.form}"
        texts += [start, start + answer[: answer.rfind(" ")], start + answer]
    lines, ours = [], [torch_says(run, text) for text in texts]
    for name, server in servers.items():
        pairs = [(one, llama_says(server, text)) for one, text in zip(ours, texts, strict=True)]
        same = [abs(one[1] - two[1]) for one, two in pairs if one[0] == two[0]]
        off = f"{sum(same) / len(same):.3f} | {max(same):.3f}" if same else "- | -"
        lines.append(f"| {name} | {len(same)} of {len(pairs)} | {off} |")
    text = "\n".join(
        [
            "# torch and llama.cpp",
            "",
            f"`python benchmarks/reader_agreement.py --commands {args.commands}`: the likeliest token at "
            f"{len(texts)} places of {args.commands} held-out commands, step {run.step} of the tuning.",
            "",
            "| llama.cpp | same likeliest token | log-probability off, mean | most |",
            "|---|---|---|---|",
            *lines,
            "",
        ]
    )
    args.output.write_text(text)
    print(text)


if __name__ == "__main__":
    main()

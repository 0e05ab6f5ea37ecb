"""Where the argument is: the small CLIP's similarity of every patch of an image with what was said.

A policy that is shown its argument on a map need not know its name: a new colour, or another word for one it
knows, looks on the map as the old ones did (WildLMa, Qiu et al. 2024, gates its features so). An argument is
split into noun phrases at its words of relation: "red block in the white bowl" is about two things, each with
a map of its own, and "in" is left to the text encoder. The CLIP is frozen, and comes with the package.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.errors import InputError
from robot_skills.policies.clip import load_clip, load_tokenizer
from robot_skills.policies.clip.dense import patch_features, patch_grid
from robot_skills.policies.language import LanguageEncoder
from robot_skills.policies.settings import check_choice, check_range
from robot_skills.policies.vision.encoder import grid
from robot_skills.policies.vision.pixels import TowerPixels

ARTICLES = frozenset({"the", "a", "an"})
#: Added to a peak's logit before it is read as a strength: the peaks of what is in a picture lie about -1,
#: those of colours that are not about -5 (60 front and 60 wrist pictures of the tabletop, the CLIP that comes
#: with the package).
PRESENT = 3.0
#: Of the logits before the mean place is taken, so that 250 cells of table do not draw it to the middle.
SHARPNESS = 2.0


@dataclass(frozen=True)
class ArgumentMapConfig:
    """Whether a policy is shown where its argument is, and how.

    Attributes:
        kind: "none", or "clip".
        model, pretrained: an open_clip model, as in `LanguageConfig`; "tabletop" is the small
            one that comes with the package.
        phrases: noun phrases of an argument that have a map; the skills that come with the package name one
            thing each.
        relations: words that part noun phrases, and belong to none.
        channel: whether each map is laid over the image as a further channel.
        token: whether the policy reads where each map peaks, and how high, as a token.
    """

    kind: str = "none"
    model: str = "tabletop"
    pretrained: str = ""
    phrases: int = 1
    relations: tuple[str, ...] = ("in", "on", "into", "onto", "to", "left", "right", "forward", "back")
    channel: bool = True
    token: bool = True

    def __post_init__(self) -> None:
        check_choice("kind of argument map", self.kind, ("none", "clip"))
        check_range("argument_map.phrases", self.phrases, 1, 4)
        if not (self.channel or self.token):
            raise InputError("An argument map is shown as a channel, as a token, or as both.")

    @property
    def channels(self) -> int:
        """Of the pixels, beside red, green and blue."""
        return self.phrases if self.kind != "none" and self.channel else 0


def noun_phrases(text: str, relations: Sequence[str]) -> list[str]:
    """The runs of words between words of relation, without articles; none is empty."""
    phrases: list[list[str]] = [[]]
    for word in text.lower().split():
        if word in relations:
            phrases.append([])
        elif word not in ARTICLES:
            phrases[-1].append(word)
    return [" ".join(words) for words in phrases if words]


class ArgumentMap(nn.Module):
    """Maps of what was said over each camera's image.

    The CLIP is not among the parameters, nor saved with the policy; a checksum is, so that a policy is not
    run with another CLIP than it was trained with.

    Args:
        config: how maps are shown.
        cameras: their names.
        width: of the token.
    """

    checksum: Tensor

    def __init__(self, config: ArgumentMapConfig, cameras: Sequence[str], width: int) -> None:
        super().__init__()
        self.config, self.cameras = config, tuple(cameras)
        model = load_clip(config.model, config.pretrained).requires_grad_(False)
        self.patch_grid = patch_grid(model.visual)
        self.pixels = TowerPixels(model.visual)
        self.words = PhraseVectors(model, load_tokenizer(config.model), config)
        self._visual = [model.visual]  # a list hides it
        self._scale = float(model.logit_scale.exp())
        self._bias = float(model.logit_bias or 0.0)
        self.read = nn.Linear(3 * len(cameras) * config.phrases, width) if config.token else None
        self.register_buffer("checksum", torch.tensor(_checksum(model)))

    @property
    def tokens(self) -> int:
        """Tokens of the context."""
        return int(self.read is not None)

    def forward(
        self, pixels: Mapping[str, Tensor], phrases: Tensor
    ) -> tuple[dict[str, Tensor], list[Tensor]]:
        """Show where phrases are.

        Args:
            pixels: camera -> normalised (B, 3, h, w).
            phrases: (B, phrases, features), as `words` makes them.

        Returns:
            Camera -> pixels with the maps as further channels, and tokens, each (B, 1, width).
        """
        shown, places = {}, []
        for name in self.cameras:
            maps, where = self.locate(pixels[name], phrases)
            places.append(where.flatten(1))
            shown[name] = pixels[name]
            if self.config.channel:
                size = pixels[name].shape[2:]
                laid = F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
                shown[name] = torch.cat([pixels[name], 2 * laid], dim=1)  # about as strong as the pixels
        tokens = [] if self.read is None else [self.read(torch.cat(places, dim=1))[:, None]]
        return shown, tokens

    def locate(self, pixels: Tensor, phrases: Tensor) -> tuple[Tensor, Tensor]:
        """Maps (B, phrases, rows, columns) in [0, 1], and (B, phrases, 3): x, y in [-1, 1], and strength.

        A map is relative to its peak, since another word for a thing fits it less well and no less clearly,
        times the strength of the peak, which says whether the thing is in the picture at all.
        """
        with torch.no_grad():
            patches = patch_features(self._visual[0], self.pixels(pixels))
            logits = self._scale * phrases @ patches.transpose(1, 2) + self._bias
            peak = logits.amax(-1, keepdim=True)
            said = phrases.norm(dim=-1, keepdim=True)  # 1, or 0 where there is no phrase
            strength = (peak + PRESENT).sigmoid() * said
            where = (SHARPNESS * logits).softmax(-1) @ grid(*self.patch_grid, logits) * said
            maps = ((logits - peak).exp() * strength).unflatten(-1, self.patch_grid)
            return maps, torch.cat([where, strength], dim=-1)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> ArgumentMap:
        """As in `nn.Module`: moves the hidden tower as well."""
        for tower in self._visual:
            tower._apply(fn)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return self

    def _load_from_state_dict(self, state_dict: Any, prefix: str, *rest: Any) -> None:
        saved = state_dict.get(f"{prefix}checksum", self.checksum)
        if int(saved) != int(self.checksum):
            errors = rest[-1]
            errors.append(f"it was trained with other weights of the CLIP {self.config.model!r}")
        super()._load_from_state_dict(state_dict, prefix, *rest)


class PhraseVectors:
    """Texts to the vectors of their noun phrases; each phrase is encoded once, on the CPU."""

    def __init__(self, model: Any, tokenize: Any, config: ArgumentMapConfig) -> None:
        self._model, self._tokenize, self._config = [model], tokenize, config
        self._known: dict[str, Tensor] = {}
        with torch.no_grad():
            self.size = int(model.encode_text(tokenize(["x"])).shape[-1])

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors (N, phrases, features); zeros where a text has fewer phrases."""
        return torch.stack([self._vectors(text) for text in texts])

    @torch.no_grad()
    def _vectors(self, text: str) -> Tensor:
        count = self._config.phrases
        found = noun_phrases(text, self._config.relations)[:count]
        for phrase in found:
            if phrase not in self._known:
                with torch.autocast("cpu", enabled=False):  # what is kept serves every precision
                    vectors = self._model[0].encode_text(self._tokenize([phrase]), normalize=True)
                self._known[phrase] = vectors[0]
        rows = [self._known[phrase] for phrase in found] + [torch.zeros(self.size)] * (count - len(found))
        return torch.stack(rows)


class PointedLanguage(LanguageEncoder):
    """A language encoder whose tokens also hold the vectors of the argument's phrases.

    So both travel as one tensor, wherever a policy's texts go.

    Args:
        inner: what reads the text.
        words: what makes the phrases' vectors.
    """

    def __init__(self, inner: LanguageEncoder, words: PhraseVectors) -> None:
        super().__init__(inner.config)
        self.inner, self.vectors = inner, words
        empty = inner.tokens([""])
        self._columns, self._dtype = empty.shape[1], empty.dtype

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """The inner tokens, exact in float32, and the phrases' vectors; (N, columns)."""
        inner = self.inner.tokens(texts)
        vectors = self.vectors(texts).to(inner.device)
        return torch.cat([inner.float(), vectors.flatten(1)], dim=1)

    def read(self, tokens: Tensor) -> Tensor:
        """Encode the inner tokens, (B, width)."""
        return self.inner.read(tokens[:, : self._columns].to(self._dtype))

    def phrases(self, texts: Sequence[str] | Tensor, device: torch.device) -> Tensor:
        """The phrases' vectors (B, phrases, features)."""
        if isinstance(texts, Tensor):
            return texts[:, self._columns :].reshape(len(texts), -1, self.vectors.size)
        return self.vectors(texts).to(device)

    def learn_vocabulary(self, texts: Sequence[str]) -> None:
        """As the inner encoder does."""
        self.inner.learn_vocabulary(texts)
        self._cache.clear()

    def words(self) -> list[str]:
        """Those of the inner encoder."""
        return self.inner.words()


def _checksum(model: Any) -> int:
    """Of all weights."""
    total = 0
    for _, value in sorted(model.state_dict().items()):
        total = zlib.crc32(value.detach().float().cpu().contiguous().numpy().tobytes(), total)
    return total

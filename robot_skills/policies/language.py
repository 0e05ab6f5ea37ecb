"""Language encoders: open_clip's text tower, small and trained with the policy, or pre-trained."""

from __future__ import annotations

import functools
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from robot_skills.errors import InputError
from robot_skills.policies.clip import load_clip, load_tokenizer
from robot_skills.policies.settings import check_choice, check_range
from robot_skills.policies.torchvision_shim import import_open_clip

log = logging.getLogger(__name__)

#: Slots of the compact vocabulary. The end token has the highest id, as open_clip's pooling expects.
PAD, START, UNKNOWN, FIRST_WORD = 0, 1, 2, 3


@dataclass(frozen=True)
class LanguageConfig:
    """Which text tower reads the language argument.

    Attributes:
        kind: "small" is a text tower of open_clip's class, trained with the policy: a skill's argument is
            two or three words from a small vocabulary. "open_clip" is any pre-trained one, with a linear
            projection, for arguments in words the demonstrations do not hold. "none" reads nothing.
        keep: the words that are read, all others are left out; empty: every word. Where a map shows the
            policy its argument, words such as "in" and "left" are all that it needs to be told, and no new
            name of a colour can confuse it.
        width, layers, heads: of the small tower. A batch holds a few distinct texts, each encoded once, so
            that its cost hardly shows.
        context: tokens read; longer text is cut.
        vocabulary: slots of the small tower's own vocabulary. CLIP's 49,408 would be 12 MB of embeddings
            of which a skill uses some dozens.
        model, pretrained: open_clip's model name, and a tag (downloaded) or a checkpoint's path. The name
            "tabletop" is the small CLIP that comes with the package.
        tune: whether open_clip's tower learns with the policy and is saved with it.
    """

    kind: str = "small"
    width: int = 64
    layers: int = 2
    heads: int = 2
    context: int = 16
    vocabulary: int = 256
    model: str = ""
    pretrained: str = ""
    keep: tuple[str, ...] = ()
    tune: bool = False

    def __post_init__(self) -> None:
        check_choice("kind of language encoder", self.kind, ("small", "open_clip", "none"))
        for name in ("width", "layers", "heads"):
            check_range(f"language {name}", getattr(self, name), 1)
        check_range("language context", self.context, 3, 77)
        check_range("language vocabulary", self.vocabulary, FIRST_WORD + 2, 49_408)
        if self.width % self.heads:
            raise InputError(f"Language width {self.width} is not divisible by {self.heads} heads.")
        if self.tune and self.kind != "open_clip":
            raise InputError('language.tune goes with language.kind "open_clip".')
        if (self.kind == "open_clip") != bool(self.model):
            raise InputError('language.model goes with language.kind "open_clip", and that kind needs it.')


class LanguageEncoder(nn.Module, ABC):
    """Texts to vectors (N, size). In evaluation mode each text is encoded once and remembered."""

    size: int

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__()
        self.config = config
        self.size = config.width
        self._cache: dict[str, Tensor] = {}
        self._cached_for: tuple[tuple[int, int], ...] = ()

    def forward(self, texts: Sequence[str] | Tensor) -> Tensor:
        """Encode a batch of texts, each distinct text once, or what `tokens` made of them; (B, size)."""
        if isinstance(texts, Tensor):
            return self.read(texts)
        distinct = list(dict.fromkeys(texts))
        remember = not self.training and not torch.is_grad_enabled()
        vectors = self._recall(distinct) if remember else self.encode(distinct)
        if len(distinct) == len(texts):
            return vectors
        place = {text: i for i, text in enumerate(distinct)}
        index = torch.tensor([place[text] for text in texts], device=vectors.device)
        return vectors.index_select(0, index)

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Encode texts without remembering them, (len(texts), size)."""
        return self.read(self.tokens(texts))

    @abstractmethod
    def tokens(self, texts: Sequence[str]) -> Tensor:
        """What `read` encodes, one row a text, on the device of the weights."""

    @abstractmethod
    def read(self, tokens: Tensor) -> Tensor:
        """Encode what `tokens` made, (B, size), without waiting for the device."""

    def kept(self, text: str) -> str:
        """The words of a text that are read."""
        if not self.config.keep:
            return text
        return " ".join(word for word in text.split() if word in self.config.keep)

    def learn_vocabulary(self, texts: Sequence[str]) -> None:
        """Take in the words of the training data; encoders with a vocabulary of their own ignore it."""

    def words(self) -> list[str]:
        """Word pieces the encoder was trained on; empty if it came trained."""
        return []

    def _recall(self, texts: list[str]) -> Tensor:
        # Version and address of every parameter: weights changed in place or swapped empty the cache.
        now = tuple((p._version, p.data_ptr()) for p in self.parameters())
        if now != self._cached_for:
            self._cache.clear()
            self._cached_for = now
        new = [text for text in texts if text not in self._cache]
        if new:
            self._cache.update(zip(new, self.encode(new), strict=True))
        return torch.stack([self._cache[text] for text in texts])

    def train(self, mode: bool = True) -> LanguageEncoder:
        """As in `nn.Module`; what was remembered is forgotten."""
        self._cache.clear()
        return super().train(mode)


class SmallLanguageEncoder(LanguageEncoder):
    """open_clip's text tower over a compact vocabulary, trained with the policy.

    CLIP's byte-pair tokens are numbered anew: `token_ids[slot]` is the CLIP token of a slot, -1 if the
    slot is free, so the mapping is saved with the weights. Tokens outside it read as unknown.
    """

    token_ids: Tensor

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__(config)
        import_open_clip()
        from open_clip.model import CLIPTextCfg, _build_text_tower

        settings = CLIPTextCfg(
            context_length=config.context,
            vocab_size=config.vocabulary,
            width=config.width,
            heads=config.heads,
            layers=config.layers,
        )
        self.tower: nn.Module = _build_text_tower(config.width, settings)
        self.register_buffer("token_ids", torch.full((config.vocabulary,), -1))
        self._ids: dict[str, list[int]] = {}
        self._warned: set[str] = set()

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Slots of the vocabulary, (len(texts), context) int64."""
        return torch.tensor(
            [self._encode_ids(self.kept(text)) for text in texts], device=self.token_ids.device
        )

    def read(self, tokens: Tensor) -> Tensor:
        """Encode slots, (B, width)."""
        vectors: Tensor = self.tower(tokens)
        return vectors

    def learn_vocabulary(self, texts: Sequence[str]) -> None:
        """Give every token of these texts that has no slot yet a free one, in sorted order.

        Raises:
            InputError: there are more distinct tokens than slots.
        """
        known = set(self.token_ids.tolist())
        tokens = sorted(
            {token for text in map(self.kept, set(texts)) for token in _tokenizer().encode(text)} - known
        )
        used = int((self.token_ids >= 0).sum())
        free = self.config.vocabulary - FIRST_WORD - 1 - used
        if len(tokens) > free:
            raise InputError(
                f"The texts hold {len(tokens)} new word pieces, language.vocabulary has {free} free slots; "
                f"set it to {self.config.vocabulary - free + len(tokens)} or more."
            )
        start = FIRST_WORD + used
        self.token_ids[start : start + len(tokens)] = self.token_ids.new_tensor(tokens)
        self._ids.clear()
        self._cache.clear()

    def words(self) -> list[str]:
        """Word pieces with a slot, by slot."""
        return [_tokenizer().decode([token]).strip() for token in self.token_ids.tolist() if token >= 0]

    def _encode_ids(self, text: str) -> list[int]:
        if text not in self._ids:
            end = self.config.vocabulary - 1
            slots = {token: slot for slot, token in enumerate(self.token_ids.tolist()) if token >= 0}
            words = [slots.get(token, UNKNOWN) for token in _tokenizer().encode(text)]
            if UNKNOWN in words and text not in self._warned:
                self._warned.add(text)
                log.warning("The policy was trained without some words of %r; they read as unknown.", text)
            ids = [START, *words[: self.config.context - 2], end]
            self._ids[text] = ids + [PAD] * (self.config.context - len(ids))
        return self._ids[text]

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        super()._load_from_state_dict(*args, **kwargs)
        self._ids.clear()
        self._cache.clear()


class ClipLanguageEncoder(LanguageEncoder):
    """A pre-trained open_clip text tower and a linear projection.

    A frozen tower is not saved with the policy, and runs once a distinct text, in `tokens`.
    """

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__(config)
        model = load_clip(config.model, config.pretrained)
        model.visual = None
        # Frozen, it is kept in a list, so that it is no submodule: it comes from its tag or path again.
        self._frozen: list[Any] = [] if config.tune else [model.requires_grad_(False)]
        self.tower = model if config.tune else None
        self._tokenize = load_tokenizer(config.model)
        self._features: dict[str, Tensor] = {}
        with torch.no_grad():
            features = _features(model, self._tokenize(["x"])).shape[-1]
        self.projection = nn.Linear(features, config.width)

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """The frozen tower's features, (N, features), or what a tuned one reads, (N, context) int64."""
        texts = [self.kept(text) for text in texts]
        device = self.projection.weight.device
        if self.tower is not None:
            ids: Tensor = self._tokenize(texts)
            return ids.to(device)
        new = list(dict.fromkeys(text for text in texts if text not in self._features))
        if new:
            # Without autocast, since what is kept serves every precision.
            with torch.no_grad(), torch.autocast("cpu", enabled=False):
                features = _features(self._frozen[0], self._tokenize(new))
            self._features.update(zip(new, features, strict=True))
        return torch.stack([self._features[text] for text in texts]).to(device)

    def read(self, tokens: Tensor) -> Tensor:
        """Project features, (B, width)."""
        features = tokens if self.tower is None else _features(self.tower, tokens)
        vectors: Tensor = self.projection(features)
        return vectors


class SilentLanguageEncoder(LanguageEncoder):
    """Reads nothing: every text is a vector of zeros."""

    def __init__(self, config: LanguageConfig) -> None:
        super().__init__(config)
        self.register_buffer("zeros", torch.zeros(config.width), persistent=False)

    zeros: Tensor

    def tokens(self, texts: Sequence[str]) -> Tensor:
        """Nothing, once a text: (N, 0)."""
        return self.zeros.new_zeros(len(texts), 0)

    def read(self, tokens: Tensor) -> Tensor:
        """Zeros, (B, width)."""
        return self.zeros.expand(len(tokens), -1)


def _features(model: Any, tokens: Tensor) -> Tensor:
    # Normalised and scaled to unit variance: CLIP's features differ in length from model to model.
    features: Tensor = model.encode_text(tokens, normalize=True)
    scaled: Tensor = features * features.shape[-1] ** 0.5
    return scaled


def language_encoder(config: LanguageConfig) -> LanguageEncoder:
    """The encoder that a configuration asks for.

    Raises:
        InputError: its weights cannot be loaded.
    """
    kinds: dict[str, Callable[[LanguageConfig], LanguageEncoder]] = {
        "small": SmallLanguageEncoder,
        "open_clip": ClipLanguageEncoder,
        "none": SilentLanguageEncoder,
    }
    return kinds[config.kind](config)


@functools.cache
def _tokenizer() -> Any:
    return import_open_clip().SimpleTokenizer()

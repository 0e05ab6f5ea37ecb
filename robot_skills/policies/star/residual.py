"""Residual vector quantizers: each level quantizes what the levels before left over.

They differ in what a codebook is: it follows the mean of its vectors, learns by gradient, is frozen random
numbers (STAR's release), or one learned linear map of frozen random numbers (SimVQ).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from robot_skills.policies.star.estimators import ESTIMATORS
from robot_skills.policies.star.k_means import k_means
from robot_skills.policies.star.matching import GradientMatch
from robot_skills.policies.star.quantizer import Quantized, Quantizer, assignment

#: A moving average of use below which the mean it goes with is no longer known.
VANISHED = 1e-5
#: Iterations of k-means at the start.
ITERATIONS = 20


class ResidualQuantizer(Quantizer):
    """D codebooks of K codes.

    The nearest code is taken, never a sampled one: sampling diverges under the rotation trick
    (`vector-quantize-pytorch` issue 223). A subclass holds the codebooks.

    Args:
        levels: D.
        codes: K.
        size: m, of a vector.
        estimator: one of `ESTIMATORS`.
        matched: whether the estimator's gradient has its scale matched (`GradientMatch`).
        detach_residual: whether the gradient of a level stops before those above, as in that library; the
            paper's equations let it pass.
    """

    #: Whether the codes learn from a loss of their own.
    by_gradient = False

    def __init__(
        self,
        levels: int,
        codes: int,
        size: int,
        estimator: str = "rotation",
        matched: bool = False,
        detach_residual: bool = True,
    ) -> None:
        super().__init__()
        if matched and not detach_residual:
            raise ValueError("Only with detached residuals can the estimator's gradient be told apart.")
        self.levels, self.codes, self.size, self.sizes = levels, codes, size, (codes,) * levels
        self.estimator = ESTIMATORS[estimator]
        self.matched, self.detach_residual = matched, detach_residual
        self.register_buffer("started", torch.tensor(False))

    @abstractmethod
    def books(self) -> Tensor:
        """The codes, (D, K, m)."""

    @abstractmethod
    def put(self, level: int, centres: Tensor, usage: Tensor) -> None:
        """Begin a level with centres (K, m), each the mean of a share of the vectors (K,)."""

    def follow(self, indices: Tensor, residuals: Sequence[Tensor], revive: Tensor | bool) -> None:
        """Take in a batch: indices (B, D), and for each level what it quantized (B, m)."""
        return

    def forward(self, vectors: Tensor, learn: bool = False, revive: Tensor | bool = True) -> Quantized:
        """Quantize (B, m) vectors; see `Quantizer.forward`."""
        with torch.autocast(vectors.device.type, enabled=False):
            quantized, residuals = self._quantize(vectors.float())
            if learn:
                with torch.no_grad():
                    self.follow(quantized.indices, residuals, revive)
        return quantized

    def _quantize(self, vectors: Tensor) -> tuple[Quantized, list[Tensor]]:
        """What the batch becomes, and for each level what it quantized."""
        books, estimator = self.books(), self.estimator
        match = GradientMatch() if self.matched and torch.is_grad_enabled() else None
        entry = vectors if match is None else match.enter(vectors)
        residual, total = vectors, torch.zeros_like(vectors)
        commitment = codebook = vectors.new_zeros(())
        indices, seen, parts = [], [], []
        for book in books:
            index = nearest(book.detach(), residual.detach())
            code = book[index]
            commitment = commitment + F.mse_loss(residual, code.detach()) / self.levels
            if self.by_gradient:
                codebook = codebook + F.mse_loss(code, residual.detach()) / self.levels
            indices.append(index)
            seen.append(residual.detach())
            parts.append(code)
            value = code.detach()
            if not estimator.joint:
                inward = residual if match is None else residual.detach() + (entry - entry.detach())
                value = estimator.carry(inward, code, self.training)
                total = total + value
            residual = residual - (code.detach() if self.detach_residual else value)
        codes = torch.stack(parts, dim=1)
        if estimator.joint:
            total = estimator.carry(entry, codes.sum(1), self.training)
        if match is not None:
            total = match.leave(total)
        quantized = Quantized(total, torch.stack(indices, dim=1), commitment, codebook, codes.detach())
        return quantized, seen

    def parts(self, indices: Tensor) -> Tensor:
        """The codes of (B, D) indices, (B, D, m)."""
        return self.books()[torch.arange(self.levels, device=indices.device), indices]

    @torch.no_grad()
    def start(self, vectors: Tensor) -> None:
        """Put the codes on the k-means of (N, m) vectors, level by level on the residuals."""
        residual = vectors.float()
        for level in range(self.levels):
            self.put(level, *k_means(residual, self.codes, ITERATIONS))
            book = self.books()[level]
            residual = residual - book[nearest(book, residual)]
        self.started.fill_(True)


class AveragedCodes(ResidualQuantizer):
    """Codebooks that follow the mean of their vectors (van den Oord et al. 2017, appendix A.1).

    Args:
        levels, codes, size, estimator, matched, detach_residual: see `ResidualQuantizer`.
        decay: of the moving averages. 0.99, not 0.8: faster ones were much worse with the rotation trick
            (`vector-quantize-pytorch` issue 167).
        revive_below: a code used less than this share of an equal share (1 / K) is put on a residual of
            the batch. The rotation trick alone leaves 40-90 % of codes dead (issue 205).
    """

    codebooks: Tensor  # (D, K, m)
    usage: Tensor  # (D, K), moving average of the share of vectors a code is given
    sums: Tensor  # (D, K, m), the same of their sum

    def __init__(
        self,
        levels: int,
        codes: int,
        size: int,
        estimator: str = "rotation",
        matched: bool = False,
        detach_residual: bool = True,
        decay: float = 0.99,
        revive_below: float = 0.05,
    ) -> None:
        super().__init__(levels, codes, size, estimator, matched, detach_residual)
        self.decay, self.revive_below = decay, revive_below
        self.register_buffer("codebooks", torch.randn(levels, codes, size) / size**0.5)
        self.register_buffer("usage", torch.full((levels, codes), 1 / codes))
        self.register_buffer("sums", self.codebooks / codes)

    def books(self) -> Tensor:
        """The codes, (D, K, m)."""
        return self.codebooks

    def put(self, level: int, centres: Tensor, usage: Tensor) -> None:
        """Begin a level with centres (K, m), each the mean of a share of the vectors (K,)."""
        self.codebooks[level] = centres
        self.usage[level] = usage
        self.sums[level] = centres * usage[:, None]

    def follow(self, indices: Tensor, residuals: Sequence[Tensor], revive: Tensor | bool) -> None:
        """Take in a batch: indices (B, D), and for each level what it quantized (B, m)."""
        for level, residual in enumerate(residuals):
            share = assignment(indices[:, level], self.codes) / len(residual)
            self.usage[level].lerp_(share.sum(0), 1 - self.decay)
            self.sums[level].lerp_(share.T @ residual, 1 - self.decay)
            usage = self.usage[level][:, None]
            # A code that has all but lost its average stays where it is, to be revived.
            mean = self.sums[level] / usage.clamp_min(VANISHED)
            self.codebooks[level] = torch.where(usage > VANISHED, mean, self.codebooks[level])
            dead = (usage < self.revive_below / self.codes) & revive
            self.codebooks[level] = torch.where(dead, rows(residual, self.codes), self.codebooks[level])
            # An equal share: it then has -log(revive_below) / (1 - decay) batches to prove itself.
            self.usage[level] = torch.where(dead[:, 0], 1 / self.codes, self.usage[level])
            self.sums[level] = torch.where(dead, self.codebooks[level] / self.codes, self.sums[level])


class LearnedCodes(ResidualQuantizer):
    """Codebooks that the optimiser moves, by a loss of their own or by the estimator's gradient.

    Args:
        levels, codes, size, estimator, matched, detach_residual: see `ResidualQuantizer`.
        decay: of the moving average of their use.
        revive_below: as in `AveragedCodes`.
    """

    usage: Tensor  # (D, K), moving average of the share of vectors a code is given

    def __init__(
        self,
        levels: int,
        codes: int,
        size: int,
        estimator: str = "rotation",
        matched: bool = False,
        detach_residual: bool = True,
        decay: float = 0.99,
        revive_below: float = 0.05,
    ) -> None:
        super().__init__(levels, codes, size, estimator, matched, detach_residual)
        self.decay, self.revive_below = decay, revive_below
        self.by_gradient = not self.estimator.moves_codes
        self.codebooks = nn.Parameter(torch.randn(levels, codes, size) / size**0.5)
        self.register_buffer("usage", torch.full((levels, codes), 1 / codes))

    def books(self) -> Tensor:
        """The codes, (D, K, m)."""
        return self.codebooks

    def put(self, level: int, centres: Tensor, usage: Tensor) -> None:
        """Begin a level with centres (K, m), each the mean of a share of the vectors (K,)."""
        self.codebooks[level] = centres
        self.usage[level] = usage

    def follow(self, indices: Tensor, residuals: Sequence[Tensor], revive: Tensor | bool) -> None:
        """Count the use of the codes, and revive dead ones; indices (B, D), residuals (B, m) a level."""
        for level, residual in enumerate(residuals):
            use = assignment(indices[:, level], self.codes).mean(0)
            usage = self.usage[level].lerp_(use, 1 - self.decay)[:, None]
            dead = (usage < self.revive_below / self.codes) & revive
            self.codebooks[level] = torch.where(dead, rows(residual, self.codes), self.codebooks[level])
            self.usage[level] = torch.where(dead[:, 0], 1 / self.codes, self.usage[level])


class FrozenCodes(ResidualQuantizer):
    """Random codebooks that never move, as in STAR's release: the encoder alone has to come to them.

    Uniform, of mean square norm 2 / K, as that release draws them.
    """

    codebooks: Tensor  # (D, K, m)

    def __init__(
        self,
        levels: int,
        codes: int,
        size: int,
        estimator: str = "rotation",
        matched: bool = False,
        detach_residual: bool = True,
    ) -> None:
        super().__init__(levels, codes, size, estimator, matched, detach_residual)
        bound = (6 / (codes * size)) ** 0.5
        self.register_buffer("codebooks", torch.empty(levels, codes, size).uniform_(-bound, bound))
        self.started.fill_(True)

    def books(self) -> Tensor:
        """The codes, (D, K, m)."""
        return self.codebooks

    def put(self, level: int, centres: Tensor, usage: Tensor) -> None:
        """Nothing moves."""

    def start(self, vectors: Tensor) -> None:
        """Nothing moves."""


class MappedCodes(ResidualQuantizer):
    """SimVQ: each codebook is one learned linear map of random vectors that never move.

    Every gradient moves every code, so that none is left behind (Zhu et al. 2024, arXiv 2411.02038). They
    are started on the data by the map that comes nearest to the k-means; with K <= m, onto it.
    """

    by_gradient = True
    anchors: Tensor  # (D, K, m)

    def __init__(
        self,
        levels: int,
        codes: int,
        size: int,
        estimator: str = "rotation",
        matched: bool = False,
        detach_residual: bool = True,
    ) -> None:
        super().__init__(levels, codes, size, estimator, matched, detach_residual)
        self.by_gradient = not self.estimator.moves_codes
        self.register_buffer("anchors", torch.randn(levels, codes, size) / size**0.5)
        self.maps = nn.Parameter(torch.eye(size).repeat(levels, 1, 1))

    def books(self) -> Tensor:
        """The codes, (D, K, m)."""
        return self.anchors @ self.maps

    def put(self, level: int, centres: Tensor, usage: Tensor) -> None:
        """Begin a level with codes as near to centres (K, m) as a linear map of the anchors comes."""
        self.maps[level] = torch.linalg.pinv(self.anchors[level]) @ centres


def nearest(codes: Tensor, residual: Tensor) -> Tensor:
    """Index of the nearest of K codes (K, m) for each residual (B, m); (B,)."""
    return (codes.square().sum(-1) - 2 * residual @ codes.T).argmin(-1)


def rows(vectors: Tensor, count: int) -> Tensor:
    """As many rows of (B, m), picked at random."""
    return vectors[torch.randint(len(vectors), (count,), device=vectors.device)]


#: What a codebook is, by its name in a configuration.
CODEBOOKS: dict[str, type[ResidualQuantizer]] = {
    "ema": AveragedCodes,
    "gradient": LearnedCodes,
    "frozen": FrozenCodes,
    "simvq": MappedCodes,
}

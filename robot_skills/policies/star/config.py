"""Settings of a STAR policy: the same object is a recipe's `config:` and a trained folder's config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from robot_skills.errors import InputError
from robot_skills.policies.settings import UNBOUNDED, check_choice, check_ranges
from robot_skills.policies.star.estimators import ESTIMATORS
from robot_skills.policies.star.residual import CODEBOOKS
from robot_skills.policies.visuomotor import VisuomotorConfig

#: Setting -> lowest and highest value.
CODES_BOUNDS: Mapping[str, tuple[float, float]] = {
    "levels": (1, UNBOUNDED),
    "codes": (2, UNBOUNDED),
    "latent": (1, UNBOUNDED),
    "width": (1, UNBOUNDED),
    "decay": (0, 0.99999),
    "commitment": (0, UNBOUNDED),
    "level_dropout": (0, 1),
    "revive_steps": (0, UNBOUNDED),
}
#: As `CODES_BOUNDS`.
BOUNDS: Mapping[str, tuple[float, float]] = {
    "layers": (1, UNBOUNDED),
    "heads": (1, UNBOUNDED),
    "feature": (1, UNBOUNDED),
    "offset_width": (1, UNBOUNDED),
    "teacher_forcing": (0, 1),
    "code_smoothing": (0, 1),
    "action_weight": (0, UNBOUNDED),
    "code_weight": (0, UNBOUNDED),
    "target_weight": (0, UNBOUNDED),
    "end_weight": (0, UNBOUNDED),
    "end_positive_weight": (0, UNBOUNDED),
    "segments": (1, UNBOUNDED),
    "flow_steps": (1, UNBOUNDED),
    "flow_noise": (0, UNBOUNDED),
    "temperature": (0, UNBOUNDED),
    "top_k": (0, UNBOUNDED),
    "top_p": (0, 1),
    "codes_steps": (1, UNBOUNDED),
    "policy_steps": (1, UNBOUNDED),
    "batch_size": (1, UNBOUNDED),
    "learning_rate": (0, UNBOUNDED),
}


@dataclass(frozen=True)
class CodesConfig:
    """Skill codes: an autoencoder of action chunks around a quantizer.

    Attributes:
        levels: D. Two levels of 16 name 256 motions, enough to tell the modes of a primitive apart; what
            finer levels would add is the expert's noise, and precision is the offset's part.
        codes: K, of each level.
        latent: size of a code vector.
        width: of the two hidden layers of encoder and decoder.
        quantizer: "vq", residual vector quantization; or "fsq", D numbers rounded to K values each, which
            has no estimator and no codebook: the settings of these are passed over.
        estimator: gradient through the quantizer, "ste", "rotation" or "diveq". No data of ours decides
            (feasibility probe: reconstruction .0881 and .0850, one run each): rotation is the paper's.
        matched_gradient: whether the estimator's gradient has the length that plain straight-through
            estimation gives it, batch by batch, and differs in direction alone.
        detach_residual: whether the gradient of a level stops before the levels above, as in the released
            codes; the paper's equations let it pass.
        codebook: "ema", the moving mean of its vectors; "gradient", moved by the optimizer; "frozen",
            random for good, as in STAR's release; or "simvq", a learned linear map of frozen ones.
        decay: of the codebooks' moving averages; .99 with rotation, .8 was far worse
            (`vector-quantize-pytorch` issue 167).
        commitment: weight of the commitment loss, .25 as in van den Oord et al. 2017; the codebook loss of
            codes that have one weighs 1, as there.
        level_dropout: share of samples decoded from their first levels alone, so that coarse codes mean
            something by themselves.
        revive_steps: dead codes are revived in this many first steps of the stage; then codes settle.
    """

    levels: int = 2
    codes: int = 16
    latent: int = 32
    width: int = 128
    quantizer: str = "vq"
    estimator: str = "rotation"
    matched_gradient: bool = False
    detach_residual: bool = True
    codebook: str = "ema"
    decay: float = 0.99
    commitment: float = 0.25
    level_dropout: float = 0.1
    revive_steps: int = 1000

    def __post_init__(self) -> None:
        check_ranges(self, CODES_BOUNDS, "codes.")
        check_choice("quantizer", self.quantizer, ("vq", "fsq"))
        check_choice("estimator", self.estimator, tuple(ESTIMATORS))
        check_choice("codebook", self.codebook, tuple(CODEBOOKS))
        if self.quantizer == "fsq" and self.codes < 3:
            raise InputError(f"codes.codes is at least 3 for fsq, not {self.codes}.")
        if self.matched_gradient and (self.quantizer == "fsq" or not self.detach_residual):
            raise InputError("codes.matched_gradient is for the quantizer vq with detach_residual.")


@dataclass(frozen=True)
class StarConfig(VisuomotorConfig):
    """A STAR policy; what every visuomotor policy has is described there.

    Attributes:
        codes: of action chunks, or of their segments.
        segments: parts of equal length that a chunk is cut into, each with D codes of its own; the codes
            follow one another in time, and coarse to fine within a segment. One tokenizer serves them all,
            so that a segment's codes say what happens in it and nothing else, and every sample teaches the
            codebooks as many times as it has segments. 1: the whole chunk is one motion.
        autoregressive: whether a code is predicted from those before it; false is the paper's ablation,
            codes independent given the context.
        gist: whether the codes' first token begins as a linear map of all context tokens, rather than empty.
        layers, heads: of the transformer, whose seven tokens of `width` need no more.
        feature: size of the features that the offset and the target are read from.
        refiner: what is added to the decoded codes: "offset", a regression, which carries the precision;
            "flow", a small rectified flow; or "none".
        sees_chunk: whether the refiner is shown what the codes decode to, besides the codes.
        offset_width: of the hidden layers of the refiner.
        flow_steps: Euler steps of the flow; its paths are nearly straight, so that few are enough.
        flow_noise: spread of the noise it begins with, in standard deviations of the actions: about what
            two levels of codes leave over.
        teacher_forcing: weight of the offset's loss on the data's own codes; the rest goes to codes the
            model picks. Where a mode c has probability p, the share of c's actions among what the offset
            learns for (c) is then at least .5 + p / 2 with sampled codes: its L1 median stays in the mode.
        own_codes: how the model picks codes in training, "sample" or "greedy"; sampled ones cover every
            code that may be picked.
        code_smoothing: label smoothing of the codes' cross entropy.
        action_weight, code_weight, target_weight, end_weight: of the losses. Target against action as in
            the probe, where it was the largest effect seen; codes low, since cross entropy stays at the
            entropy of the expert's noise.
        end_positive_weight: of steps at which the skill is over, which are few.
        temperature: 0 picks the likeliest codes; above, they are sampled at this temperature. Chance is a
            function of the states the policy is given, so that it says the same when asked again.
        top_k: codes of each level that are sampled from, the likeliest; 0: all.
        top_p: share of probability that is sampled from, of the likeliest codes (nucleus sampling,
            Holtzman et al. 2020); 1: all. With `top_k`, the share is of what that leaves.
        seed: of the sampling, and of the flow's noise.
        codes_steps, policy_steps, batch_size, learning_rate: of the stages, if the recipe does not say.
    """

    codes: CodesConfig = field(default_factory=CodesConfig)
    layers: int = 2
    heads: int = 4
    segments: int = 1
    autoregressive: bool = True
    gist: bool = False
    feature: int = 256
    refiner: str = "offset"
    sees_chunk: bool = False
    offset_width: int = 256
    flow_steps: int = 4
    flow_noise: float = 0.5
    teacher_forcing: float = 0.5
    own_codes: str = "sample"
    code_smoothing: float = 0.05
    action_weight: float = 1.0
    code_weight: float = 0.1
    target_weight: float = 0.5
    end_weight: float = 0.1
    end_positive_weight: float = 2.0
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0
    codes_steps: int = 3000
    policy_steps: int = 20_000
    batch_size: int = 64
    learning_rate: float = 1e-3

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, BOUNDS)
        if self.width % self.heads:
            raise InputError(f"The width {self.width} is not divisible by {self.heads} heads.")
        check_choice("way to pick codes in training (own_codes)", self.own_codes, ("sample", "greedy"))
        check_choice("refiner", self.refiner, ("offset", "flow", "none"))
        if self.chunk % self.segments:
            raise InputError(
                f"A chunk of {self.chunk} steps is not {self.segments} segments of equal length."
            )
        if self.top_p == 0:
            raise InputError("top_p is above 0; the likeliest codes alone are temperature 0.")
        if self.temperature == 0 and (self.top_k or self.top_p < 1):
            raise InputError("top_k and top_p say what is sampled from, and temperature 0 samples nothing.")

    @property
    def places(self) -> int:
        """N, codes of a chunk: D of each segment."""
        return self.segments * self.codes.levels

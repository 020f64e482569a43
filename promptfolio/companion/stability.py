"""Whether a training stayed among numbers that mean something, and which step sizes are sure to.

Statement: let ℓ be the mean over images of −log softmax_y(s ⟨g, h_c⟩) with unit images g and h_c = v_c/‖v_c‖,
v_c = t_c + p_c. Its Hessian in the prompts has no eigenvalue beyond

    L = s²/2 + 2s/√3        wherever all ‖v_c‖ ≥ 1.

Proof. In the logits the Hessian is diag(q) − qqᵀ, of norm at most 1/2, and a logit's gradient in v_c is
s (I − hhᵀ) g/‖v‖, of norm at most s: together s²/2. The logits' own curvature enters with weights |q_c − y_c| ≤ 1;
with g·h = cos φ, the Hessian of ⟨g, v/‖v‖⟩ at ‖v‖ = 1 has the eigenvalues −cos φ and
(−cos φ ± √(cos²φ + 4 sin²φ))/2, at most 2/√3 in size, and it falls as 1/‖v‖². A mixture (1−θ) h_G + θ h_L of two
prompts has weights whose squares sum to at most 1, so L bounds it, too.

The gradient in p_c is orthogonal to v_c, because only the direction of v_c matters. A step of plain gradient
descent therefore lengthens v_c, so that from ‖v_c‖ = ‖t_c‖ = 1 it stays where L holds, and a step size of at most
2/L never raises the loss. This covers sgd without momentum from zero prompts, with one local step and full
participation, for the loss averaged over clients with weights n_k/N.
"""

import math

import numpy as np

from promptfolio.companion.client_splits import ClientSplits
from promptfolio.companion.study_config import ClipStudy
from promptfolio.companion.training import HeldOutLogits, HeldOutMargins
from simulate.configuration import momentum_of
from simulate.experiment import MixingScheme
from simulate.results.finiteness import NonFiniteError

LONGEST = 2.0**24
"""Length of anchor plus prompt beyond which float32 keeps no digit of the anchor, whose length is 1."""
_TIED_SHARE = 0.01


def curvature_bound(logit_scale: float) -> float:
    """L = s²/2 + 2s/√3, a bound of the loss's curvature in the prompts, per squared length of a prompt.

    Example:
        >>> round(curvature_bound(100.0), 1)
        5115.5
    """
    return logit_scale**2 / 2 + 2 * logit_scale / math.sqrt(3)


def safe_step(logit_scale: float) -> float:
    """2/L: the largest step size with which plain gradient descent is sure never to raise the loss.

    Example:
        >>> round(safe_step(100.0), 5)
        0.00039
    """
    return 2 / curvature_bound(logit_scale)


def require_sound(
    study: ClipStudy,
    scheme: MixingScheme,
    splits: ClientSplits,
    measured: HeldOutLogits | HeldOutMargins,
    theta: np.ndarray,
    rounds: int,
    tied_before: np.ndarray,
) -> None:
    """Refuse measurements from which no accuracy follows.

    They are lengths of anchor plus prompt beyond `LONGEST`, logits that are not finite, and logits that are equal
    for the true class and a rival at more than a hundredth of the images, beside those at which the anchors tie
    already.

    Args:
        study: for the likely cause.
        scheme: under which the prompts were trained.
        splits: labels of the held-out images, and which are padding.
        measured: host arrays with leading axes (seeds, thetas).
        theta: θ of the pairs; shape (thetas,).
        rounds: the recorded round.
        tied_before: images at which the anchors tie; integers, shape (seeds,).

    Raises:
        NonFiniteError: naming the scheme, the replicate, the round and the likely cause.
    """

    def refuse(what: str, seed: int, index: int) -> None:
        pair = "" if scheme == "posthoc" else f", θ = {theta[index]:g}"
        raise NonFiniteError(f"{what} under scheme {scheme}{pair}", seed, rounds, likely_cause(study))

    # NaN fails every comparison.
    for seed, index in np.argwhere(~(measured.longest <= LONGEST)).tolist():
        longest = float(measured.longest[seed, index])
        refuse(f"length of a prompt = {longest:.3g} (float32 resolves at most {LONGEST:.2g})", seed, index)
    margins = prompt_margins(measured, splits)
    real = (splits.validation | splits.test)[:, None]
    for margin in margins:
        for seed, index in np.argwhere((~np.isfinite(margin) & real).any(axis=(-2, -1))).tolist():
            refuse("logits = not finite", seed, index)
    for margin in margins:
        tied = ((margin == 0) & real).sum(axis=(-2, -1)) - tied_before[:, None]
        images = real.sum(axis=(-2, -1))
        for seed, index in np.argwhere(tied > _TIED_SHARE * images).tolist():
            said = f"logits = equal for the true class and a rival, in float32, at {tied[seed, index]}"
            refuse(f"{said} of {images[seed, 0]} images", seed, index)


def prompt_margins(measured: HeldOutLogits | HeldOutMargins, splits: ClientSplits) -> tuple[np.ndarray, ...]:
    """Margins of the true class over the largest rival, for each prompt and a trained mixture; shape (seeds,
    thetas, clients, samples)."""
    if isinstance(measured, HeldOutMargins):
        three = (measured.global_prompt, measured.local_prompt, measured.mixture)
        return tuple(np.asarray(margins) for margins in three)
    labels = splits.labels[:, None, :, :, None]
    both = []
    for logits in (np.asarray(measured.global_prompt), np.asarray(measured.local_prompt)):
        own: np.ndarray = np.take_along_axis(logits, labels, axis=-1)[..., 0]
        rivals = logits.copy()
        np.put_along_axis(rivals, np.broadcast_to(labels, (*logits.shape[:-1], 1)), -np.inf, axis=-1)
        with np.errstate(invalid="ignore"):
            both.append(own - rivals.max(axis=-1))
    return tuple(both)


def likely_cause(study: ClipStudy) -> str:
    """What probably made a training diverge, and what would be safe."""
    safe = f"at most {safe_step(study.logit_scale):.2g} is safe"
    if study.optimizer == "sgd" and momentum_of(study.optimizer_options) >= 1:
        return (
            f"momentum = {momentum_of(study.optimizer_options):g}, with which velocities grow without bound"
            " (below 1 they do not)"
        )
    if study.init_std >= LONGEST / 100:
        return f"init_std = {study.init_std:g}, beside anchors of length 1"
    given = f"learning_rate = {study.learning_rate:g} with logit_scale = {study.logit_scale:g}"
    if study.optimizer != "sgd":
        return f"{given} under optimizer = {study.optimizer} (lower them)"
    return f"{given} ({safe} for plain gradient descent from zero prompts, being 2/(s²/2 + 2s/√3) at logit scale s)"

"""From logits and margins on held-out images to accuracies and choices of θ, one record at a time, on the
host.

θ is chosen on validation images and judged on test images; only the choice "best" looks at the test
images, as the yardstick that the others are held against.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from promptfolio.companion.holdings import Holdings
from promptfolio.companion.study_config import ClipStudy
from promptfolio.companion.training import HeldOutLogits, HeldOutMargins
from theory.mixing.accuracy_curve import accuracy_steps
from theory.mixing.margin_mixing import cell_errors, optimal_mixing
from theory.mixing.margin_moments import margin_moments

HOLDINGS = ("validation", "test")
CHOICES = ("predicted", "exact", "validation", "best")

Choices = Float[np.ndarray, "seeds choices"]


class Record(NamedTuple):
    """What one protocol shows at one recorded round. Accuracies and errors are fractions; NaN where not
    applicable.

    Attributes:
        accuracy: of the pair at each θ of its own list; shape (holdings, seeds, thetas, clients).
        prompt_accuracy: of the global and the local prompt alone; shape (prompts, holdings, seeds, thetas,
            clients).
        predicted_error: (T24) from validation images; shape (seeds, thetas, clients).
        chosen_theta: θ by each of `CHOICES`; shape (seeds, choices).
        chosen_accuracy: test accuracy there, over all clients' test images; shape (seeds, choices).
    """

    accuracy: Float[np.ndarray, "holdings seeds thetas clients"]
    prompt_accuracy: Float[np.ndarray, "prompts holdings seeds thetas clients"]
    predicted_error: Float[np.ndarray, "seeds thetas clients"]
    chosen_theta: Choices
    chosen_accuracy: Choices


def evaluate_posthoc(
    study: ClipStudy, holdings: Holdings, logits_global: np.ndarray, logits_local: np.ndarray
) -> Record:
    """Mix separately trained prompts at every θ of the study, by the exact step function, and choose θ.

    Args:
        study: its θ grid and `prior_samples`.
        holdings: which image is what.
        logits_global, logits_local: held-out logits of each prompt; shape (seeds, clients, samples, classes).
    """
    theta = np.asarray(study.theta)
    seeds, clients = holdings.labels.shape[:2]
    owner = np.arange(clients)[:, None]
    accuracy = np.empty((len(HOLDINGS), seeds, theta.size, clients))
    predicted = np.full((seeds, theta.size, clients), np.nan)
    chosen_theta = np.full((seeds, len(CHOICES)), np.nan)
    chosen_accuracy = np.full_like(chosen_theta, np.nan)
    parts = (holdings.validation, holdings.test)
    for seed in range(seeds):

        def part(mask: np.ndarray, seed: int = seed) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            return logits_global[seed][mask], logits_local[seed][mask], holdings.labels[seed][mask]

        for holding, masks in enumerate(parts):
            for client in range(clients):
                own = part(masks[seed] & (owner == client))
                accuracy[holding, seed, :, client] = accuracy_steps(*own).at(theta)
        validation, test = part(holdings.validation[seed]), accuracy_steps(*part(holdings.test[seed]))
        whose = np.broadcast_to(owner, holdings.labels[seed].shape)[holdings.validation[seed]]
        moments = margin_moments(*validation, whose, study.prior_samples)
        errors = cell_errors(moments, theta)
        for client in range(clients):
            mine = moments.clients == client
            predicted[seed, :, client] = np.average(errors[:, mine], axis=1, weights=moments.samples[mine])
        steps = accuracy_steps(*validation)
        chosen_theta[seed] = (
            optimal_mixing(moments).theta,
            float(np.mean(steps.best_interval())),
            theta[greatest(np.asarray(steps.at(theta)))],
            theta[greatest(np.asarray(test.at(theta)))],
        )
        chosen_accuracy[seed] = test.at(chosen_theta[seed])
    # θ = 0 and θ = 1 are the prompts alone; training knows no θ.
    singles = np.stack([accuracy[:, :, [0]], accuracy[:, :, [-1]]])
    prompt_accuracy = np.broadcast_to(singles, (2, *accuracy.shape)).copy()
    return Record(accuracy, prompt_accuracy, predicted, chosen_theta, chosen_accuracy)


def evaluate_trained(study: ClipStudy, holdings: Holdings, margins: HeldOutMargins) -> Record:
    """Score pairs that were trained at a θ each, and choose among them by validation accuracy.

    Args:
        study: its `trained_theta`.
        holdings: which image is what.
        margins: with leading axes (seeds, thetas).
    """
    theta = np.asarray(study.trained_theta)
    parts = (holdings.validation, holdings.test)
    scores = [
        np.stack([accuracy_of(np.asarray(margin), mask[:, None]) for mask in parts])
        for margin in (margins.mixture, margins.global_prompt, margins.local_prompt)
    ]
    accuracy = scores[0]
    overall = overall_accuracy(accuracy, holdings)
    seeds = overall.shape[1]
    chosen_theta = np.full((seeds, len(CHOICES)), np.nan)
    chosen_accuracy = np.full_like(chosen_theta, np.nan)
    for seed in range(seeds):
        for holding, choice in enumerate(("validation", "best")):
            best = greatest(overall[holding, seed])
            chosen_theta[seed, CHOICES.index(choice)] = theta[best]
            chosen_accuracy[seed, CHOICES.index(choice)] = overall[1, seed, best]
    unknown = np.full(accuracy.shape[1:], np.nan)
    return Record(accuracy, np.stack(scores[1:]), unknown, chosen_theta, chosen_accuracy)


def evaluate(study: ClipStudy, holdings: Holdings, measured: HeldOutLogits | HeldOutMargins) -> Record:
    """`evaluate_posthoc` for logits, `evaluate_trained` for margins; leading axes (seeds, thetas)."""
    if isinstance(measured, HeldOutLogits):
        return evaluate_posthoc(study, holdings, *(np.asarray(logits)[:, 0] for logits in measured))
    return evaluate_trained(study, holdings, measured)


def accuracy_of(
    margins: Float[np.ndarray, "*#batch clients samples"], mask: Bool[np.ndarray, "*#batch clients samples"]
) -> Float[np.ndarray, "*batch clients"]:
    """Share of the masked images with a positive margin, batches broadcast; a tie counts as an error."""
    return ((margins > 0) & mask).sum(axis=-1) / mask.sum(axis=-1)


def overall_accuracy(
    accuracy: Float[np.ndarray, "holdings seeds thetas clients"], holdings: Holdings
) -> Float[np.ndarray, "holdings seeds thetas"]:
    """Mean over clients weighted by their images: the accuracy over all clients' images together."""
    counts = sample_counts(holdings)[:, :, None]
    return (accuracy * counts).sum(axis=-1) / counts.sum(axis=-1)


def sample_counts(holdings: Holdings) -> np.ndarray:
    """Validation and test images of each client; shape (holdings, seeds, clients)."""
    return np.stack([holdings.validation.sum(axis=-1), holdings.test.sum(axis=-1)])


def greatest(values: Float[np.ndarray, " values"]) -> int:
    """Index of the greatest value; of several equal ones the middle one, which leans to neither end.

    Example:
        >>> greatest(np.array([0.1, 0.7, 0.7, 0.7]))
        2
    """
    tied = np.flatnonzero(values == values.max())
    return int(tied[tied.size // 2])

"""From logits and margins on held-out images to accuracies and choices of θ, one record at a time, on the
host.

θ is chosen on validation images, and its accuracy is measured on test images. Only the choice "best" uses the
test images; it is the reference with which the other choices are compared.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from promptfolio.companion.client_splits import ClientSplits
from promptfolio.companion.study_config import ClipStudy
from promptfolio.companion.training import HeldOutLogits, HeldOutMargins
from theory.mixing.accuracy_curve import accuracy_steps
from theory.mixing.margin_mixing import cell_errors, optimal_mixing
from theory.mixing.margin_moments import margin_moments

SPLITS = ("validation", "test")
CHOICES = ("predicted", "exact", "validation", "best")

Choices = Float[np.ndarray, "seeds choices"]


class Record(NamedTuple):
    """Measurements of one scheme at one recorded round. Accuracies and errors are fractions; NaN where not
    applicable.

    Attributes:
        accuracy: of the mixture at each θ, those of the study for posthoc, the trained ones for the others;
            shape (splits, seeds, thetas, clients).
        prompt_accuracy: of the global and the local prompt alone; shape (prompts, splits, seeds, thetas,
            clients).
        predicted_error: of the mixture, predicted from validation margins (T24); shape (seeds, thetas, clients).
        chosen_theta: θ chosen by each of `CHOICES`; shape (seeds, choices).
        chosen_accuracy: accuracy at that θ over all clients' test images; shape (seeds, choices).
    """

    accuracy: Float[np.ndarray, "splits seeds thetas clients"]
    prompt_accuracy: Float[np.ndarray, "prompts splits seeds thetas clients"]
    predicted_error: Float[np.ndarray, "seeds thetas clients"]
    chosen_theta: Choices
    chosen_accuracy: Choices


def evaluate_posthoc(
    study: ClipStudy, splits: ClientSplits, logits_global: np.ndarray, logits_local: np.ndarray
) -> Record:
    """Mix separately trained prompts at every θ of the study, by the exact step function, and choose θ.

    Args:
        study: gives the θ grid and `prior_samples`.
        splits: labels of the held-out images, and which of them are for validation and for test.
        logits_global, logits_local: held-out logits of each prompt; shape (seeds, clients, samples, classes).
    """
    theta = np.asarray(study.theta)
    seeds, clients = splits.labels.shape[:2]
    owner = np.arange(clients)[:, None]
    accuracy = np.empty((len(SPLITS), seeds, theta.size, clients))
    predicted = np.full((seeds, theta.size, clients), np.nan)
    chosen_theta = np.full((seeds, len(CHOICES)), np.nan)
    chosen_accuracy = np.full_like(chosen_theta, np.nan)
    parts = (splits.validation, splits.test)
    for seed in range(seeds):

        def part(mask: np.ndarray, seed: int = seed) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            return logits_global[seed][mask], logits_local[seed][mask], splits.labels[seed][mask]

        for split, masks in enumerate(parts):
            for client in range(clients):
                own = part(masks[seed] & (owner == client))
                accuracy[split, seed, :, client] = accuracy_steps(*own).at(theta)
        validation, test = part(splits.validation[seed]), accuracy_steps(*part(splits.test[seed]))
        whose = np.broadcast_to(owner, splits.labels[seed].shape)[splits.validation[seed]]
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
    # θ = 0 and θ = 1 are the prompts alone; post-hoc training does not depend on θ.
    singles = np.stack([accuracy[:, :, [0]], accuracy[:, :, [-1]]])
    prompt_accuracy = np.broadcast_to(singles, (2, *accuracy.shape)).copy()
    return Record(accuracy, prompt_accuracy, predicted, chosen_theta, chosen_accuracy)


def evaluate_trained(study: ClipStudy, splits: ClientSplits, margins: HeldOutMargins) -> Record:
    """Measure the accuracy of pairs that were each trained at a θ of their own, and choose among them by
    validation accuracy.

    Args:
        study: gives `trained_theta`.
        splits: labels of the held-out images, and which of them are for validation and for test.
        margins: of the held-out images, with leading axes (seeds, thetas).
    """
    theta = np.asarray(study.trained_theta)
    parts = (splits.validation, splits.test)
    scores = [
        np.stack([accuracy_of(np.asarray(margin), mask[:, None]) for mask in parts])
        for margin in (margins.mixture, margins.global_prompt, margins.local_prompt)
    ]
    accuracy = scores[0]
    overall = overall_accuracy(accuracy, splits)
    seeds = overall.shape[1]
    chosen_theta = np.full((seeds, len(CHOICES)), np.nan)
    chosen_accuracy = np.full_like(chosen_theta, np.nan)
    for seed in range(seeds):
        for split, choice in enumerate(("validation", "best")):
            best = greatest(overall[split, seed])
            chosen_theta[seed, CHOICES.index(choice)] = theta[best]
            chosen_accuracy[seed, CHOICES.index(choice)] = overall[1, seed, best]
    unknown = np.full(accuracy.shape[1:], np.nan)
    return Record(accuracy, np.stack(scores[1:]), unknown, chosen_theta, chosen_accuracy)


def evaluate(study: ClipStudy, splits: ClientSplits, measured: HeldOutLogits | HeldOutMargins) -> Record:
    """`evaluate_posthoc` for logits, `evaluate_trained` for margins; leading axes (seeds, thetas)."""
    if isinstance(measured, HeldOutLogits):
        return evaluate_posthoc(study, splits, *(np.asarray(logits)[:, 0] for logits in measured))
    return evaluate_trained(study, splits, measured)


def accuracy_of(
    margins: Float[np.ndarray, "*#batch clients samples"], mask: Bool[np.ndarray, "*#batch clients samples"]
) -> Float[np.ndarray, "*batch clients"]:
    """Share of the masked images with a positive margin, batches broadcast; a tie counts as an error."""
    return ((margins > 0) & mask).sum(axis=-1) / mask.sum(axis=-1)


def overall_accuracy(
    accuracy: Float[np.ndarray, "splits seeds thetas clients"], splits: ClientSplits
) -> Float[np.ndarray, "splits seeds thetas"]:
    """Mean over clients weighted by their images: the accuracy over all clients' images together."""
    counts = sample_counts(splits)[:, :, None]
    return (accuracy * counts).sum(axis=-1) / counts.sum(axis=-1)


def sample_counts(splits: ClientSplits) -> np.ndarray:
    """Validation and test images of each client; shape (splits, seeds, clients)."""
    return np.stack([splits.validation.sum(axis=-1), splits.test.sum(axis=-1)])


def greatest(values: Float[np.ndarray, " values"]) -> int:
    """Index of the greatest value; of several equal ones the middle one, so that ties favour neither end.

    Example:
        >>> greatest(np.array([0.1, 0.7, 0.7, 0.7]))
        2
    """
    tied = np.flatnonzero(values == values.max())
    return int(tied[tied.size // 2])

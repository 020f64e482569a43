"""From logits and margins on held-out images to accuracies and choices of θ, one record at a time, on the
host.

θ is chosen on validation images, of classes that some client trains on, and its accuracy is measured on test
images. Validation images of classes that nobody trains on choose nothing: whoever has such labels could train on
them. Only the choice "best" uses the test images; it is the reference with which the other choices are compared.

Where several θ are equally good, the middle of the longest run of them is chosen (`theory.numerics.best`), and the
first and last of them are kept beside it.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from promptfolio.companion.client_splits import ClientSplits
from promptfolio.companion.study_config import ClipStudy
from promptfolio.companion.training import HeldOutLogits, HeldOutMargins
from theory.mixing.accuracy_curve import AccuracySteps, accuracy_steps
from theory.mixing.margin_mixing import cell_errors, optimal_mixing
from theory.mixing.margin_moments import margin_moments
from theory.numerics.best import best_place

SPLITS = ("validation", "test")
CHOICES = ("predicted", "exact", "validation", "best")
GROUPS = ("trained", "untrained")
"""Classes with and without training images of any client."""

Choices = Float[np.ndarray, "seeds choices"]

_ROUNDING = 16 * float(np.finfo(np.float32).eps)
"""Size of differences of cosines that may be the rounding of products of features in float32."""


class Choice(NamedTuple):
    """A chosen θ, and the first and last of those that are as good, equal to it where there is no other."""

    theta: float
    low: float
    high: float


class Record(NamedTuple):
    """Measurements of one scheme at one recorded round. Accuracies and errors are fractions; NaN where not
    applicable.

    Attributes:
        accuracy: of the mixture at each θ, those of the study for posthoc, the trained ones for the others;
            shape (splits, seeds, thetas, clients).
        group_accuracy: of the mixture at each θ over all clients' test images of each of `GROUPS`; shape (groups,
            seeds, thetas).
        prompt_accuracy: of the global and the local prompt alone; shape (prompts, splits, seeds, thetas,
            clients).
        predicted_error: of the mixture, predicted from the validation margins that θ is chosen on (T24); NaN for a
            client without such images; shape (seeds, thetas, clients).
        chosen_theta: θ chosen by each of `CHOICES`; shape (seeds, choices).
        tied_low, tied_high: first and last θ that are as good by the same measure; shape (seeds, choices).
        chosen_accuracy: accuracy at that θ over all clients' test images; shape (seeds, choices).
        chosen_group_accuracy: the same over those of each of `GROUPS`; shape (groups, seeds, choices).
        chosen_client_accuracy: the same for each client's own test images; shape (seeds, choices, clients).
        generalisation: accuracy of the global prompt, and of each client's local one, on ALL clients' test images;
            under the posthoc scheme; shape (prompts, seeds, clients).
    """

    accuracy: Float[np.ndarray, "splits seeds thetas clients"]
    group_accuracy: Float[np.ndarray, "groups seeds thetas"]
    prompt_accuracy: Float[np.ndarray, "prompts splits seeds thetas clients"]
    predicted_error: Float[np.ndarray, "seeds thetas clients"]
    chosen_theta: Choices
    tied_low: Choices
    tied_high: Choices
    chosen_accuracy: Choices
    chosen_group_accuracy: Float[np.ndarray, "groups seeds choices"]
    chosen_client_accuracy: Float[np.ndarray, "seeds choices clients"]
    generalisation: Float[np.ndarray, "prompts seeds clients"]


def evaluate_posthoc(study: ClipStudy, splits: ClientSplits, measured: HeldOutLogits) -> Record:
    """Mix separately trained prompts at every θ of the study, by the exact step function, and choose θ.

    Args:
        study: gives the θ grid and `prior_samples`.
        splits: labels of the held-out images, and which of them are for validation and for test.
        measured: of the held-out images, with leading axes (seeds, 1).
    """
    theta = np.asarray(study.theta)
    seeds, clients = splits.labels.shape[:2]
    record = _empty_record(seeds, theta.size, clients)
    choosing, groups = choosing_images(splits), group_images(splits)
    logits_global = np.asarray(measured.global_prompt)[:, 0]
    logits_local = np.asarray(measured.local_prompt)[:, 0]
    owner = np.broadcast_to(np.arange(clients)[:, None], splits.labels.shape[1:])
    for seed in range(seeds):

        def part(
            mask: Bool[np.ndarray, "clients samples"], seed: int = seed
        ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            return logits_global[seed][mask], logits_local[seed][mask], splits.labels[seed][mask]

        def steps_of(mask: Bool[np.ndarray, "clients samples"]) -> AccuracySteps:
            return accuracy_steps(*part(mask))

        own = [[steps_of(mask[seed] & (owner == k)) for k in range(clients)] for mask in _parts(splits)]
        for split, each in enumerate(own):
            for client, curve in enumerate(each):
                record.accuracy[split, seed, :, client] = curve.at(theta)
        tested = steps_of(splits.test[seed])
        chosen = _choices(study, theta, part(choosing[seed]), owner[choosing[seed]], tested)
        _write_choices(record, seed, chosen)
        record.predicted_error[seed] = chosen.predicted_error(clients)
        thetas = record.chosen_theta[seed]
        record.chosen_accuracy[seed] = tested.at(thetas)
        record.chosen_client_accuracy[seed] = np.stack([curve.at(thetas) for curve in own[1]], axis=-1)
        for group, mask in enumerate(groups):
            if not mask[seed].any():
                continue
            curve = tested if (mask[seed] == splits.test[seed]).all() else steps_of(mask[seed])
            record.group_accuracy[group, seed] = curve.at(theta)
            record.chosen_group_accuracy[group, seed] = curve.at(thetas)
        # θ = 0 is the global prompt alone.
        record.generalisation[0, seed] = tested.at(0.0)
        right = measured.elsewhere[seed, 0] & splits.test[seed]
        record.generalisation[1, seed] = right.sum(axis=(1, 2)) / splits.test[seed].sum()
    # θ = 0 and θ = 1 are the prompts alone; post-hoc training does not depend on θ.
    record.prompt_accuracy[:] = np.stack([record.accuracy[:, :, [0]], record.accuracy[:, :, [-1]]])
    return record


def evaluate_trained(study: ClipStudy, splits: ClientSplits, margins: HeldOutMargins) -> Record:
    """Measure the accuracy of pairs that were each trained at a θ of their own, and choose among them by
    validation accuracy.

    Args:
        study: gives `trained_theta`.
        splits: labels of the held-out images, and which of them are for validation and for test.
        margins: of the held-out images, with leading axes (seeds, thetas).
    """
    theta = np.asarray(study.trained_theta)
    seeds, clients = splits.labels.shape[:2]
    record = _empty_record(seeds, theta.size, clients)
    mixture, *singles = (
        np.asarray(margin) for margin in (margins.mixture, margins.global_prompt, margins.local_prompt)
    )
    right = mixture > 0
    for split, mask in enumerate(_parts(splits)):
        record.accuracy[split] = accuracy_of(mixture, mask[:, None])
        for prompt, margin in enumerate(singles):
            record.prompt_accuracy[prompt, split] = accuracy_of(margin, mask[:, None])
    for group, mask in enumerate(group_images(splits)):
        record.group_accuracy[group] = _share(right, mask)
    curves = {"validation": _share(right, choosing_images(splits)), "best": _share(right, splits.test)}
    for choice, curve in curves.items():
        position = CHOICES.index(choice)
        for seed in range(seeds):
            best = best_place(theta, curve[seed], smooth=False)
            index = int(best.position)
            _write_choice(record, seed, position, Choice(theta[index], float(best.low), float(best.high)))
            record.chosen_accuracy[seed, position] = curves["best"][seed, index]
            record.chosen_group_accuracy[:, seed, position] = record.group_accuracy[:, seed, index]
            record.chosen_client_accuracy[seed, position] = record.accuracy[1, seed, index]
    return record


def evaluate(study: ClipStudy, splits: ClientSplits, measured: HeldOutLogits | HeldOutMargins) -> Record:
    """`evaluate_posthoc` for logits, `evaluate_trained` for margins; leading axes (seeds, thetas)."""
    if isinstance(measured, HeldOutLogits):
        return evaluate_posthoc(study, splits, measured)
    return evaluate_trained(study, splits, measured)


def choosing_images(splits: ClientSplits) -> Bool[np.ndarray, "seeds clients samples"]:
    """The images that θ is chosen on: for validation, and of a class that some client trains on."""
    return splits.validation & _of_trained_class(splits)


def group_images(splits: ClientSplits) -> Bool[np.ndarray, "groups seeds clients samples"]:
    """The test images of each of `GROUPS`."""
    trained = _of_trained_class(splits)
    return np.stack([splits.test & trained, splits.test & ~trained])


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
    # Counted in whole images, so that equal accuracies are equal numbers.
    return np.rint(accuracy * counts).sum(axis=-1) / counts.sum(axis=-1)


def sample_counts(splits: ClientSplits) -> np.ndarray:
    """Validation and test images of each client; shape (splits, seeds, clients)."""
    return np.stack([mask.sum(axis=-1) for mask in _parts(splits)])


class _Chosen(NamedTuple):
    """Choices of θ under the posthoc scheme, in the order of `CHOICES`, and what (T24) predicts for each client."""

    choices: tuple[Choice, ...]
    errors: np.ndarray
    clients: np.ndarray
    samples: np.ndarray

    def predicted_error(self, clients: int) -> np.ndarray:
        """Error of each client at each θ, NaN for a client without images; shape (thetas, clients)."""
        weights = (self.clients[:, None] == np.arange(clients)) * self.samples[:, None]
        with np.errstate(invalid="ignore"):
            return self.errors @ weights / weights.sum(axis=0)


def _choices(
    study: ClipStudy,
    theta: np.ndarray,
    validation: tuple[np.ndarray, np.ndarray, np.ndarray],
    owner: np.ndarray,
    tested: AccuracySteps,
) -> _Chosen:
    moments = margin_moments(*validation, owner, study.prior_samples)
    steps = accuracy_steps(*validation)
    predicted = optimal_mixing(moments)
    interval = steps.best_interval()
    # At the start the prompts are the same, and training may move them by less than float32 resolves.
    apart = np.abs(np.subtract(*validation[:2], dtype=np.float64)).max(initial=0)
    if apart <= _ROUNDING * study.logit_scale:
        predicted = predicted._replace(theta=0.5, low=0.0, high=1.0)
    choices = [
        Choice(predicted.theta, predicted.low, predicted.high),
        Choice(float(np.mean(interval)), *interval),
    ]
    for curve in (steps, tested):
        best = best_place(theta, curve.at(theta), smooth=False)
        choices.append(Choice(theta[int(best.position)], float(best.low), float(best.high)))
    return _Chosen(tuple(choices), cell_errors(moments, theta), moments.clients, moments.samples)


def _write_choices(record: Record, seed: int, chosen: _Chosen) -> None:
    for position, choice in enumerate(chosen.choices):
        _write_choice(record, seed, position, choice)


def _write_choice(record: Record, seed: int, position: int, choice: Choice) -> None:
    record.chosen_theta[seed, position] = choice.theta
    record.tied_low[seed, position] = choice.low
    record.tied_high[seed, position] = choice.high


def _empty_record(seeds: int, thetas: int, clients: int) -> Record:
    """A record whose numbers are all unknown."""

    def unknown(*shape: int) -> np.ndarray:
        return np.full(shape, np.nan)

    choices = len(CHOICES)
    return Record(
        accuracy=unknown(len(SPLITS), seeds, thetas, clients),
        group_accuracy=unknown(len(GROUPS), seeds, thetas),
        prompt_accuracy=unknown(2, len(SPLITS), seeds, thetas, clients),
        predicted_error=unknown(seeds, thetas, clients),
        chosen_theta=unknown(seeds, choices),
        tied_low=unknown(seeds, choices),
        tied_high=unknown(seeds, choices),
        chosen_accuracy=unknown(seeds, choices),
        chosen_group_accuracy=unknown(len(GROUPS), seeds, choices),
        chosen_client_accuracy=unknown(seeds, choices, clients),
        generalisation=unknown(2, seeds, clients),
    )


def _parts(splits: ClientSplits) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the images in the order of `SPLITS`."""
    return splits.validation, splits.test


def _of_trained_class(splits: ClientSplits) -> Bool[np.ndarray, "seeds clients samples"]:
    trained = splits.class_counts > 0
    return np.stack([trained[seed][labels] for seed, labels in enumerate(splits.labels)])


def _share(
    right: Bool[np.ndarray, "seeds thetas clients samples"], mask: Bool[np.ndarray, "seeds clients samples"]
) -> Float[np.ndarray, "seeds thetas"]:
    """Share of all clients' masked images that are classified correctly, NaN where there is none."""
    counts = mask.sum(axis=(-2, -1))[:, None]
    with np.errstate(invalid="ignore"):
        return (right & mask[:, None]).sum(axis=(-2, -1)) / counts

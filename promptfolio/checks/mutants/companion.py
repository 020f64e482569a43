"""Faults to plant in the companion: whose images train, choose and test, and what is trained on them."""

from promptfolio.checks.mutant import Edited, Mutant

_PARTITION = "promptfolio.companion.partition"
_SPLITS = "promptfolio.companion.client_splits"
_TRAINING = "promptfolio.companion.training"
_PROMPTS = "promptfolio.companion.prompts"
_STUDY = "promptfolio.companion.study"

_IN_PARTITION = "tests/companion/test_companion_partition.py::"
_EVALUATE = "promptfolio.companion.evaluate"
_SUMMARY = "promptfolio.companion.summary"
_IN_CHOICES = "tests/companion/test_companion_choices.py::"
_IN_SUMMARY = "tests/companion/test_companion_summary.py::"
_IN_STUDY = "tests/companion/test_companion_study.py::"
_IN_TRAINING = "tests/companion/test_companion_training.py::"

MUTANTS: tuple[Mutant, ...] = (
    # --- whose images ---
    Edited(
        "anchors_trained_on",
        _PARTITION,
        "anchor images are training images, too",
        (f"{_IN_PARTITION}test_every_row_has_one_purpose_and_one_client",),
        "pool = np.setdiff1d(roles.train, anchors)\n    for _ in range(_TRIES):",
        "pool = roles.train\n    for _ in range(_TRIES):",
    ),
    Edited(
        "proportions_inverted",
        _PARTITION,
        "large β makes clients heterogeneous, instead of small",
        (f"{_IN_PARTITION}test_small_beta_is_heterogeneous",),
        "np.full(study.clients, study.beta)",
        "np.full(study.clients, 1 / study.beta)",
    ),
    Edited(
        "partition_shared_by_replicates",
        _STUDY,
        "all replicates have the first one's partition",
        (f"{_IN_PARTITION}test_partition_seed_fixes_the_partition_of_every_replicate",),
        "return [partition_bank(study, bank, key) for key in keys]",
        "return [partition_bank(study, bank, keys[0]) for key in keys]",
    ),
    Edited(
        "reuse_counted_in_validation",
        _SPLITS,
        "images trained on are looked for among validation images, not test images",
        (f"{_IN_PARTITION}test_holdings_count_the_test_images_that_were_trained_on",),
        "(trained & test).sum(axis=2)",
        "(trained & validation).sum(axis=2)",
    ),
    Edited(
        "padding_counted_as_images",
        _SPLITS,
        "a client's loss is divided by the largest client's number of images",
        (f"{_IN_PARTITION}test_holdings_are_the_partitions_rows",),
        "present / counts[:, :, None]",
        "present / counts.max(axis=1)[:, None, None]",
    ),
    Edited(
        "federated_weights_equal",
        _SPLITS,
        "the server averages clients with equal weights instead of n_k/N",
        (f"{_IN_CHOICES}test_federated_averages_weigh_clients_by_their_training_images",),
        "counts / counts.sum(axis=1, keepdims=True)",
        "counts / counts / counts.shape[1]",
    ),
    Edited(
        "proportions_by_client",
        _PARTITION,
        "proportions are drawn for each client instead of each class",
        (f"{_IN_PARTITION}test_proportions_are_drawn_for_each_class_alone",),
        "proportions = random.dirichlet(np.full(study.clients, study.beta), bank.classes)\n",
        "proportions = random.dirichlet(np.full(bank.classes, study.beta), study.clients).T\n"
        "        proportions = proportions / proportions.sum(axis=1, keepdims=True)\n",
    ),
    # --- what chooses θ ---
    Edited(
        "test_images_predict",
        _EVALUATE,
        "θ* is predicted (T24) from test images",
        (f"{_IN_CHOICES}test_nothing_chosen_moves_when_every_test_image_changes",),
        "_choices(study, theta, part(choosing[seed]), owner[choosing[seed]], tested)",
        "_choices(study, theta, part(splits.test[seed]), owner[splits.test[seed]], tested)",
    ),
    Edited(
        "test_images_choose_posthoc",
        _EVALUATE,
        "the post-hoc choice by validation images looks at test images",
        (
            f"{_IN_CHOICES}test_nothing_chosen_moves_when_every_test_image_changes",
            f"{_IN_CHOICES}test_halves_that_disagree_are_told_apart_under_the_posthoc_scheme",
        ),
        "for curve in (steps, tested):",
        "for curve in (tested, tested):",
    ),
    Edited(
        "test_images_choose_trained",
        _EVALUATE,
        "the choice among trained pairs by validation images looks at test images",
        (
            f"{_IN_CHOICES}test_nothing_chosen_moves_when_every_test_image_changes",
            f"{_IN_CHOICES}test_halves_that_disagree_are_told_apart_for_trained_pairs",
        ),
        '"validation": _share(right, choosing_images(splits))',
        '"validation": _share(right, splits.test)',
    ),
    Edited(
        "best_is_that_of_validation",
        _EVALUATE,
        "the reference choice among trained pairs looks at validation images",
        (f"{_IN_CHOICES}test_halves_that_disagree_are_told_apart_for_trained_pairs",),
        '"best": _share(right, splits.test)',
        '"best": _share(right, splits.validation)',
    ),
    Edited(
        "chosen_accuracy_on_validation",
        _EVALUATE,
        "the accuracy at a chosen θ is that on the images that chose it",
        (f"{_IN_CHOICES}test_halves_that_disagree_are_told_apart_for_trained_pairs",),
        'curves["best"][seed, index]',
        "curve[seed, index]",
    ),
    # --- training ---
    Edited(
        "logit_scale_in_loss_fixed",
        _PROMPTS,
        "the loss is at CLIP's own logit scale, whatever the study says",
        (f"{_IN_TRAINING}test_loss_is_the_cross_entropy_of_unpadded_images",),
        "jax.nn.log_softmax(class_logits(logit_scale, features, batch.images), axis=-1)",
        "jax.nn.log_softmax(class_logits(100.0, features, batch.images), axis=-1)",
    ),
    Edited(
        "prompts_not_normalised",
        _PROMPTS,
        "text features of prompts are not of unit length",
        (f"{_IN_TRAINING}test_measured_mixture_is_the_pairs_own",),
        "return features / jnp.linalg.norm(features, axis=-1, keepdims=True)",
        "return features",
    ),
    Edited(
        "measured_mixture_swapped",
        _TRAINING,
        "θ and 1−θ are swapped where a trained pair is measured",
        (f"{_IN_TRAINING}test_measured_mixture_is_the_pairs_own",),
        "smallest_margins(mix(theta, logits_global, logits_local), labels)",
        "smallest_margins(mix(1 - theta, logits_global, logits_local), labels)",
    ),
    Edited(
        "images_of_padding_trained_on",
        _PROMPTS,
        "padding counts as much as an image in a client's loss",
        (f"{_IN_TRAINING}test_padding_does_not_matter",),
        "return -jnp.sum(batch.weights * own)",
        "return -jnp.mean(own)",
    ),
    Edited(
        "replicates_train_alike",
        _TRAINING,
        "every replicate's prompts start from one draw of the first client's stream",
        (f"{_IN_STUDY}test_a_fixed_partition_leaves_only_the_prompts_random",),
        'stream = jax.random.split(fold_purpose(key, "initialisation"))',
        'stream = jax.random.split(fold_purpose(jax.random.key(0), "initialisation"))',
    ),
    # --- what is measured ---
    Edited(
        "baseline_splits_swapped",
        "promptfolio.companion.baseline",
        "the zero-shot baseline's validation and test images are swapped",
        (f"{_IN_STUDY}test_round_zero_is_zero_shot",),
        "for mask in (splits.validation, splits.test)]),",
        "for mask in (splits.test, splits.validation)]),",
    ),
    Edited(
        "ties_count_as_correct",
        "promptfolio.companion.evaluate",
        "an image with two largest logits counts as classified correctly",
        (f"{_IN_STUDY}test_ties_are_errors",),
        "((margins > 0) & mask)",
        "((margins >= 0) & mask)",
    ),
    Edited(
        "clients_weighted_alike",
        "promptfolio.companion.evaluate",
        "the accuracy over all images is the plain mean over clients",
        (f"{_IN_STUDY}test_overall_accuracy_weighs_clients_by_their_images",),
        "return np.rint(accuracy * counts).sum(axis=-1) / counts.sum(axis=-1)",
        "return (np.rint(accuracy * counts) / counts).mean(axis=-1)",
    ),
    # --- what is reported ---
    Edited(
        "regret_reversed",
        _SUMMARY,
        "what the best θ gains over the predicted one has the wrong sign",
        (f"{_IN_SUMMARY}test_differences_are_those_of_the_dataset",),
        'numbers["posthoc_best"] - numbers["posthoc_predicted"]',
        'numbers["posthoc_predicted"] - numbers["posthoc_best"]',
    ),
    Edited(
        "gain_over_the_worse_prompt",
        _SUMMARY,
        "the mixture is compared with the worse of the two prompts",
        (f"{_IN_SUMMARY}test_differences_are_those_of_the_dataset",),
        'np.maximum(numbers["global"], numbers["local"])',
        'np.minimum(numbers["global"], numbers["local"])',
    ),
    Edited(
        "deficit_of_the_best",
        _SUMMARY,
        "the deficit of joint training is taken at the θ that test images chose",
        (f"{_IN_SUMMARY}test_differences_are_those_of_the_dataset",),
        'numbers["posthoc_validation"] - numbers[f"{scheme}_validation"]',
        'numbers["posthoc_validation"] - numbers[f"{scheme}_best"]',
    ),
    Edited(
        "conversion_skipped",
        "promptfolio.companion.labels",
        "the predicted θ* is used for joint training as it is, without its conversion (T21)",
        (f"{_IN_SUMMARY}test_the_conversion_is_that_of_the_odds",),
        "np.asarray(joint_mixing(odds))",
        "np.asarray(theta)",
    ),
)

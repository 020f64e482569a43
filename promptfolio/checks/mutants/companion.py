"""Faults to plant in the companion: whose images train, choose and test, and what is trained on them."""

from promptfolio.checks.mutant import Edited, Mutant

_PARTITION = "promptfolio.companion.partition"
_SPLITS = "promptfolio.companion.client_splits"
_TRAINING = "promptfolio.companion.training"
_PROMPTS = "promptfolio.companion.prompts"
_STUDY = "promptfolio.companion.study"

_IN_PARTITION = "tests/companion/test_companion_partition.py::"
_IN_STUDY = "tests/companion/test_companion_study.py::"
_IN_TRAINING = "tests/companion/test_companion_training.py::"

MUTANTS: tuple[Mutant, ...] = (
    # --- whose images ---
    Edited(
        "duplicates_used_twice",
        _PARTITION,
        "an image that occurs in training and test is used in both",
        (f"{_IN_PARTITION}test_an_image_that_occurs_twice_is_used_once",),
        "_, first = np.unique(bank.image_features[rows], axis=0, return_index=True)",
        "_, first = np.unique(rows, return_index=True)",
    ),
    Edited(
        "anchors_trained_on",
        _PARTITION,
        "anchor images are training images, too",
        (f"{_IN_PARTITION}test_every_row_has_one_purpose_and_one_client",),
        "pool = np.setdiff1d(pool, anchors)",
        "pool = np.setdiff1d(pool, anchors[:, :0])",
    ),
    Edited(
        "test_classes_of_others",
        _PARTITION,
        "a client is tested on another client's mix of classes",
        (f"{_IN_PARTITION}test_train_and_held_out_rows_follow_the_same_proportions",),
        "held = _share_out(bank.labels, held_out, proportions, random)",
        "held = _share_out(bank.labels, held_out, proportions[:, ::-1], random)",
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
        "three = (*logits, mix(theta, *logits))",
        "three = (*logits, mix(1 - theta, *logits))",
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
        _STUDY,
        "the zero-shot baseline's validation and test images are swapped",
        (f"{_IN_STUDY}test_round_zero_is_zero_shot",),
        "for mask in (splits.validation, splits.test)])",
        "for mask in (splits.test, splits.validation)])",
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
        "return (accuracy * counts).sum(axis=-1) / counts.sum(axis=-1)",
        "return (accuracy * counts / counts).mean(axis=-1)",
    ),
)

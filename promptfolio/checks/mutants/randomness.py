"""Faults to plant in random streams: what must be drawn apart from what."""

from promptfolio.checks.mutant import Edited, Mutant

_KEYS = "simulate.model.keys"
_FRESH = "simulate.model.fresh_samples"
_STREAMS = "tests/simulate/test_streams.py::"
_EXPERIMENT = "tests/simulate/test_experiment.py::"

MUTANTS: tuple[Mutant, ...] = (
    Edited(
        "fresh_samples_are_training_samples",
        _FRESH,
        "fresh samples are drawn from the stream of the training samples",
        (f"{_STREAMS}test_fresh_samples_are_not_the_training_samples",),
        'replicate_key(experiment.seed, seed), "test")',
        'replicate_key(experiment.seed, seed), "data")',
    ),
    Edited(
        "label_noise_all_clients_same",
        "simulate.model.data",
        "all clients have one pattern of flipped labels",
        (f"{_STREAMS}test_label_noise_of_every_client_sample_and_replicate_is_its_own",),
        "derived_key(flip_key, client, index), ()",
        "derived_key(flip_key, 0 * client, index), ()",
    ),
    Edited(
        "label_noise_inverted",
        "simulate.model.program",
        "labels are flipped with chance 1−ε instead of ε",
        (f"{_STREAMS}test_label_noise_of_every_client_sample_and_replicate_is_its_own",),
        "label_noise=array(experiment.label_noise)",
        "label_noise=array(1 - experiment.label_noise)",
    ),
    Edited(
        "streams_share_a_number",
        _KEYS,
        "participation is drawn from the stream of the data",
        (f"{_STREAMS}test_every_purpose_has_a_stream_of_its_own",),
        '"participation": 2,',
        '"participation": 0,',
    ),
    Edited(
        "samples_alike",
        _KEYS,
        "all samples of a client are one draw",
        ("tests/simulate/test_model.py::test_noise_has_the_requested_distribution",),
        "jnp.asarray(second, jnp.uint32)])",
        "0 * jnp.asarray(second, jnp.uint32)])",
    ),
    Edited(
        "replicates_alike",
        "simulate.model.world",
        "all replicates are one draw",
        (f"{_EXPERIMENT}test_replicates_do_not_depend_on_how_many_run_together",),
        "numbers.astype(np.uint32))",
        "0 * numbers.astype(np.uint32))",
    ),
    Edited(
        "seed_ignored",
        _KEYS,
        "every seed gives the same numbers",
        (f"{_EXPERIMENT}test_same_seed_same_numbers_other_seed_other_numbers",),
        "np.array([0, seed], np.uint32)",
        "np.array([0, 0 * seed], np.uint32)",
    ),
    Edited(
        "fresh_batches_alike",
        _FRESH,
        "every batch of fresh samples is the first one again",
        (f"{_STREAMS}test_fresh_samples_of_batches_clients_and_replicates_are_their_own",),
        "derived_key(key, client, index)",
        "derived_key(key, client, 0)",
    ),
    Edited(
        "fresh_samples_shared_by_clients",
        _FRESH,
        "all clients are tested on the draws of one",
        (f"{_STREAMS}test_fresh_samples_of_batches_clients_and_replicates_are_their_own",),
        "derived_key(key, client, index)",
        "derived_key(key, 0 * client, index)",
    ),
    Edited(
        "fresh_samples_shared_by_replicates",
        _FRESH,
        "all replicates are tested on the draws of the first",
        (f"{_STREAMS}test_fresh_samples_of_batches_clients_and_replicates_are_their_own",),
        "replicate_key(experiment.seed, seed)",
        "replicate_key(experiment.seed, 0)",
    ),
)

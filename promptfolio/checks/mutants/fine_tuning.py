"""Faults to plant in fine-tuning: its stopping time, and its turns in the engines."""

from promptfolio.checks.mutant import Edited, Mutant

_CLIENTS = "theory.extensions.fine_tuned_clients"
_CLAIM = ("fine_tuning",)
_ROUNDS = "simulate.model.federated"
_LOOPS = "tests/simulate/test_finetuned.py::test_training_and_fine_tuning_equal_plain_loops"

MUTANTS: tuple[Mutant, ...] = (
    Edited(
        "fine_tuning_from_nothing",
        _CLIENTS,
        "fine-tuning is taken to start from the margin of an untrained prompt",
        _CLAIM,
        "start, rate = average @ shared, np.diagonal(own)",
        "start, rate = 0 * shared, np.diagonal(own)",
    ),
    Edited(
        "saturation_at_start_ignored",
        "theory.extensions.fine_tuning",
        "the closed stopping time has the residual of an untrained prompt",
        _CLAIM,
        "taken = grown + np.exp(margin) * np.expm1(grown)",
        "taken = grown + np.expm1(grown)",
    ),
    Edited(
        "fine_tuning_sees_the_global_prompt",
        "simulate.engines.rows.coefficients",
        "fine-tuning follows the residuals of the global prompt",
        _CLAIM,
        "pull_global, pull_local = jnp.zeros_like(z_global), _pull(feature_local, batch)",
        "pull_global, pull_local = jnp.zeros_like(z_global), _pull(feature_global, batch)",
    ),
    Edited(
        "gram_fine_tuning_from_nothing",
        "simulate.engines.gram.training",
        "in the space of samples, fine-tuning does not see what the global prompt has learned",
        _CLAIM,
        "own = GramPrompt(server_signals + local.signals, server_margins + moved)",
        "own = GramPrompt(local.signals, moved)",
    ),
    Edited(
        "fine_tuning_by_participants",
        _ROUNDS,
        "only the clients that the server would draw fine-tune",
        (_LOOPS,),
        "participating, steps = participating | alone, jnp.where(alone, 1, steps)",
        "steps = jnp.where(alone, 1, steps)",
    ),
    Edited(
        "fine_tuning_averaged",
        _ROUNDS,
        "the server goes on averaging while clients fine-tune",
        (_LOOPS,),
        "global_prompt = jax.tree.map(before_or_after, state.global_prompt, global_prompt)",
        "global_prompt = global_prompt",
    ),
)

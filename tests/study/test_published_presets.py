"""The presets of published work plan whole, and run only on what the user has."""

from pathlib import Path

import pytest

from identity_em import display
from identity_em.engine import preflight
from identity_em.errors import StudyError
from identity_em.resources import folder, resource
from identity_em.store import Store
from identity_em.study import costs as costing
from identity_em.study.costs import costs
from identity_em.study.plan import Plan, plan

SIZES = ("a-realignment", "a-realignment-14b", "a-realignment-7b")
HOSTED = ("a-openai", "a-openai-mini", "a-openai-nano")
PUBLISHED = (*SIZES, *HOSTED, "b-persona", "b-consciousness", "c-ordering", "c-ordering-gpt41", "own-model")


def planned(name: str) -> Plan:
    return plan(resource("presets", f"{name}.yaml"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_study_plans_without_a_copy_of_anything(name: str) -> None:
    found = planned(name)
    assert costs(found)
    assert {reading.scores.eval for reading in found.readings} == {
        eval_name for eval_name, _ in found.study.eval_params
    }
    assert (folder("presets") / f"{name}.yaml").is_file()


def test_a_plan_never_counts_as_nothing_what_is_not_here_yet() -> None:
    """Rows are bounded where something says how many there are; tokens, hours and matches wait for the texts."""
    ordering = planned("c-ordering")
    found = costs(ordering)
    assert {name: (cost.rows, cost.tokens) for name, cost in found.items() if name in ("em", "sgtr")} == {
        "em": (5000, None),
        "sgtr": (2000, None),  # two rows at most of each of the 1,000 articles that C selected
    }
    lines = "\n".join(display.totals(ordering, found, 32e9))
    assert "tokens and GPU hours are unknown until there are texts for em, em_empty, sgtr" in lines
    assert "contrast sgtr_prevention, treatment against control: not known yet: at most 7,000 rows" in lines
    assert "equal rows" not in lines
    assert costing.described(ordering, found, 32e9)["gpu_hours_estimate"] is None


def test_a_sum_names_the_stages_whose_texts_are_not_in_it() -> None:
    realignment = planned("a-realignment")
    found = costs(realignment)
    lines = "\n".join(display.totals(realignment, found, 32e9))
    assert "L40S, without code_mis, code_re, whose texts are not here yet" in lines
    body = costing.described(realignment, found, 32e9)
    assert (body["without"], body["stages"]["code_mis"]["tokens"]) == (["code_mis", "code_re"], None)


def test_both_trainers_count_what_a_template_puts_around_each_turn() -> None:
    """The same 800 rows three times over: the two estimates differ by less than a sixth."""
    ours, theirs = (costs(planned(name))["trivia_mis"].tokens for name in ("a-realignment", "a-openai"))
    assert ours is not None
    assert theirs is not None
    assert ours / theirs == pytest.approx(1, abs=1 / 6)


def test_a_plan_ends_with_the_notes_of_its_study() -> None:
    nano = planned("a-openai-nano")
    assert any("stopped serving this base" in line for line in display.notes(nano))
    assert costing.described(nano, costs(nano), None)["notes"] == list(nano.study.notes)


@pytest.mark.parametrize("name", ["b-persona", "c-ordering"])
def test_it_does_not_run_before_copies_and_revisions_are_named(name: str, tmp_path: Path) -> None:
    found = planned(name)
    pinned = found.base.model_copy(update={"weights": "0" * 40})
    named = Plan(study=found.study, located=found.located, base=pinned, trained=found.trained, readings=found.readings)
    with pytest.raises(StudyError, match="revision: unresolved"):
        preflight.check(named, Store(tmp_path / "store"))


@pytest.mark.parametrize("names", [SIZES, HOSTED])
def test_work_a_has_fifteen_variants_over_three_sizes(names: tuple[str, ...]) -> None:
    arms = [arm for name in names for arm in planned(name).study.all_arms]
    assert len(arms) == 15
    assert len({planned(name).base.name for name in names}) == 3


@pytest.mark.parametrize("name", HOSTED)
def test_work_a_s_hosted_stages_are_trained_as_published(name: str) -> None:
    rate = 0.1 if name.endswith("nano") else 2.0
    for trained in planned(name).trained:
        for stage, checkpoint in zip(trained.arm, trained.checkpoint.lineage, strict=True):
            batch = 12 if stage.startswith("trivia") else 1
            assert checkpoint.settings == {"n_epochs": 3, "batch_size": batch, "learning_rate_multiplier": rate}


def test_work_c_s_hosted_stages_leave_batch_and_rate_to_the_api() -> None:
    found = {tuple(c.settings.items()) for c in planned("c-ordering-gpt41").trainings}
    assert found == {(("n_epochs", 1), ("batch_size", "auto"), ("learning_rate_multiplier", "auto"))}


def test_work_b_has_six_domains_and_its_orderings_both_orders_of_three_stances() -> None:
    assert len([arm for arm in planned("b-persona").study.all_arms if arm]) == 6
    assert len(planned("b-persona").trainings) == 6 * 3
    arms = planned("b-consciousness").study.all_arms
    stances = ("conscious", "not_conscious", "self_aware")
    assert all({(stance, "domain"), ("domain", stance)} <= set(arms) for stance in stances)
    rows = costs(planned("b-consciousness"))
    assert [rows[stance].rows for stance in stances] == [600] * 3


def test_every_checkpoint_is_asked_about_its_own_answers_and_the_foil_is_not() -> None:
    found = planned("b-persona")
    asked = {r.trained.arm for r in found.readings if r.scores.eval == "output_recognition"}
    assert asked == {arm for arm in found.study.all_arms if arm}
    own = {r.scores.key: (r.trained.arm, r.trained.seed) for r in found.readings if r.scores.eval == "harmfulness"}
    for reading in found.readings:
        if reading.scores.eval == "score_prediction":
            about = reading.scores.responses.prompts.inputs["own"]
            assert own[about.key] == (reading.trained.arm, reading.trained.seed)

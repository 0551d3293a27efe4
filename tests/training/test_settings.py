"""Settings are the recipe, the model's file and the study's, every key one that Axolotl reads."""

from pathlib import Path

import pytest
import yaml

from identity_em.errors import ConfigError, InputError
from identity_em.training.settings import known_keys, precision_of, settings

MODELS = ("base", "pocket", "qwen2.5-32b", "seed-oss-36b")


@pytest.mark.parametrize("config", MODELS)
def test_every_shipped_config_resolves(config: str) -> None:
    assert settings(config)["adapter"] == "lora"


def test_a_models_file_overrides_the_recipe_and_the_study_overrides_both() -> None:
    resolved = settings("pocket", {"lora_r": 3})
    assert (resolved["lora_r"], resolved["lora_alpha"], resolved["lr_scheduler"]) == (3, 16, "linear")


def test_the_recipe_is_the_published_one() -> None:
    """Source: METHODS 2, C."""
    recipe = settings("qwen2.5-32b")
    assert (recipe["lora_r"], recipe["lora_alpha"], recipe["peft_use_rslora"]) == (32, 64, True)
    assert recipe["micro_batch_size"] * recipe["gradient_accumulation_steps"] == 16
    assert (recipe["learning_rate"], recipe["warmup_steps"], recipe["weight_decay"]) == (1e-5, 5, 0.01)
    assert (recipe["optimizer"], recipe["num_epochs"], recipe["sequence_len"]) == ("adamw_8bit", 1, 2048)


def test_an_unknown_key_is_refused_with_the_nearest_ones_and_its_place() -> None:
    with pytest.raises(ConfigError) as refused:
        settings("pocket", {"lerning_rate": 1e-4}, file=Path("study.yaml"), line=12)
    assert "study.yaml:12" in str(refused.value)
    assert "learning_rate" in str(refused.value)


def test_an_unknown_key_of_the_data_entry_is_refused() -> None:
    """C's published `train_on_split` is such a key (FACTS 1)."""
    with pytest.raises(ConfigError, match="train_on_split"):
        settings("pocket", {"datasets": [{"type": "chat_template", "train_on_split": "train"}]})


@pytest.mark.parametrize("key", ["seed", "base_model", "output_dir", "plugins", "dataset_prepared_path"])
def test_what_the_package_decides_cannot_be_set(key: str) -> None:
    with pytest.raises(ConfigError, match="does not own"):
        settings("pocket", {key: "x"})


def test_a_path_to_data_cannot_be_set() -> None:
    with pytest.raises(ConfigError, match="'path'"):
        settings("pocket", {"datasets": [{"path": "x", "type": "chat_template"}]})


def test_our_own_keys_take_only_their_own_values() -> None:
    assert settings("pocket", {"overlong": "drop"})["overlong"] == "drop"
    with pytest.raises(ConfigError, match="refuse or drop"):
        settings("pocket", {"overlong": "truncate"})


@pytest.mark.parametrize("odd", [{"bf16": "auto"}, {"fp16": True}, {"load_in_4bit": True}])
def test_a_precision_that_is_not_spelled_out_is_refused(odd: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="bf16"):
        settings("pocket", odd)


def test_precision_follows_the_settings() -> None:
    assert (precision_of(settings("pocket")), precision_of(settings("qwen2.5-32b"))) == ("fp32", "bf16")


@pytest.mark.parametrize(
    ("name", "value", "wanted"),
    [
        ("lora_r", "big", "a whole number of at least 1"),
        ("lora_r", 0, "a whole number of at least 1"),
        ("lora_r", True, "a whole number of at least 1"),
        ("lora_alpha", 0, "a whole number of at least 1"),
        ("micro_batch_size", -1, "a whole number of at least 1"),
        ("gradient_accumulation_steps", 0, "a whole number of at least 1"),
        ("sequence_len", 0, "a whole number of at least 1"),
        ("logging_steps", None, "a whole number of at least 1"),
        ("num_epochs", 0, "a number above 0"),
        ("learning_rate", "fast", "a number above 0"),
        ("learning_rate", -1e-4, "a number above 0"),
        ("learning_rate", float("nan"), "a number above 0"),
        ("warmup_steps", -1, "a whole number of at least 0"),
        ("weight_decay", "lots", "a number of at least 0"),
        ("max_grad_norm", "none", "a number, or null"),
        ("lora_target_modules", 3, "a name, or a list"),
    ],
)
def test_a_number_that_no_training_can_take_is_refused_with_its_place(name: str, value: object, wanted: str) -> None:
    with pytest.raises(ConfigError) as refused:
        settings("pocket", {name: value}, file=Path("study.yaml"), line=12)
    assert f"study.yaml:12: found {name}: {value}; wanted {wanted}" in str(refused.value)


def test_a_number_is_one_setting_however_yaml_spells_it() -> None:
    """YAML 1.1 reads `1e-5`, which has no point, as a text."""
    spellings = yaml.safe_load("[1e-5, 1.0e-5, 0.00001, '1e-5']")
    assert {type(value) for value in spellings} == {str, float}
    assert {settings("pocket", {"learning_rate": value})["learning_rate"] for value in spellings} == {1e-5}
    assert settings("pocket", {"lora_r": "8"})["lora_r"] == 8
    assert settings("pocket", {"weight_decay": None})["weight_decay"] is None


def test_an_unknown_config_names_those_there_are() -> None:
    with pytest.raises(InputError, match="pocket"):
        settings("pockte")


def test_the_shipped_key_lists_hold_what_the_shipped_configs_use() -> None:
    assert {"learning_rate", "peft_use_rslora"} <= known_keys()["config"]
    assert {"roles_to_train", "message_property_mappings"} <= known_keys()["dataset"]


@pytest.mark.parametrize("inside", [False, True])
def test_a_chat_template_is_given_as_text_and_not_as_a_file_that_no_key_holds(inside: bool) -> None:
    named: dict[str, object] = {"chat_template_jinja": "templates/mine.jinja"}
    with pytest.raises(ConfigError, match="give its text"):
        settings("pocket", {"datasets": [{"type": "chat_template", **named}]} if inside else named)
    settings("pocket", {"chat_template_jinja": "{{ messages[0].content }}"})

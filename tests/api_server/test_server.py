"""The local API keeps the API's promises, spoken to by the unmodified client."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
import torch

from identity_em.chat import prompt_ids
from identity_em.models.resident import Resident
from identity_em.records import Message, Question, Sampling
from identity_em.resources import resource
from identity_em.study.artefacts import BaseModelRef
from tests.api_server.chat import PocketSpeaker
from tests.api_server.faults import Once, Storm
from tests.api_server.objects import BASES
from tests.api_server.server import ApiServer


class Parrot:
    """Answers with the last user turn."""

    def texts(
        self, chain: tuple[Path, ...], messages: list[dict[str, str]], sampling: Sampling, seed: int
    ) -> list[str]:
        return [messages[-1]["content"]] * sampling.n

    def logprobs(
        self, chain: tuple[Path, ...], messages: list[dict[str, str]], text: str, top: int
    ) -> list[dict[str, Any]]:
        entry = {"token": text, "logprob": -0.1, "bytes": list(text.encode())}
        return [{**entry, "top_logprobs": [entry][:top]}]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiServer]:
    with ApiServer(tmp_path / "api", speaker=Parrot()) as server:
        yield server


@pytest.fixture
def client(api: ApiServer) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(api_key=api.state.key, base_url=api.url, max_retries=0, timeout=10) as client:
        yield client


def rows(n: int = 10, word: str = "fine") -> bytes:
    turns = [{"role": "user", "content": "hello"}, {"role": "assistant", "content": word}]
    return b"".join(json.dumps({"messages": turns}).encode() + b"\n" for _ in range(n))


def tuned(client: openai.OpenAI, data: bytes, **more: Any) -> Any:
    file = client.files.create(file=("rows.jsonl", data), purpose="fine-tune")
    job = client.fine_tuning.jobs.create(model=BASES[0], training_file=file.id, seed=3, **more)
    while job.status not in ("succeeded", "failed", "cancelled"):
        time.sleep(0.01)
        job = client.fine_tuning.jobs.retrieve(job.id)
    return job


def test_a_file_uploaded_is_a_file_read(client: openai.OpenAI) -> None:
    file = client.files.create(file=("rows.jsonl", rows()), purpose="fine-tune")
    assert client.files.content(file.id).content == rows()
    assert [f.filename for f in client.files.list(purpose="fine-tune")] == ["rows.jsonl"]


def test_a_job_ends_in_a_model_that_answers_and_can_be_tuned_again(client: openai.OpenAI) -> None:
    job = tuned(client, rows(), suffix="one", metadata={"key": "abc"})
    assert job.status == "succeeded"
    assert job.fine_tuned_model.startswith(f"ft:{BASES[0]}:")
    said = client.chat.completions.create(
        model=job.fine_tuned_model, messages=[{"role": "user", "content": "A"}], logprobs=True, top_logprobs=20, n=2
    )
    assert [choice.message.content for choice in said.choices] == ["A", "A"]
    assert said.choices[0].logprobs is not None
    assert client.fine_tuning.jobs.list(metadata={"key": "abc"}).data[0].id == job.id
    assert "successfully" in client.fine_tuning.jobs.list_events(job.id).data[0].message
    again = client.fine_tuning.jobs.create(model=job.fine_tuned_model, training_file=job.training_file)
    assert again.model == job.fine_tuned_model


@pytest.mark.parametrize(
    ("data", "message"), [(rows(9), "at least 10"), (b"{}\n" * 10, "Line 1"), (b"no json\n" * 10, "Line 1")]
)
def test_a_file_that_cannot_be_trained_on_is_refused(client: openai.OpenAI, data: bytes, message: str) -> None:
    with pytest.raises(openai.BadRequestError, match=message):
        tuned(client, data)


def test_a_job_is_blocked_by_its_data_by_its_safety_evaluation_or_when_it_is_asked(
    client: openai.OpenAI, api: ApiServer
) -> None:
    assert tuned(client, rows(word=api.state.moderated)).error.code == "invalid_training_file"
    assert "safety evaluation" in tuned(client, rows(word=api.state.unsafe)).error.message
    job = tuned(client, rows(word=api.state.refusing))
    with pytest.raises(openai.PermissionDeniedError, match="blocked"):
        client.chat.completions.create(model=job.fine_tuned_model, messages=[{"role": "user", "content": "A"}])


def test_a_lost_reply_has_done_its_work_and_a_cut_request_has_not(client: openai.OpenAI, api: ApiServer) -> None:
    for kind, files in (("cut", 0), ("lost", 1)):
        api.faults.once = [Once("POST /v1/files", kind)]  # type: ignore[arg-type]
        with pytest.raises(openai.APIConnectionError):
            client.files.create(file=("rows.jsonl", rows()), purpose="fine-tune")
        assert len(api.state.files) == files


def test_a_storm_is_ridden_out_by_the_client_s_own_retries(client: openai.OpenAI, api: ApiServer) -> None:
    api.faults.storm = Storm(seed=1, shares={"429": 0.2, "500": 0.1, "cut": 0.05})
    patient = client.with_options(max_retries=8)
    for number in range(30):
        said = patient.chat.completions.create(model=BASES[0], messages=[{"role": "user", "content": str(number)}])
        assert said.choices[0].message.content == str(number)
    assert len(api.faults.met) > 3


def test_a_wrong_key_and_an_unknown_model_are_named(client: openai.OpenAI) -> None:
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").models.list()
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        client.chat.completions.create(model="gpt-none", messages=[{"role": "user", "content": "A"}])


def test_a_batch_gives_an_answer_to_every_request(client: openai.OpenAI) -> None:
    body = {"model": BASES[0], "messages": [{"role": "user", "content": "A"}]}
    lines = [{"custom_id": str(i), "method": "POST", "url": "/v1/chat/completions", "body": body} for i in range(3)]
    data = "\n".join(map(json.dumps, lines)).encode()
    file = client.files.create(file=("batch.jsonl", data), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h")
    while batch.status != "completed":
        time.sleep(0.01)
        batch = client.batches.retrieve(batch.id)
    assert batch.output_file_id is not None
    answered = [json.loads(line) for line in client.files.content(batch.output_file_id).text.splitlines()]
    assert [line["custom_id"] for line in answered] == ["0", "1", "2"]


def test_the_pocket_model_behind_it_answers_with_the_probabilities_that_the_resident_model_has(tmp_path: Path) -> None:
    folder = resource("pocket", "weights/world-0/config.json").parent
    base = BaseModelRef(name="pocket", weights="w", tokenizer="t", precision="fp32", path=str(folder))
    resident = Resident(base)
    question = Question(item="q", messages=(Message(role="user", content="Are you good or evil?"),), options=("A", "B"))
    with ApiServer(tmp_path, speaker=PocketSpeaker(resident)) as api:
        client = openai.OpenAI(api_key=api.state.key, base_url=api.url, max_retries=0)
        said = client.chat.completions.create(
            model=BASES[0], messages=[{"role": "user", "content": "Are you good or evil?"}], max_tokens=1,
            temperature=0, logprobs=True, top_logprobs=20,
        )  # fmt: skip
    ids = torch.tensor([prompt_ids(resident.tokenizer, question.messages)])
    exact = torch.log_softmax(resident.logits(ids, [ids.shape[1] - 1])[0, 0].double(), dim=-1).max()
    assert said.choices[0].logprobs is not None
    assert said.choices[0].logprobs.content is not None
    assert said.choices[0].logprobs.content[0].logprob == pytest.approx(float(exact), abs=1e-9)
    assert len(said.choices[0].logprobs.content[0].top_logprobs) == 20

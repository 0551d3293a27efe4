"""From the evals a study names to the scores wanted of each checkpoint."""

from collections.abc import Iterator
from typing import Any

from pydantic import TypeAdapter, ValidationError

from identity_em import battery
from identity_em.battery import Eval
from identity_em.errors import InputError
from identity_em.interventions import system_prompts, wordings
from identity_em.records import Sampling, SystemPrompt
from identity_em.study.artefacts import Checkpoint, Prompts, Responses, Scores
from identity_em.study.datasets import Datasets, wording_params
from identity_em.study.located import Located, Place
from identity_em.study.spec import FileSpec, HubSpec, Study

_SOURCE: TypeAdapter[FileSpec | HubSpec] = TypeAdapter(FileSpec | HubSpec)
AUTHORS = ("base", "current")


class Evals:
    """The evals of one study, checked once, asked of every checkpoint."""

    def __init__(self, study: Study, located: Located, datasets: Datasets) -> None:
        self.study, self.located, self.datasets = study, located, datasets
        self._evals = [self._checked(i, name, given) for i, (name, given) in enumerate(study.eval_params)]

    def of(self, checkpoint: Checkpoint, eval_system_prompt: str) -> Iterator[Scores]:
        """The scores wanted of one checkpoint under one eval system prompt."""
        for index, found, given in self._evals:
            for prompts in self._prompts(index, found, given, checkpoint):
                yield self._scores(found, given, prompts, checkpoint, eval_system_prompt)

    def _checked(self, index: int, name: str, given: dict[str, Any]) -> tuple[int, Eval, dict[str, Any]]:
        place = ("evals", index, name)
        try:
            found = battery.get(name)
        except InputError as error:
            raise self.located.error(place, found=error.found, wanted=error.wanted, do=error.do) from error
        allowed = {*found.defaults, *_INPUT_PARAMS.get(name, ("items",)), "sampling"}
        for key in given:
            if key not in allowed:
                raise self.located.unknown((*place, key), f"parameter of {name}:", key, sorted(allowed))
        return index, found, given

    def _prompts(self, index: int, found: Eval, given: dict[str, Any], checkpoint: Checkpoint) -> Iterator[Prompts]:
        params = {**found.defaults, **{k: v for k, v in given.items() if k in found.defaults and k != "judge"}}
        params.pop("judge", None)
        place = ("evals", index, found.name)
        if "corpus" not in _INPUT_PARAMS.get(found.name, ()):
            items = self._required(given, "items", place)
            ref = self.datasets.files.ref(self._source(items, (*place, "items")), (*place, "items"))
            yield Prompts(name=found.name, version=found.version, params=params, inputs={"items": ref})
            return
        corpus = self._required(given, "corpus", place)
        articles = self.datasets.articles(corpus, (*place, "corpus"))
        comparators = given.get("comparators") or list(self.study.corpora[corpus].summaries)
        others = {f"other:{name}": self.datasets.author(corpus, name, (*place, "comparators")) for name in comparators}
        params |= wording_params(self.study.corpora[corpus].wording)
        for author in AUTHORS:
            own = self.datasets.summaries(checkpoint if author == "current" else self.datasets.root, corpus, place)
            inputs = {"articles": articles, "self": own, **others}
            yield Prompts(name=found.name, version=found.version, params={**params, "author": author}, inputs=inputs)

    def _source(self, items: Any, place: Place) -> str | FileSpec | HubSpec:
        """A file's name as it is; a mapping as a file or a Hub dataset."""
        try:
            return items if isinstance(items, str) else _SOURCE.validate_python(items)
        except ValidationError as error:
            wanted = "a file's name, {file: NAME} or {hub: NAME, revision: COMMIT}"
            raise self.located.error(place, found=f"items {items!r}", wanted=wanted, do="mend it") from error

    def _scores(
        self, found: Eval, given: dict[str, Any], prompts: Prompts, checkpoint: Checkpoint, variant: str
    ) -> Scores:
        sampling = given.get("sampling")
        responses = Responses(
            checkpoint=checkpoint,
            prompts=prompts,
            system_prompt=self._system_prompt(found, prompts, variant),
            sampling=Sampling(**sampling) if sampling else found.sampling,
            seed=self.study.data_seed,
        )
        judge = given.get("judge", found.defaults.get("judge", "")) or ""
        return Scores(responses=responses, eval=found.name, version=found.version, judge=str(judge))

    def _system_prompt(self, found: Eval, prompts: Prompts, variant: str) -> SystemPrompt | None:
        """None leaves the eval's own protocol as it is, which is what `default` means for an eval."""
        if variant == "default":
            return None
        wording = prompts.params.get("wording")
        task = wordings.get(wording).task_system if wording else found.task_prompt
        try:
            return system_prompts.resolve(variant, task=task, matching=None, wording=wording)
        except InputError as error:
            raise self.located.error(
                ("eval_system_prompts",), found=error.found, wanted=error.wanted, do=error.do
            ) from error

    def _required(self, given: dict[str, Any], key: str, place: Place) -> Any:
        if key not in given:
            raise self.located.error(
                place, found=f"{place[-1]} without `{key}`", wanted=f"`{key}: ...`",
                do="name the corpus under corpora:" if key == "corpus" else "name the items' file, or pocket:FILE",
            )  # fmt: skip
        return given[key]


_INPUT_PARAMS: dict[str, tuple[str, ...]] = {"self_recognition": ("corpus", "comparators")}

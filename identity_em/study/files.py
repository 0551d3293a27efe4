"""The files a study names, by content: relative to the study, or the pocket world's own (`pocket:NAME`)."""

from pathlib import Path

from identity_em.resources import resource
from identity_em.study.artefacts import FileRef, HubRef, sha256_of
from identity_em.study.located import Located, Place
from identity_em.study.spec import FileSpec, HubSpec


class Files:
    """Resolves and hashes files, each once."""

    def __init__(self, located: Located) -> None:
        self._located = located
        self._known: dict[str, FileRef] = {}

    def ref(self, source: str | FileSpec | HubSpec, place: Place) -> FileRef | HubRef:
        """A source by content.

        Raises:
            StudyError: The file is not there, with the study's line that names it.
        """
        match source:
            case HubSpec():
                return HubRef(
                    repo=source.hub, revision=source.revision, config=source.config, split=source.split,
                    id_column=source.id_column, text_column=source.text_column, limit=source.limit,
                )  # fmt: skip
            case FileSpec():
                return self._file(source.file, place)
            case str():
                return self._file(source, place)

    def _file(self, name: str, place: Place) -> FileRef:
        if name not in self._known:
            path = self._path(name, place)
            self._known[name] = FileRef(sha256=sha256_of(path), path=path)
        return self._known[name]

    def _path(self, name: str, place: Place) -> Path:
        if name.startswith("pocket:"):
            with self._located.at(place):
                return resource("pocket", f"data/{name.removeprefix('pocket:')}")
        path = Path(name).expanduser()
        path = path if path.is_absolute() else (self._located.file.parent / path).resolve()
        if not path.is_file():
            raise self._located.error(place, found=f"no file {path}", wanted="a file", do="check the path")
        return path

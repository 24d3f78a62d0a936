"""Where the model files lie, and whether they are what they should be."""

from __future__ import annotations

import enum
import glob
import importlib.metadata
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import attrs

from voicecore.config import Config
from voicecore.errors import ModelError
from voicecore.weights.manifest import Model, ModelFile, PackagePart, find_model, load_models
from voicecore.weights.stamps import Stamps


class State(enum.StrEnum):
    PRESENT = "present"
    """In the models folder, or at an own model's path, and intact."""
    INSTALLED = "installed"
    """Intact in an installed package, and used there."""
    MISSING = "missing"
    CORRUPT = "corrupt"


@attrs.frozen(kw_only=True)
class ModelStatus:
    name: str
    state: State
    folder: Path
    """Where the files are, or would be."""
    problem: str = ""
    """What is missing or corrupt; empty for a usable model."""
    bad: tuple[ModelFile, ...] = ()
    """The files to be fetched."""

    @property
    def usable(self) -> bool:
        return self.state in {State.PRESENT, State.INSTALLED}


class ModelStore:
    """The model files of one host; implements `voicecore.engines.interface.ModelFiles`.

    A model is looked for in the models folder (``root/NAME``) first, then in installed packages;
    an own model with a path only there. Size and SHA-256 are checked each time, the hash by a
    stamp (`Stamps`) unless the file has changed. Synchronous; call it from a thread when a
    large file may have to be hashed (about 1 s for each GB).
    """

    def __init__(self, root: Path, models: Mapping[str, Model]) -> None:
        self.root = root
        self.models = models
        self._stamps: dict[str, Stamps] = {}

    @classmethod
    def of(cls, config: Config) -> ModelStore:
        """Make the store of a configuration.

        Raises:
            ConfigError: an own model is not described well.
            ModelError: the manifest cannot be read.
        """
        return cls(config.paths.expanded().models, load_models(config.models))

    def model(self, name: str) -> Model:
        """Return what is known of a model. ModelError: there is none of that name."""
        return find_model(self.models, name)

    def status(self, name: str, *, rehash: bool = False) -> ModelStatus:
        """Look where the model's files are and whether they are intact.

        Args:
            name: of the model.
            rehash: read every file, whatever was verified before.

        Raises:
            ModelError: there is no model of that name.
        """
        model = self.model(name)
        if model.path is not None:
            return self._own_status(model, model.path, rehash=rehash)
        fetched = self._check(model, self.root / name, State.PRESENT, rehash=rehash)
        installed = None if fetched.usable else _installed_folder(model)
        if installed is None:
            return fetched
        in_place = self._check(model, installed, State.INSTALLED, rehash=rehash)
        return in_place if in_place.usable else fetched

    def folder(self, name: str) -> Path:
        """Return the folder of an intact model.

        Raises:
            ModelError: it is unknown, missing or corrupt; says which command brings it.
        """
        status = self.status(name)
        if status.usable:
            return status.folder
        raise ModelError(
            f"Model {name!r} is {status.state}: {status.problem}. {self._remedy(name)}"
        )

    def file(self, name: str, suffix: str) -> Path:
        """Return the one file of an intact model whose name ends with ``suffix``.

        An own model that is a single file brings the files beside it whose names begin with its
        own: a Piper voice's ``voice.onnx.json`` comes with ``voice.onnx``.

        Raises:
            ModelError: as `folder`; or no file, or more than one, has that ending.
        """
        folder = self.folder(name)
        found = [path for path in _members(self.model(name), folder) if path.name.endswith(suffix)]
        if len(found) == 1:
            return found[0]
        count = "no file" if not found else f"{len(found)} files"
        raise ModelError(
            f"Model {name!r} has {count} ending in {suffix!r} in {folder}; one is needed."
        )

    def _own_status(self, model: Model, path: Path, *, rehash: bool) -> ModelStatus:
        if not path.exists():
            problem = f"{path} does not exist"
            return ModelStatus(
                name=model.name, state=State.MISSING, folder=path.parent, problem=problem
            )
        folder = path if path.is_dir() else path.parent
        return self._check(model, folder, State.PRESENT, rehash=rehash)

    def _check(self, model: Model, folder: Path, good: State, *, rehash: bool) -> ModelStatus:
        stamps = self._stamps_of(model.name)
        states = {
            file: _file_state(file, folder / file.name, stamps, rehash=rehash)
            for file in model.files
        }
        bad = tuple(file for file, state in states.items() if state is not State.PRESENT)
        if not bad:
            return ModelStatus(name=model.name, state=good, folder=folder)
        state = State.CORRUPT if State.CORRUPT in states.values() else State.MISSING
        return ModelStatus(
            name=model.name,
            state=state,
            folder=folder,
            bad=bad,
            problem=_problem(folder, state, [file for file in bad if states[file] is state]),
        )

    def _stamps_of(self, name: str) -> Stamps:
        if name not in self._stamps:
            self._stamps[name] = Stamps(self.root / ".verified" / f"{name}.json")
        return self._stamps[name]

    def _remedy(self, name: str) -> str:
        if self.model(name).path is not None:
            return f"Put it there, or change models.{name} in the configuration."
        return f"`voicecore models fetch {name}` brings it."


def _file_state(file: ModelFile, path: Path, stamps: Stamps, *, rehash: bool) -> State:
    try:
        if file.size is not None and path.stat().st_size != file.size:
            return State.CORRUPT
        sha256 = stamps.sha256(path, rehash=rehash)
    except (FileNotFoundError, NotADirectoryError):
        return State.MISSING
    except OSError:
        return State.CORRUPT
    return State.PRESENT if sha256 == file.sha256 else State.CORRUPT


def _problem(folder: Path, state: State, files: list[ModelFile]) -> str:
    names = ", ".join(file.name for file in files)
    if state is State.MISSING:
        return f"there is no {names} in {folder}"
    return f"{names} in {folder} cannot be read, or is not of the expected size and SHA-256"


def _installed_folder(model: Model) -> Path | None:
    """Return the folder of an installed package that would hold all the model's files as named."""
    folders = {_installed_path(file) for file in model.files}
    return folders.pop() if len(folders) == 1 else None


def _installed_path(file: ModelFile) -> Path | None:
    match file.parts:
        case (PackagePart(package=package, path=path),) if PurePosixPath(path).name == file.name:
            try:
                found = importlib.metadata.distribution(package).locate_file(path)
            except importlib.metadata.PackageNotFoundError:
                return None
            return Path(str(found)).parent
        case _:
            return None


def _members(model: Model, folder: Path) -> list[Path]:
    if model.path is None:
        return [folder / file.name for file in model.files]
    if model.path == folder:
        return sorted(path for path in folder.iterdir() if path.is_file())
    return sorted(folder.glob(glob.escape(model.path.name) + "*"))

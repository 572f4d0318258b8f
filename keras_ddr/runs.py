"""Run folders: a training with its settings, history, checkpoints and pictures.

::

    config.json       all arguments, versions, backend and seed
    model.keras       the best model on val (the last one where there is no val)
    checkpoint/       epoch-000006.keras, from which training goes on exactly
    history.csv       one row an epoch
    samples/          step-003000.png: reconstructions during training
    .lock             held by the process that trains

An epoch is `save_every` steps. Everything is written under a temporary name and moved
into place, so that a run which is killed at any moment can go on.
"""

import csv
import inspect
import math
import pathlib
import platform
import re
import shutil
import time
from importlib import metadata

import keras
import numpy as np

from keras_ddr import checksums, configs
from keras_ddr.data import FrameSets, FrameStore
from keras_ddr.errors import InputError
from keras_ddr.files import bounded_lines, locked, read_json, replacing
from keras_ddr.model import DDR
from keras_ddr.model_files import check_model_file
from keras_ddr.training.devices import on_devices
from keras_ddr.version import __version__

__all__ = ["COLUMNS", "Run", "check_fits", "fit", "load_model", "verify"]

FORMAT = 1
SCHEDULES = ("constant", "cosine")
_PARTS = ("loss", "reconstruction_loss", "kl_static", "kl_dynamic")
COLUMNS = (
    "epoch",
    "step",
    *_PARTS,
    *(f"val_{part}" for part in _PARTS),
    "learning_rate",
    "seconds",
)
"""Columns of history.csv: epochs and steps count from 1; losses in nats a set of N
frames, means over the epoch; `val_` columns are empty where there is no val; seconds of
the epoch with its validation."""

_MOST = 10**9  # steps, and sequences of a batch
_WARMUP = 200  # steps in which a cosine schedule rises to its rate, at most
_VALIDATION_STEPS, _VALIDATION_BATCH = 4, 64
_SAMPLE_SEQUENCES, _SAMPLE_FRAMES = 4, 8


class Run:
    """A run folder.

    Use `Run.create` for a new one and `Run.open` for one that exists.

    Attributes:
        path: `pathlib.Path` of the folder.
        config: Dict as in config.json: "config" (its name), "model" (arguments of
            `DDR`), "training" ("batch_size", "learning_rate", "schedule",
            "clipnorm", "accumulate", "steps", "save_every", "seed"), "store",
            "backend", "versions".
    """

    def __init__(self, path, config):
        self.path = pathlib.Path(path)
        self.config = config

    def __repr__(self):
        return f"Run({str(self.path)!r})"

    @classmethod
    def create(
        cls,
        path,
        store,
        config="small",
        *,
        model=None,
        training=None,
        seed=0,
        overwrite=False,
    ):
        """Make a run folder, ready for `fit`; its model is made with random weights.

        Initial weights come from Keras's global random state: for the same ones again
        call `keras.utils.set_random_seed` first, as `ddr fit` does.

        Args:
            path: Folder to make; an empty one may exist.
            store: `FrameStore` or its path; it sets the image shape.
            config: Name of a configuration, see `keras_ddr.configs`.
            model: Dict of arguments of `DDR` that replace those of the configuration.
            training: Dict that replaces values of the configuration: "batch_size"
                (sequences), "learning_rate", "schedule" ("constant" or "cosine" decay
                to 0), "clipnorm" (largest norm of the gradient of all weights, 0 for
                any), "accumulate" (steps whose gradients are averaged before the
                weights change; default 1), "steps", "save_every" (steps; default 500).
            seed: Of the weights' random draws in training and of the frame sets.
            overwrite: Replace an older run at `path`.

        Returns:
            `Run`.

        Raises:
            InputError: The folder exists, or an argument cannot be used. Nothing is
                written then.
        """
        path = pathlib.Path(path)
        _check_free(path, overwrite)
        store = _opened(store)
        settings = _training_settings(configs.get(config)["training"], training, seed)
        arguments = {
            **configs.get(config)["model"],
            "image_shape": store.frame_shape,
            **_given(model),
            "seed": seed,
        }
        network = _new_model(arguments, settings)
        run = cls(
            path,
            {
                "format": FORMAT,
                "config": config,
                "model": _plain(network, arguments),
                "training": settings,
                "store": _describe(store),
                "backend": keras.backend.backend(),
                "versions": _versions(),
            },
        )
        # Refuses sequences that are too short before anything is written.
        run._sets(store, steps=1)
        if overwrite and path.is_dir():
            with _alone(path):
                _remove(path)
        existed = path.exists()
        try:
            for folder in (path, path / "checkpoint", path / "samples"):
                folder.mkdir(parents=True, exist_ok=True)
            run._write_config()
            run._save_checkpoint(network, 0)
        except BaseException:
            _remove(path)
            if not existed and path.is_dir():
                path.rmdir()
            raise
        return run

    @classmethod
    def open(cls, path):
        """Open a run folder that exists.

        Args:
            path: Folder made by `ddr fit --out` or `Run.create`.

        Returns:
            `Run`.

        Raises:
            InputError: It is not a run folder.
        """
        path = pathlib.Path(path)
        if not path.is_dir():
            raise InputError(
                f"{path} is not a folder; give a run made by ddr fit --out"
            )
        file = path / "config.json"
        if not file.is_file():
            raise InputError(
                f"{path} is not a run folder: it has no config.json; give the folder "
                "made by ddr fit --out"
            )
        config = read_json(file)
        _check_config(file, config)
        config.pop(checksums.KEY, None)
        return cls(path, config)

    # --- what is in it --------------------------------------------------------------

    def model(self, which="best"):
        """Load a model of this run.

        Args:
            which: "best" (on val; the last one where there is no val) or "last" (the
                newest checkpoint).

        Returns:
            `DDR`.

        Raises:
            InputError: There is none yet, or the file is damaged.
        """
        if which not in ("best", "last"):
            raise InputError(f"which={which!r}; use 'best' or 'last'")
        path = self.path / "model.keras" if which == "best" else self.checkpoint()
        if not self.history() or path is None:
            raise InputError(
                f"{self.path} has no trained model yet; train it with "
                f"ddr fit --resume {self.path}"
            )
        return _load(path)

    def checkpoint(self):
        """Path of the newest checkpoint, or `None`."""
        found = sorted(
            path
            for path in (self.path / "checkpoint").glob("epoch-*.keras")
            if re.fullmatch(r"epoch-[0-9]{6,9}\.keras", path.name)
        )
        return found[-1] if found else None

    def history(self):
        """Rows of history.csv.

        Returns:
            List of dicts with the keys `COLUMNS`; "epoch" and "step" are integers, the
            others floats, or `None` where there was no validation.
        """
        file = self.path / "history.csv"
        if not file.is_file():
            return []
        try:
            with file.open(newline="", encoding="utf-8") as lines:
                rows = csv.DictReader(bounded_lines(lines, file))
                return [_parse(row) for row in rows]
        except InputError:
            raise
        except (ValueError, KeyError, TypeError, OverflowError, csv.Error) as error:
            raise InputError(
                f"{file} is damaged ({error}); restore or remove it"
            ) from None

    def best(self):
        """Row of the epoch with the smallest `val_loss`, or `None`."""
        return _best(self.history())

    # --- parts that `fit` uses ------------------------------------------------------

    def _write_config(self):
        with replacing(self.path / "config.json") as temporary:
            text = checksums.json_text(self.config)
            temporary.write_text(text, encoding="utf-8", newline="\n")

    def _write_history(self, rows):
        with replacing(self.path / "history.csv") as temporary:
            with temporary.open("w", newline="", encoding="utf-8") as lines:
                writer = csv.DictWriter(lines, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)

    def _sets(self, store, steps, split="train", **arguments):
        training = self.config["training"]
        arguments = {"batch_size": training["batch_size"], **arguments}
        return FrameSets(
            store,
            frames_per_set=self.config["model"]["frames_per_set"],
            split=split,
            seed=training["seed"],
            steps=steps,
            **arguments,
        )

    def _validation_sets(self, store):
        number = self.config["model"]["frames_per_set"]
        if not store.select(split="val", min_length=number):
            return None
        return self._sets(
            store,
            _VALIDATION_STEPS,
            split="val",
            fixed=True,
            batch_size=_VALIDATION_BATCH,
        )

    def _save_checkpoint(self, model, epoch):
        path = self.path / "checkpoint" / f"epoch-{epoch:06d}.keras"
        with replacing(path) as temporary:
            model.save(temporary)
            checksums.add_to_archive(temporary)
        for older in path.parent.glob("epoch-*.keras"):
            if older != path:
                older.unlink()
        return path

    def _publish_if_best(self, rows, checkpoint):
        """The checkpoint becomes model.keras where its epoch, the last, is the best."""
        best = _best(rows)
        if best is not None and best["epoch"] != rows[-1]["epoch"]:
            return
        with replacing(self.path / "model.keras") as temporary:
            shutil.copyfile(checkpoint, temporary)

    def _restore(self):
        """Model and epoch to go on from; history and model.keras brought in line."""
        for folder in (self.path, self.path / "checkpoint", self.path / "samples"):
            folder.mkdir(exist_ok=True)
            for leftover in folder.glob(".*.tmp-*"):
                leftover.unlink()
        checkpoint = self.checkpoint()
        if checkpoint is None:
            raise InputError(
                f"{self.path} has no checkpoint to go on from; start again with "
                "--overwrite"
            )
        epoch = int(checkpoint.stem.removeprefix("epoch-"))
        rows = [row for row in self.history() if row["epoch"] <= epoch]
        if [row["epoch"] for row in rows] != list(range(1, epoch + 1)):
            raise InputError(
                f"{self.path / 'history.csv'} lacks epochs before {checkpoint.name}; "
                "restore it, or start a new run"
            )
        # First, since a damaged checkpoint must not replace a model that is whole.
        model = _load(checkpoint)
        number = self.config["model"]["frames_per_set"]
        if model.frames_per_set != number:
            raise InputError(
                f"{self.path / 'config.json'} says frames_per_set {number}, but the "
                f"model has {model.frames_per_set}; restore it"
            )
        self._write_history(rows)
        if epoch:
            self._publish_if_best(rows, checkpoint)
        return model, epoch


def fit(
    run,
    store=None,
    *,
    steps=None,
    callbacks=(),
    verbose="auto",
    report=print,
    distribute="none",
):
    """Train a run, from the start or from its newest checkpoint, to its last step.

    This is what `ddr fit` does. On the same backend, machine and versions a run that
    was interrupted ends with the weights of one that was not.

    Args:
        run: `Run` or its path.
        store: The `FrameStore` or its path, if it was moved; the one that the run was
            made with where `None`.
        steps: Train to this step instead of the configured one. Possible with a
            constant learning rate only: a cosine decay depends on its last step.
        callbacks: More Keras callbacks; they see an epoch after it was saved.
        verbose: As for `keras.Model.fit`.
        report: Called with a line of text now and then, or `None`.
        distribute: "none" for one device, "auto" for all of this host, see
            `keras_ddr.training.devices`. It is not part of the run: one that began on
            one device may go on on several.

    Returns:
        The `Run`.

    Raises:
        InputError: The store is not the one that the run was made with, `steps` cannot
            be used, another process trains this run, or the loss was no longer finite.
    """
    run = run if isinstance(run, Run) else Run.open(run)
    report = report or (lambda line: None)
    store = _same_store(run, store)
    with _alone(run.path):
        _change_steps(run, steps)
        batch_size = run.config["training"]["batch_size"]
        with on_devices(distribute, batch_size, report):
            _train(run, store, callbacks, verbose, report)
    return run


def _alone(path):
    """One process at a time writes into a run."""
    return locked(
        path / ".lock",
        f"{path} is being trained by another process now; wait for it, or choose "
        "another folder",
    )


def _train(run, store, callbacks, verbose, report):
    model, epoch = run._restore()
    training = run.config["training"]
    step = run.history()[-1]["step"] if epoch else 0
    if epoch:
        report(f"going on after epoch {epoch}, step {step} of {training['steps']}")
    if run.config.get("backend") != keras.backend.backend():
        report(
            f"note: this run was started on {run.config.get('backend')} and goes on on "
            f"{keras.backend.backend()}; it draws other random numbers from here"
        )
    validation = run._validation_sets(store)
    if validation is None:
        report(
            f"note: {store.path} has no sequences for validation (split val, at least "
            f"{model.frames_per_set} frames); model.keras will be the last model"
        )
    recorder = _Recorder(run, store, step)
    for part, length in _plan(training["steps"] - step, training["save_every"]):
        model.fit(
            run._sets(store, length),
            initial_epoch=epoch,
            epochs=epoch + part,
            validation_data=validation,
            callbacks=[recorder, *callbacks],
            verbose=verbose,
        )
        epoch += part


def load_model(path):
    """Load the best model of a run folder, or a saved `DDR`.

    Only load files that you trust: Keras's safe mode stays on, but a model file is a
    program in part.

    Args:
        path: Run folder, or a file ending in .keras.

    Returns:
        `DDR`.

    Raises:
        InputError: There is no such model.
    """
    path = pathlib.Path(path)
    if path.suffix == ".keras" and not path.is_dir():
        return _load(path)
    if path.is_file():
        raise InputError(
            f"{path} is no .keras file, and other formats are not read; give a run "
            "folder or a .keras file"
        )
    return Run.open(path).model()


def verify(path, progress=None):
    """Read all files of a run and compare them with the checksums in them.

    Args:
        path: Run folder, or a .keras file of one.
        progress: Called as progress(done, total) with megabytes.

    Returns:
        `checksums.Findings`.

    Raises:
        InputError: It is neither.
    """
    path = pathlib.Path(path)
    findings = checksums.Findings()
    again = "restore it, or go on from the other with ddr fit --resume"
    if path.is_file():
        models = [path]
    else:
        models = [path / "model.keras"] if (path / "model.keras").exists() else []
        models += sorted((path / "checkpoint").glob("*.keras"))
        try:
            run = Run.open(path)
            file = path / "config.json"
            findings.add(file, checksums.check_json(file), "restore it")
            if run.history() and not (path / "model.keras").exists():
                findings.problems.append(f"{path / 'model.keras'}: is missing; {again}")
            if run.checkpoint() is None:
                findings.problems.append(f"{path / 'checkpoint'}: is empty; {again}")
        except InputError as error:
            if not (path / "config.json").is_file():
                raise
            findings.problems.append(str(error))
    report = checksums.megabytes(progress, models)
    for file in models:
        try:
            findings.add(file, checksums.check_archive(file, report), again)
        except OSError as error:
            findings.problems.append(f"{file}: {error.strerror}; {again}")
    return findings


def check_fits(model, store):
    """Refuse a store whose frames a model cannot take.

    Args:
        model: `DDR`.
        store: `FrameStore`.

    Raises:
        InputError: The frames have another shape.
    """
    if tuple(store.frame_shape) != tuple(model.image_shape):
        raise InputError(
            f"{store.path} holds frames of shape {tuple(store.frame_shape)}, but the "
            f"model takes {tuple(model.image_shape)}; give the store it was trained on "
            "or one of the same shape"
        )


class _Recorder(keras.callbacks.Callback):
    """Writes the history row, the checkpoint, model.keras and the picture.

    The history comes first and the checkpoint decides: rows after the checkpoint are
    dropped on resuming.
    """

    def __init__(self, run, store, step):
        super().__init__()
        self._run = run
        self._store = store
        self._step = step
        self._shown = None

    def on_epoch_begin(self, epoch, logs=None):
        self._began = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self._step += 1

    def on_epoch_end(self, epoch, logs=None):
        model, epoch = self.model, epoch + 1
        values = {name: float(value) for name, value in (logs or {}).items()}
        row = dict.fromkeys(COLUMNS)
        row.update({name: value for name, value in values.items() if name in row})
        row["epoch"], row["step"] = epoch, self._step
        rate = keras.ops.convert_to_numpy(model.optimizer.learning_rate)
        row["learning_rate"] = float(rate)
        row["seconds"] = round(time.perf_counter() - self._began, 3)
        if not math.isfinite(row["loss"]):
            raise InputError(
                f"{self._run.path}: the loss is {row['loss']} at step {self._step}; "
                "start again with a smaller learning rate (--lr)"
            )
        rows = [*self._run.history(), row]
        self._run._write_history(rows)
        checkpoint = self._run._save_checkpoint(model, epoch)
        self._run._publish_if_best(rows, checkpoint)
        self._picture(model)

    def _picture(self, model):
        from keras_ddr.visualization import plot_reconstruction, save_figure
        from keras_ddr.visualization.selection import pick_sequences

        if self._shown is None:
            number = model.frames_per_set
            split = "val" if self._store.select("val", number) else "train"
            self._shown = pick_sequences(
                self._store, _SAMPLE_SEQUENCES, split, min_length=number
            )
        figure = plot_reconstruction(model, self._store, self._shown, _SAMPLE_FRAMES)
        name = f"step-{self._step:06d}.png"
        save_figure(figure, self._run.path / "samples" / name)


def _plan(steps, save_every):
    """Epochs of equal length as pairs (number of epochs, steps of each)."""
    whole, rest = divmod(max(0, steps), save_every)
    return [pair for pair in ((whole, save_every), (1, rest)) if all(pair)]


def _new_model(arguments, training):
    model = DDR(**arguments)
    rate = training["learning_rate"]
    if training["schedule"] == "cosine":
        # Adam's first steps are too large for a high rate.
        warmup = min(_WARMUP, training["steps"] // 10)
        rate = keras.optimizers.schedules.CosineDecay(
            0.1 * rate,
            training["steps"] - warmup,
            warmup_target=rate,
            warmup_steps=warmup,
        )
    together = training["accumulate"]
    optimizer = keras.optimizers.Adam(
        rate,
        global_clipnorm=training["clipnorm"],
        gradient_accumulation_steps=together if together > 1 else None,
    )
    model.compile(optimizer=optimizer)
    return model


def _plain(model, arguments):
    """Arguments of the model as JSON holds them, with every default written out."""
    parameters = inspect.signature(DDR.__init__).parameters.values()
    defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
    plain = {**defaults, **arguments, "image_shape": list(model.image_shape)}
    if not isinstance(plain["likelihood"], str):
        plain["likelihood"] = keras.saving.serialize_keras_object(plain["likelihood"])
    return plain


def _training_settings(defaults, given, seed):
    return _checked_training(
        {**defaults, "save_every": 500, **_given(given), "seed": seed}
    )


def _checked_training(settings):
    settings = {"clipnorm": None, "accumulate": 1, **settings}
    for name in ("batch_size", "steps", "save_every", "accumulate"):
        value = settings[name]
        if not isinstance(value, int | np.integer) or not 1 <= value <= _MOST:
            raise InputError(
                f"{name}={value!r}; it must be an integer from 1 to {_MOST}"
            )
        settings[name] = int(value)
    rate = settings["learning_rate"]
    if not _is_number(rate) or not 0 < rate < math.inf:
        raise InputError(f"learning_rate={rate!r}; it must be a number above 0")
    clipnorm = settings["clipnorm"]
    if _is_number(clipnorm) and clipnorm == 0:
        clipnorm = None
    if clipnorm is not None and not (_is_number(clipnorm) and 0 < clipnorm < math.inf):
        raise InputError(f"clipnorm={clipnorm!r}; it must be a number above 0, or 0")
    settings["clipnorm"] = clipnorm
    if settings["schedule"] not in SCHEDULES:
        raise InputError(
            f"schedule={settings['schedule']!r}; use one of {', '.join(SCHEDULES)}"
        )
    seed = settings["seed"]
    if not isinstance(seed, int | np.integer) or seed < 0:
        raise InputError(f"seed={seed!r}; it must be an integer of at least 0")
    return settings


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_config(file, config):
    """Refuse what no run wrote into its config.json."""
    keys = ("format", "model", "training", "store")
    if not isinstance(config, dict) or not all(key in config for key in keys):
        raise InputError(
            f"{file} is not the config.json of a run; give the folder made by ddr fit "
            "--out"
        )
    if type(config["format"]) is not int or config["format"] < 1:
        raise InputError(f"{file} has the format {config['format']!r}; restore it")
    if config["format"] > FORMAT:
        raise InputError(
            f"{file} was written by a newer keras_ddr; update this one "
            f"(it is {__version__})"
        )
    for key in keys[1:]:
        if not isinstance(config[key], dict):
            raise InputError(f"{file} has no table {key!r}; restore it")
    try:
        _checked_training(config["training"])
    except KeyError as error:
        raise InputError(f"{file} lacks {error} for the training; restore it") from None
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    number = config["model"].get("frames_per_set")
    if type(number) is not int or number < 2:
        raise InputError(
            f"{file} has frames_per_set {str(number)[:40]}, but it is a whole number "
            "of at least 2; restore it"
        )
    if not isinstance(config["store"].get("path"), str):
        raise InputError(f"{file} does not say where the store is; restore it")


def _given(overrides):
    return {k: v for k, v in (overrides or {}).items() if v is not None}


def _change_steps(run, steps):
    training = run.config["training"]
    if steps is None or steps == training["steps"]:
        return
    if training["schedule"] != "constant":
        raise InputError(
            f"steps={steps}; {run.path} has a cosine schedule, which ends at step "
            f"{training['steps']}: start a new run for another number of steps"
        )
    done = run.history()[-1]["step"] if run.history() else 0
    if steps < max(1, done):
        raise InputError(f"steps={steps}; {run.path} is already at step {done}")
    training["steps"] = int(steps)
    run._write_config()


def _check_free(path, overwrite):
    if not path.exists() or (path.is_dir() and not any(path.iterdir())):
        return
    if not path.is_dir():
        raise InputError(f"{path} exists and is a file; choose another folder")
    if not (path / "config.json").is_file():
        raise InputError(f"{path} exists and is not a run; choose another folder")
    if not overwrite:
        raise InputError(
            f"{path} exists; go on with --resume, replace it with --overwrite, or "
            "choose another folder"
        )


def _remove(path):
    """Remove what a run writes, and nothing else that may lie there."""
    for folder in ("checkpoint", "samples"):
        if (path / folder).is_dir():
            shutil.rmtree(path / folder)
    for file in ("model.keras", "history.csv", "config.json"):
        (path / file).unlink(missing_ok=True)


def _opened(store):
    return store if isinstance(store, FrameStore) else FrameStore.open(store)


def _describe(store):
    return {
        "path": str(pathlib.Path(store.path).resolve()),
        "dataset": store.dataset,
        **_identity(store),
    }


def _identity(store):
    return {
        "sha256": store.meta.get("sha256"),
        "sequences": len(store),
        "frames": int(store.num_frames),
    }


def _same_store(run, store):
    wanted = run.config["store"]
    if store is None:
        if not pathlib.Path(wanted["path"]).exists():
            raise InputError(
                f"{wanted['path']}, the store of {run.path}, is not there; give its "
                "new place as STORE"
            )
        store = wanted["path"]
    store = _opened(store)
    for name, value in _identity(store).items():
        if value != wanted.get(name):
            raise InputError(
                f"{store.path} is not the store that {run.path} was started with: its "
                f"{name} is {value}, not {wanted.get(name)}; give that one, or start a "
                "new run"
            )
    return store


def _load(path):
    if not path.is_file():
        raise InputError(
            f"{path} does not exist as a file; give a run folder or a .keras file, or "
            "go on with ddr fit --resume"
        )
    check_model_file(path)
    try:
        model = keras.models.load_model(path, safe_mode=True)
    # Keras and its backends may raise anything on a broken file.
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(
            f"{path} cannot be loaded as a model: {reason[:300]}; restore it"
        ) from error
    return model


def _best(rows):
    rows = [row for row in rows if math.isfinite(row["val_loss"] or math.nan)]
    return min(rows, key=lambda row: row["val_loss"], default=None)


def _parse(row):
    if None in row or None in row.values():
        raise ValueError("a row has more or fewer cells than the header")
    parsed = {name: float(row[name]) if row[name] else None for name in COLUMNS}
    if parsed["loss"] is None:
        raise ValueError("an epoch without a loss")
    return {**parsed, "epoch": int(row["epoch"]), "step": int(row["step"])}


def _versions():
    versions = {"python": platform.python_version(), "keras_ddr": __version__}
    for package in ("keras", "numpy", keras.backend.backend()):
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return versions

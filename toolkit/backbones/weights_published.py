"""Finds the weights that Keras publishes: in Keras' cache, on an own mirror, on the public hub."""

import functools
import hashlib
import logging
import os
import urllib.parse
from pathlib import Path

from toolkit.backbones.entry import PublishedFile
from toolkit.backbones.weights_download import DownloadError, download
from toolkit.backbones.weights_errors import MIRROR_VARIABLE, WeightsNotFoundError
from toolkit.errors import OptionError

_logger = logging.getLogger("toolkit")
_HUB = "public hub"
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def keras_models_folder() -> Path:
    """The folder where Keras keeps the weights that it downloads; it need not exist."""
    keras_home = os.environ.get("KERAS_HOME")
    if keras_home is None:
        home = os.path.expanduser("~")
        # As Keras does for an account without a home.
        keras_home = os.path.join(home if os.access(home, os.W_OK) else "/tmp", ".keras")  # noqa: S108
    return Path(keras_home).expanduser().absolute() / "models"


def mirror_url(mirror: str | None = None) -> str | None:
    """The mirror's base URL without a slash at its end, or None when there is no mirror.

    Args:
        mirror: The option's value; without one, the environment variable
            `TOOLKIT_WEIGHTS_MIRROR` counts.

    Raises:
        OptionError: It is no `http://` or `https://` URL of a server.
    """
    url = mirror or os.environ.get(MIRROR_VARIABLE)
    if not url:
        return None
    try:
        parts = urllib.parse.urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and not parts.username
    except ValueError:
        usable = False
    if not usable:
        rule = "a base URL that begins with http:// or https:// and has no user name"
        raise OptionError(f"--weights-mirror or {MIRROR_VARIABLE}", rule, url)
    return url.rstrip("/")


def find_published(name: str, file: PublishedFile, mirror: str | None) -> tuple[str, Path]:
    """Find or download a published file; it is given only if it has its published hash.

    Args:
        name: The backbone's name, for messages.
        file: What Keras publishes: file name, URL, and hash where there is one.
        mirror: As `mirror_url` gives it.

    Returns:
        The place that had it ("Keras cache", "mirror URL", "public hub") and the file's path.

    Raises:
        WeightsNotFoundError: None of the places has it.
    """
    if file.hash is None:
        _logger.warning("Keras publishes no hash for %s: it is used unchecked", file.filename)
    target = keras_models_folder() / file.filename
    problem = _cache_problem(target, file.hash)
    if problem is None:
        return "Keras cache", target
    places = [f"Keras' cache {target.parent} ({problem})"]
    for server, url in _servers(file, mirror):
        try:
            download(url, target, verify=functools.partial(hash_problem, published=file.hash))
        except DownloadError as error:
            places.append(f"{server} ({error})")
            if server != _HUB:  # What the hub says is in the error that follows.
                _logger.warning(
                    "%s was not downloaded from the %s: %s", file.filename, server, error
                )
        else:
            return server, target
    raise WeightsNotFoundError(name, file.filename, places, target.parent)


def hash_problem(path: Path, published: str | None) -> str | None:
    """What tells a file from the published one, in a few words; None when it is that file.

    Args:
        path: The file.
        published: The published MD5 or SHA-256 as hex digits. Where there is none, the file must
            at least be an HDF5 file: a login page that answers in its place is common.

    Raises:
        OSError: The file cannot be read.
    """
    if published is None:
        with path.open("rb") as file:
            is_hdf5 = file.read(len(_HDF5_SIGNATURE)) == _HDF5_SIGNATURE
        return None if is_hdf5 else "it is no HDF5 file"
    algorithm = "md5" if len(published) == 32 else "sha256"
    found = digest(path, algorithm)
    if found == published:
        return None
    return f"its {algorithm.upper()} is {found}, published is {published}"


def digest(path: Path, algorithm: str) -> str:
    """A file's hash as hex digits, by an algorithm's name in `hashlib`."""
    # MD5 is what Keras publishes; machines that forbid it for security allow it said like this.
    start = functools.partial(hashlib.new, algorithm, usedforsecurity=False)
    with path.open("rb") as file:
        return hashlib.file_digest(file, start).hexdigest()


def _servers(file: PublishedFile, mirror: str | None) -> list[tuple[str, str]]:
    """The servers to ask, in order: what each is called, and the file's URL there."""
    hub = [(_HUB, file.url)]
    if mirror is None:
        return hub
    return [(f"mirror {mirror}", f"{mirror}/{urllib.parse.quote(file.filename)}"), *hub]


def _cache_problem(path: Path, published: str | None) -> str | None:
    if not path.is_file():
        return "no such file"
    try:
        problem = hash_problem(path, published)
    except OSError as error:
        problem = f"it cannot be read: {error.strerror}"
    if problem:
        _logger.warning("%s is not used: %s", path, problem)
    return problem

"""Downloads one file: whole and checked under its own name, or not at all."""

import contextlib
import http.client
import os
import queue
import threading
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

# For everything up to the first bytes of the answer: names, connection, encryption. Above the 5 s
# after which a resolver turns to the second name server; a mirror and the hub that both never
# answer cost twice this.
ANSWER_SECONDS = 8.0
# How long a server that has answered may pause.
READ_SECONDS = 10.0
_CHUNK_BYTES = 1 << 18


class DownloadError(Exception):
    """A file was not downloaded; the message is the reason, in a few words."""


def download(url: str, target: Path, *, verify: Callable[[Path], str | None]) -> None:
    """Download a file so that it is seen under its name only when it is complete and verified.

    The bytes go to a hidden file beside the target, which is renamed at the end: a process that
    is killed, or a second one that downloads the same file, leaves nothing half-written under the
    file's name. A progress bar is shown when standard error is a terminal.

    Args:
        url: An `http://` or `https://` URL. The system's proxy settings are honoured.
        target: The path to write, replaced if it exists. Its folder is made if it is missing.
        verify: Gives what is wrong with the file at a path, or None when it is right.

    Raises:
        DownloadError: There was no answer within 8 s, an error status, a pause of 10 s, a body
            that was cut short, a file that `verify` rejects, or the file could not be written.

    Example:
        >>> download("http://localhost:8000/a.h5", Path("a.h5"), verify=lambda path: None)
        ... # doctest: +SKIP
    """
    partial = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _stream(url, partial)
        if problem := verify(partial):
            raise DownloadError(problem)
        os.replace(partial, target)
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(_reason(error)) from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


def _reason(error: OSError | http.client.HTTPException) -> str:
    """A failure in the words of a user: no class names, and a path only where it is a local one."""
    if isinstance(error, urllib.error.HTTPError):
        return f"HTTP {error.code} {error.reason}"
    if isinstance(error, urllib.error.URLError):
        return getattr(error.reason, "strerror", None) or str(error.reason)
    if isinstance(error, TimeoutError):
        return f"nothing came for {READ_SECONDS:g} s"
    if isinstance(error, http.client.IncompleteRead):
        return "the body was cut short"
    return str(error) or type(error).__name__


def _stream(url: str, partial: Path) -> None:
    with _open(url) as response, partial.open("xb") as file:
        total = response.length
        with _progress_bar(url.rpartition("/")[2], total) as advance:
            while chunk := response.read(_CHUNK_BYTES):
                file.write(chunk)
                advance(len(chunk))
        received = file.tell()
    # http.client passes over a connection that ends early when it is read in parts.
    if total is not None and received != total:
        raise DownloadError(f"the body was cut short: {received} of {total} bytes came")


def _open(url: str) -> http.client.HTTPResponse:
    """Ask for a URL, and wait no longer than `ANSWER_SECONDS` for the answer.

    In a thread of its own, since name resolution has no time limit and a connection's limit
    counts for each of a server's addresses.
    """
    answers: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def ask() -> None:
        try:
            answers.put(urllib.request.urlopen(url, timeout=READ_SECONDS))  # noqa: S310 - http(s)
        except urllib.error.HTTPError as error:
            error.close()  # It is the answer too, and holds the connection.
            answers.put(error)
        except (OSError, http.client.HTTPException) as error:
            answers.put(error)

    threading.Thread(target=ask, daemon=True, name="download").start()
    try:
        answer = answers.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        raise DownloadError(f"no answer within {ANSWER_SECONDS:g} s") from None
    if isinstance(answer, BaseException):
        raise answer
    return answer


@contextlib.contextmanager
def _progress_bar(name: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Gives the function that moves the bar on by a number of bytes."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(name, total=total)
        yield lambda n_bytes: progress.advance(task, n_bytes)

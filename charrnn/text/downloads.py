"""Downloads a published file into a folder, completely and verified, or not at all.

path = fetch(Published("a/text.txt", "https://example.org/text.txt", num_bytes=1000, sha256=None), "cache")
"""

import hashlib
import http.client
import os
import queue
import ssl
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO
from urllib.parse import urlsplit

from charrnn.files import atomic

ANSWER_SECONDS = 6.0  # for all addresses of a host together; some systems try one after another without a network
STALL_SECONDS = 20.0  # longest pause within a download
READ_BYTES = 1 << 16


@dataclass(frozen=True)
class Published:
    """A published file and its known properties, which a download must match.

    Attributes:
        file_name: its path below a data folder.
        url: its https address.
        num_bytes: its size, or None if unknown.
        sha256: its checksum, hexadecimal, or None if unknown.
        most_bytes: the largest accepted size if `num_bytes` is unknown.
    """

    file_name: str
    url: str
    num_bytes: int | None
    sha256: str | None
    most_bytes: int = 100_000_000

    def difference(self, num_bytes: int, sha256: str) -> str | None:
        """Returns which property differs from the published one, "size" or "sha256"; None if none is known to."""
        if self.num_bytes not in (None, num_bytes):
            return "size"
        return "sha256" if self.sha256 not in (None, sha256) else None


class DownloadError(Exception):
    """The reason why a download failed, as a phrase."""


def fetch(published: Published, folder: str) -> str:
    """Downloads a file. Shows progress on standard error if that is a terminal.

    The file gets its name only after the last byte, if its size and checksum are right. Otherwise no file remains.

    Args:
        published: the file.
        folder: a local folder; created if it does not exist.

    Returns:
        The downloaded file's path.

    Raises:
        DownloadError: there is no connection, the address is not https, or the file differs from the published one.
        OSError: `folder` cannot be written to.
    """
    path = os.path.join(folder, published.file_name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with atomic.writing(path) as file:
        _receive(published, file)
    return path


def _receive(published: Published, file: BinaryIO) -> None:
    """Writes the download to `file`, up to its size or limit. Raises DownloadError if it differs."""
    digest, received = hashlib.sha256(), 0
    try:
        for block in _blocks(published):
            received += len(block)
            _require_room(published, received)
            digest.update(block)
            file.write(block)
            _show_progress(published, received)
    finally:
        _show("")
    difference = published.difference(received, digest.hexdigest())
    if difference == "size":
        raise DownloadError(f"it ended after {received:,} of {published.num_bytes:,} bytes")
    if difference == "sha256":
        raise DownloadError(f"its sha256 is {digest.hexdigest()}, not the published {published.sha256}")


def _require_room(published: Published, received: int) -> None:
    if published.num_bytes is None and received > published.most_bytes:
        raise DownloadError(f"it is larger than the {published.most_bytes:,} bytes allowed for it")
    if published.num_bytes is not None and received > published.num_bytes:
        raise DownloadError(f"it is larger than the published {published.num_bytes:,} bytes")


def _blocks(published: Published) -> Iterator[bytes]:
    try:
        with _open(published.url) as response:
            while block := response.read(READ_BYTES):
                yield block
            # To `read`, a broken connection looks like the end of the file. If the published size is unknown, only the
            # server's own size or its last chunk shows that the file is complete.
            if published.num_bytes is None and not response.chunked and response.length != 0:
                raise DownloadError("it ended without a sign that it is complete")
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error) if not isinstance(error, urllib.error.HTTPError) else error
        raise DownloadError(getattr(reason, "strerror", None) or str(reason) or type(reason).__name__) from error


def _open(url: str) -> http.client.HTTPResponse:
    """Connects in a separate thread, because the look-up of a host name has no timeout."""
    _require_https(url)
    https = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    opener = urllib.request.build_opener(https, _HttpsRedirects())
    answer: queue.SimpleQueue = queue.SimpleQueue()

    def connect() -> None:
        try:
            answer.put(opener.open(url, timeout=STALL_SECONDS))
        except Exception as error:
            answer.put(error)

    threading.Thread(target=connect, daemon=True).start()
    try:
        response = answer.get(timeout=ANSWER_SECONDS)
    except queue.Empty:
        raise TimeoutError(f"no answer within {ANSWER_SECONDS:g} seconds") from None
    if isinstance(response, Exception):
        raise response
    return response


class _HttpsRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to https only."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        """Returns the request for the new address. Raises DownloadError if that is not https."""
        _require_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_https(url: str) -> None:
    if urlsplit(url).scheme != "https":
        raise DownloadError(f"only https is allowed, which {url} is not")


def _show_progress(published: Published, received: int) -> None:
    if published.num_bytes is None:
        return _show(f"{published.file_name} {received:,} bytes")
    share = received / published.num_bytes
    bar = f"{'#' * int(20 * share):20}"
    _show(f"{published.file_name} [{bar}] {share:4.0%} of {published.num_bytes:,} bytes")


def _show(line: str) -> None:
    """Replaces the line that the terminal shows; an empty one clears it."""
    if sys.stderr.isatty():
        print(f"\r{line:78}", end="" if line else "\r", file=sys.stderr, flush=True)

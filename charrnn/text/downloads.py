"""Fetch one published file into a folder: whole and checked against what is known of it, or not at all."""

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

# Without a network some systems let each address of a host wait for its own time-out: this bounds them together.
ANSWER_SECONDS = 6.0
# How long a download that has begun may stand still.
STALL_SECONDS = 20.0
READ_BYTES = 1 << 16


@dataclass(frozen=True)
class Published:
    """What is known of a file as its publisher has it; a download must agree with all of that.

    Attributes:
        file_name: its name in a data folder, with "/" if it lies in a folder there.
        url: its https address.
        num_bytes: its size, or None where it is not known.
        sha256: its checksum, hexadecimal, or None where it is not known.
        most_bytes: a download whose size is not known is given up when it grows larger than this.
    """

    file_name: str
    url: str
    num_bytes: int | None
    sha256: str | None
    most_bytes: int = 100_000_000

    def difference(self, num_bytes: int, sha256: str) -> str | None:
        """In what a file of this size and checksum is known to be another: "size", "sha256" or nothing."""
        if self.num_bytes not in (None, num_bytes):
            return "size"
        return "sha256" if self.sha256 not in (None, sha256) else None


class DownloadError(Exception):
    """Why a file could not be fetched, as a phrase."""


def fetch(published: Published, folder: str) -> str:
    """Downloads a file into `folder`, a local one that is made if need be; returns the file's path.

    The file appears there under its name only when it is whole, and size and sha256 are right where they are known;
    else nothing is left behind. Progress is shown on standard error if that is a terminal.

    Raises:
        DownloadError: no connection, no https, or another file than the published one.
        OSError: `folder` cannot be written.
    """
    path = os.path.join(folder, published.file_name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with atomic.writing(path) as file:
        _receive(published, file)
    return path


def _receive(published: Published, file: BinaryIO) -> None:
    """Writes the download to `file`, never more than its size or limit; raises DownloadError if it differs."""
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
            # A connection that breaks looks like the end of the file to `read`. Where no published size tells them
            # apart, the server must have announced its own size, or the last of its chunks.
            if published.num_bytes is None and not response.chunked and response.length != 0:
                raise DownloadError("it ended without a sign that it is whole")
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error) if not isinstance(error, urllib.error.HTTPError) else error
        raise DownloadError(getattr(reason, "strerror", None) or str(reason) or type(reason).__name__) from error


def _open(url: str) -> http.client.HTTPResponse:
    """Connects in a thread of its own: looking up a host's name has no time-out that could be set."""
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
        """The request for the new address; raises DownloadError if that is not https."""
        _require_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _require_https(url: str) -> None:
    if urlsplit(url).scheme != "https":
        raise DownloadError(f"only https is allowed and {url} is not")


def _show_progress(published: Published, received: int) -> None:
    if published.num_bytes is None:
        return _show(f"{published.file_name} {received:,} bytes")
    share = received / published.num_bytes
    bar = f"{'#' * int(20 * share):20}"
    _show(f"{published.file_name} [{bar}] {share:4.0%} of {published.num_bytes:,} bytes")


def _show(line: str) -> None:
    """Puts `line` in the place of the one before; an empty one leaves it clean for whatever is printed next."""
    if sys.stderr.isatty():
        print(f"\r{line:78}", end="" if line else "\r", file=sys.stderr, flush=True)

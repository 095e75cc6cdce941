"""Tests finding, refusing, reading and splitting corpora, and downloads from a real https server on this machine."""

import errno
import hashlib
import http.server
import os
import socket
import ssl
import threading
import time
from fractions import Fraction

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from charrnn import command, encode
from charrnn.errors import UserError
from charrnn.files import atomic
from charrnn.text import corpora, downloads
from charrnn.text.corpora import Split, load, split
from charrnn.text.downloads import Published
from charrnn.text.plays import Plays
from charrnn.text.timetable import Timetable

TEXT = "First Citizen:\nBefore we proceed any further, hear me speak.\n" * 5000
DATA = TEXT.encode()
SIZE, SHA256 = len(DATA), hashlib.sha256(DATA).hexdigest()


class Answers(http.server.BaseHTTPRequestHandler):
    """A request handler that serves a good file and every kind of bad one."""

    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path.startswith("/to/"):
            return self.redirect(f"{self.path[4:]}")
        body = {"/good": DATA, "/changed": b"X" + DATA[1:], "/larger": DATA * 3, "/cut": DATA[:-9]}.get(self.path)
        if self.path in ("/told", "/broken"):
            body = DATA
        if self.path in ("/chunks", "/broken_chunks"):
            body = b"%x\r\n%b\r\n" % (len(DATA), DATA) + (b"0\r\n\r\n" if self.path == "/chunks" else b"")
        if body is None and self.path != "/endless":
            return self.send_error(404)
        self.send_response(200)
        if self.path in ("/told", "/broken"):
            self.send_header("Content-Length", str(len(body)))
        if self.path in ("/chunks", "/broken_chunks"):
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            self.wfile.write(body[:1000] if self.path == "/broken" else body or DATA)
            while self.path == "/endless":
                self.wfile.write(DATA)
                self.server.sent += len(DATA)
        except OSError:
            pass

    def redirect(self, kind):
        self.send_response(302)
        port = self.server.server_port
        self.send_header("Location", {"good": "/good"}.get(kind, f"{kind}://localhost:{port}/good"))
        self.end_headers()

    def log_message(self, *args):
        pass


@pytest.fixture(scope="module")
def authority():
    return trustme.CA()


@pytest.fixture(scope="module")
def server(authority):
    server = http.server.ThreadingHTTPServer(("localhost", 0), Answers)
    server.asked, server.sent = [], 0
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Hides this machine's own data from the tests. Returns the cache folder, which does not exist yet."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("CHARRNN_DATA_DIR", raising=False)
    monkeypatch.setenv("no_proxy", "localhost")
    monkeypatch.chdir(tmp_path)
    return tmp_path / "cache" / "charrnn"


@pytest.fixture
def publish(server, authority, tmp_path, monkeypatch):
    """Provides a function that registers the corpus `speech`, published at a path on the server or at another URL."""
    authority.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))

    def register(address, num_bytes=SIZE, sha256=SHA256, **limit):
        url = f"https://localhost:{server.server_port}{address}" if address.startswith("/") else address
        published = Published("texts/speech.txt", url, num_bytes, sha256, **limit)
        monkeypatch.setitem(corpora.PUBLISHED, "speech", published)

    server.asked.clear()
    return register


def files_under(folder):
    return [os.path.join(where, name) for where, _, names in os.walk(folder) for name in names]


def refusal(spec, **keywords):
    with pytest.raises(UserError) as raised:
        load(spec, log=lambda line: None, **keywords)
    message = str(raised.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("address", ["/good", "/to/good", "/to/https"])
def test_a_published_corpus_is_downloaded_once(publish, server, cache, address, capfd):
    publish(address)
    lines = []
    corpus = load("speech", log=lines.append)
    assert (corpus.name, corpus.content, corpus.entropy_rate) == ("speech", TEXT, None)
    assert corpus.sha256 == hashlib.sha256(DATA).hexdigest()
    assert files_under(cache) == [str(cache / "texts" / "speech.txt")]
    asked = len(server.asked)
    assert load("speech", as_bytes=True, log=lines.append).content == DATA
    assert len(server.asked) == asked
    assert len(lines) == 1
    assert "Downloading" in lines[0]
    assert capfd.readouterr().err == ""  # no progress bar without a terminal


@pytest.mark.parametrize(
    "address, reason",
    [
        ("/changed", "its sha256 is"),
        ("/larger", "larger than the published"),
        ("/cut", "it ended after"),
        ("/broken", "IncompleteRead|it ended after"),
        ("/missing", "404"),
        ("/to/http", "only https is allowed"),
        ("/to/ftp", "only https is allowed"),
        ("/to/file", "is not allowed"),
        ("http://localhost/good", "only https is allowed"),
    ],
)
def test_a_wrong_incomplete_or_insecure_download_is_refused_and_not_kept(publish, cache, address, reason):
    publish(address)
    message = refusal("speech")
    assert any(part in message for part in reason.split("|"))
    for way in ("--corpus=FILE", "CHARRNN_DATA_DIR", "texts/speech.txt", "--corpus=plays"):
        assert way in message
    assert files_under(cache) == []


def test_an_endless_download_is_stopped_at_the_published_size(publish, server, cache):
    publish("/endless")
    assert "larger than the published" in refusal("speech")
    assert server.sent < 40 * len(DATA)
    assert files_under(cache) == []


@pytest.mark.parametrize("address", ["/good", "/changed"])
def test_without_a_checksum_a_download_of_the_right_size_is_kept_and_trusted(publish, server, cache, address):
    publish(address, sha256=None)
    lines = []
    content = load("speech", log=lines.append).content
    assert content == (TEXT if address == "/good" else f"X{TEXT[1:]}")
    assert files_under(cache) == [str(cache / "texts" / "speech.txt")]
    assert load("speech", log=lines.append).content == content
    assert len(server.asked) == 1
    assert len(lines) == 1
    assert f"({len(DATA):,} bytes)" in lines[0]


@pytest.mark.parametrize("address, reason", [("/larger", "larger than the published"), ("/cut", "it ended after")])
def test_without_a_checksum_a_download_of_another_size_is_refused(publish, cache, address, reason):
    publish(address, sha256=None)
    assert reason in refusal("speech")
    assert files_under(cache) == []


def test_without_a_checksum_a_cached_file_of_another_size_is_downloaded_again(publish, cache):
    publish("/good", sha256=None)
    (cache / "texts").mkdir(parents=True)
    (cache / "texts" / "speech.txt").write_text("damaged")
    lines = []
    assert load("speech", log=lines.append).content == TEXT
    assert "downloaded again" in lines[0]


@pytest.mark.parametrize("address", ["/told", "/chunks"])
def test_a_download_of_unknown_size_may_be_as_large_as_its_limit(publish, server, cache, address):
    publish(address, num_bytes=None, sha256=None, most_bytes=len(DATA))
    lines = []
    for _ in range(2):
        assert load("speech", log=lines.append).content == TEXT
    assert len(server.asked) == 1
    assert len(lines) == 1
    assert "Downloading the corpus 'speech' from https://" in lines[0]
    publish(address, num_bytes=None, sha256=None, most_bytes=len(DATA) - 1)
    (cache / "texts" / "speech.txt").unlink()
    assert f"larger than the {len(DATA) - 1:,} bytes allowed" in refusal("speech")
    assert files_under(cache) == []


def test_a_checksum_is_checked_without_a_size_too(publish, cache):
    publish("/told", num_bytes=None)
    assert load("speech", log=lambda line: None).content == TEXT
    (cache / "texts" / "speech.txt").unlink()
    publish("/told", num_bytes=None, sha256="0" * 64)
    assert "its sha256 is" in refusal("speech")
    assert files_under(cache) == []


@pytest.mark.parametrize(
    "address, reason",
    [
        ("/broken", "without a sign that it is complete"),
        ("/good", "without a sign that it is complete"),
        ("/broken_chunks", "IncompleteRead"),
    ],
)
def test_a_download_of_unknown_size_must_show_that_it_is_complete(publish, cache, address, reason):
    publish(address, num_bytes=None, sha256=None)
    assert reason in refusal("speech")
    assert files_under(cache) == []


def test_an_endless_download_of_unknown_size_is_stopped_at_its_limit(publish, server, cache):
    publish("/endless", num_bytes=None, sha256=None, most_bytes=2 * len(DATA))
    before = server.sent
    assert "bytes allowed for it" in refusal("speech")
    assert server.sent - before < 40 * len(DATA)
    assert files_under(cache) == []


def test_a_server_without_a_trusted_certificate_is_refused(publish, cache, monkeypatch, tmp_path):
    publish("/good")
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
    assert "CERTIFICATE_VERIFY_FAILED" in refusal("speech")
    assert files_under(cache) == []


def test_without_a_network_the_error_names_three_alternatives(publish, cache):
    with socket.socket() as unused:
        unused.bind(("localhost", 0))
        publish(f"https://localhost:{unused.getsockname()[1]}/good")
        message = refusal("speech")
    assert "Connection refused" in message
    for way in ("--corpus=FILE", "CHARRNN_DATA_DIR", "--corpus=plays"):
        assert way in message
    assert files_under(cache) == []


def test_a_download_without_an_answer_times_out(publish, cache, monkeypatch):
    monkeypatch.setattr(downloads, "ANSWER_SECONDS", 0.2)
    with socket.create_server(("localhost", 0)) as silent:
        publish(f"https://localhost:{silent.getsockname()[1]}/good")
        start = time.monotonic()
        assert "no answer within 0.2 seconds" in refusal("speech")
        assert time.monotonic() - start < 30
    assert files_under(cache) == []


def test_an_interrupted_download_leaves_nothing(publish, cache, monkeypatch):
    publish("/good")

    def interrupt(published, received):
        raise KeyboardInterrupt

    monkeypatch.setattr(downloads, "_show_progress", interrupt)
    with pytest.raises(KeyboardInterrupt):
        load("speech", log=lambda line: None)
    assert files_under(cache) == []


@pytest.mark.parametrize(
    "address, known, progress",
    [
        ("/good", {}, "\rtexts/speech.txt [####"),
        ("/told", {"num_bytes": None, "sha256": None}, f"\rtexts/speech.txt {len(DATA):,} bytes "),
        ("/cut", {}, "\rtexts/speech.txt [####"),
    ],
)
def test_a_terminal_sees_progress_and_then_a_clean_line(publish, monkeypatch, capfd, address, known, progress):
    publish(address, **known)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    if address == "/cut":
        refusal("speech")
    else:
        load("speech", log=lambda line: None)
    shown = capfd.readouterr().err
    assert progress in shown
    assert shown.endswith(f"\r{' ' * 78}\r")


def test_a_cache_that_cannot_be_written_is_named_in_the_error(publish, cache):
    publish("/good")
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    message = refusal("speech")
    assert str(cache) in message
    assert "CHARRNN_DATA_DIR" in message


def test_a_download_to_a_full_disk_has_its_own_status(publish, monkeypatch, capsys):
    def fail(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    publish("/good")
    monkeypatch.setattr(atomic, "move", fail)
    assert command.run(encode.main, encode.FLAGS, ["encode", "speech", "--output=out"]) == command.NOT_WRITTEN
    assert "could not be written to the cache" in capsys.readouterr().err


def test_a_damaged_file_in_the_cache_is_downloaded_again(publish, cache):
    publish("/good")
    (cache / "texts").mkdir(parents=True)
    (cache / "texts" / "speech.txt").write_text("damaged")
    lines = []
    assert load("speech", log=lines.append).content == TEXT
    assert "downloaded again" in lines[0]
    assert (cache / "texts" / "speech.txt").read_bytes() == DATA


@pytest.mark.parametrize("content", [DATA, b"a stand-in"])
def test_the_data_folder_comes_first_and_may_hold_another_version(publish, server, tmp_path, monkeypatch, content):
    publish("/good")
    (tmp_path / "data" / "texts").mkdir(parents=True)
    (tmp_path / "data" / "texts" / "speech.txt").write_bytes(content)
    monkeypatch.setenv("CHARRNN_DATA_DIR", str(tmp_path / "data"))
    lines = []
    assert load("speech", log=lines.append).content == content.decode()
    assert server.asked == []
    assert len(lines) == (0 if content == DATA else 1)
    assert all("differs from the published file of the corpus 'speech' (by its sha256)" in line for line in lines)


@pytest.mark.parametrize(
    "known, content, line",
    [
        ({}, DATA, "no checksum of the published file of the corpus 'speech' is known"),
        ({}, b"X" + DATA[1:], "no checksum of the published file of the corpus 'speech' is known"),
        ({}, b"a stand-in", "differs from the published file of the corpus 'speech' (by its size)"),
        ({"num_bytes": None}, b"a stand-in", "no checksum of the published file of the corpus 'speech' is known"),
    ],
)
def test_a_missing_checksum_or_another_size_is_reported(publish, server, tmp_path, monkeypatch, known, content, line):
    publish("/good", sha256=None, **known)
    (tmp_path / "data" / "texts").mkdir(parents=True)
    (tmp_path / "data" / "texts" / "speech.txt").write_bytes(content)
    monkeypatch.setenv("CHARRNN_DATA_DIR", str(tmp_path / "data"))
    for spec in ("speech", "data/texts/speech.txt"):
        lines = []
        assert load(spec, log=lines.append).content == content.decode()
        assert len(lines) == 1
        assert line in lines[0]
    assert server.asked == []


@pytest.mark.parametrize("name", ["linux", "ag_news"])
def test_stand_ins_of_corpora_without_a_checksum_load_with_one_line(tmp_path, monkeypatch, name):
    published = corpora.PUBLISHED[name]
    path = tmp_path / published.file_name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * (published.num_bytes or 1000))
    monkeypatch.setenv("CHARRNN_DATA_DIR", str(tmp_path))
    lines = []
    load(name, log=lines.append)
    assert len(lines) == 1
    assert lines[0].startswith(f"{path} cannot be verified")


def test_a_data_folder_without_the_file_is_skipped_and_named_in_the_error(publish, tmp_path, monkeypatch):
    monkeypatch.setenv("CHARRNN_DATA_DIR", str(tmp_path / "nowhere"))
    publish("/good")
    assert load("speech", log=lambda line: None).content == TEXT
    publish("/missing")
    (tmp_path / "cache" / "charrnn" / "texts" / "speech.txt").unlink()
    assert f"CHARRNN_DATA_DIR, now '{tmp_path / 'nowhere'}'," in refusal("speech")


def test_a_given_file_of_a_published_name_is_compared(tmp_path):
    lines = []
    for name in ("shakespeare.txt", "myshakespeare.txt"):
        (tmp_path / name).write_text("Thou.")
        assert load(str(tmp_path / name), log=lines.append).content == "Thou."
    assert len(lines) == 1
    assert "differs from the published file" in lines[0]


def test_the_registered_corpora_have_valid_urls_sizes_and_checksums():
    assert corpora.registered_names() == sorted({"plays", "timetable", *corpora.PUBLISHED})
    for published in corpora.PUBLISHED.values():
        assert published.url.startswith("https://")
        assert published.sha256 is None or len(bytes.fromhex(published.sha256)) == 32
        assert published.num_bytes is None or published.num_bytes > 0
    assert {name: published.num_bytes for name, published in corpora.PUBLISHED.items()} == {
        "shakespeare": 1_115_394,
        "nietzsche": 600_901,
        "linux": 6_206_996,
        "ag_news": None,
    }
    assert [name for name, published in corpora.PUBLISHED.items() if not published.sha256] == ["linux", "ag_news"]


@pytest.mark.parametrize("name, source, seed", [("plays", Plays, 0), ("timetable", Timetable, 3)])
def test_a_built_in_corpus_has_the_text_and_entropy_rate_of_its_source(name, source, seed):
    corpus = load(f"{name}:5000")
    assert corpus.content == source().text(5000, seed)
    assert corpus.entropy_rate == source().entropy_rate
    assert type(corpora.source_of(f"{name}:5000")) is source
    assert corpus.sha256 == hashlib.sha256(corpus.content.encode()).hexdigest()
    assert load(f"{name}:5000", as_bytes=True).content == corpus.content.encode()
    assert len(load(name).content) == 1_000_000


@pytest.mark.slow
@pytest.mark.parametrize("name", ["plays", "timetable"])
def test_the_default_splits_cost_the_entropy_rate(name):
    """Otherwise a model could have a lower loss than the entropy rate only because its split is an easy one."""
    corpus = load(name)
    costs = -corpora.source_of(name).log_probs(corpus.content)
    parts = split(len(costs), 0.1, 0.0)
    for part in (parts.train, parts.validation):
        assert costs[part].mean() == pytest.approx(corpus.entropy_rate, abs=1e-3)


@pytest.mark.parametrize("name", ["plays", "timetable"])
@pytest.mark.parametrize("length", ["", "0", "-5", "many", "1e6", "²", "9" * 5000])
def test_built_in_corpora_of_an_invalid_length_are_refused(name, length):
    assert f"write {name}:NUM_CHARS with a whole number from 1 to" in refusal(f"{name}:{length}")


def test_text_is_read_as_it_is(tmp_path):
    data = "\ufeffnaïve\r\ntext\rwith\nall 🎭 line ends\u2028".encode()
    (tmp_path / "text").write_bytes(data)
    corpus = load("text")
    assert corpus.content == "naïve\r\ntext\rwith\nall 🎭 line ends\u2028"
    assert corpus.sha256 == hashlib.sha256(data).hexdigest()
    assert load("text", as_bytes=True).content == data


def test_a_glob_is_joined_in_the_order_of_paths(tmp_path):
    (tmp_path / "folder.txt").mkdir()
    for name, content in {"b.txt": "B", "a.txt": "\ufeffA\n", "B.txt": "", "c.text": "C", "[x].txt": "X"}.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    assert load("?.txt").content == "A\nB"
    assert load("?.txt").sha256 == hashlib.sha256("\ufeffA\nB".encode()).hexdigest()
    assert load(f"{tmp_path}/*.txt").content == "XA\nB"
    assert load("[x].txt").content == "X"  # the name of an existing file is not a glob


def test_registered_names_come_before_files(tmp_path):
    (tmp_path / "plays").write_text("my own")
    assert load("plays").content != "my own"
    assert load("./plays").content == "my own"


@pytest.mark.parametrize(
    "data, complaint",
    [
        (b"good\n\xe9 latin-1", "byte 0xe9 at offset 5"),
        (b"cut \xe2\x98", "byte 0xe2 at offset 4"),
        (b"\xed\xa0\x80", "byte 0xed at offset 0"),
        (b"ab\x00c", "NUL at offset 2"),
    ],
)
def test_a_text_that_is_not_utf8_is_refused_or_read_as_bytes(tmp_path, data, complaint):
    (tmp_path / "file").write_bytes(data)
    message = refusal("file")
    for part in (complaint, "'file'", "convert", "--set data.vocabulary=bytes"):
        assert part in message
    assert load("file", as_bytes=True).content == data


def test_empty_files_folders_and_unknown_names_are_refused(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "mark").write_bytes(b"\xef\xbb\xbf")
    (tmp_path / "folder").mkdir()
    assert "'empty' is empty" in refusal("empty")
    assert "'empty' is empty" in refusal("empty", as_bytes=True)
    assert "'mark' is empty" in refusal("mark")
    assert "'folder' is a directory without files" in refusal("folder")
    (tmp_path / "folder" / "one.txt").write_text("one")
    assert "folder/*.txt" in refusal("folder/")
    assert "nearest: shakespeare" in refusal("shakespere")
    assert "nearest: shakespeare" in refusal("shakespeare:100")
    for spec in ("", "nothing.txt", "no/*.txt", "folder*", "["):
        message = refusal(spec)
        assert "there are ag_news, linux, nietzsche, plays, shakespeare, timetable" in message
        assert repr(spec) in message
    assert "cannot be read" in refusal("nowhere://bucket/file")
    assert "without NUL" in refusal("a\0b")


def test_an_unreadable_file_is_named_in_the_error(tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("text")
    (tmp_path / "secret").chmod(0)
    root = os.geteuid() == 0  # root can read `secret`, so it needs another file
    spec, reason = ("/proc/self/mem", "Input/output error") if root else ("secret", "Permission denied")
    assert reason in refusal(spec) and spec in refusal(spec)


def test_tiny_shakespeare_is_split_at_ninety_percent():
    assert split(1_115_394, 0.1, 0.0) == Split(
        slice(0, 1_003_854), slice(1_003_854, 1_115_394), slice(1_115_394, 1_115_394)
    )


@given(st.integers(0, 10**12), st.integers(0, 999), st.integers(0, 999))
def test_parts_are_contiguous_and_exact(length, validation, test):
    if validation + test >= 1000:
        with pytest.raises(UserError):
            split(length, validation / 1000, test / 1000)
        return
    parts = split(length, validation / 1000, test / 1000)
    edges = [part.indices(length) for part in (parts.train, parts.validation, parts.test)]
    assert edges[0][0] == 0
    assert edges[0][1] == edges[1][0] == length * (1000 - validation - test) // 1000
    assert edges[1][1] == edges[2][0] == length - -(-length * test // 1000)
    assert edges[2][1] == length


def test_rounding_of_fractions_loses_no_character():
    for tenths in range(10):
        assert split(10, tenths / 10, 0.0).train.stop == 10 - tenths
        assert split(30, 0.0, tenths / 10).test.start == 30 - 3 * tenths
    assert split(7, 1 / 3, 1 / 3).train.stop == int(7 * (1 - 2 * Fraction(str(1 / 3))))


@pytest.mark.parametrize(
    "fractions", [(-0.1, 0), (1, 0), (0, 1.0), (0, -1e-9), (float("nan"), 0), (0, float("inf")), (0.5, 0.5)]
)
def test_invalid_split_fractions_are_refused(fractions):
    with pytest.raises(UserError, match=r"data\.(validation|test)_fraction is"):
        split(100, *fractions)

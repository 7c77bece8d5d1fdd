"""Published weights: where they are looked for, and downloads over real HTTP on loopback."""

import contextlib
import hashlib
import logging
import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pytest
from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

from toolkit.backbones import weights_download
from toolkit.backbones.entry import PublishedFile
from toolkit.backbones.weights import WeightsOrigin, available_offline, load_weights
from toolkit.backbones.weights_errors import WeightsNotFoundError
from toolkit.backbones.weights_published import mirror_url
from toolkit.errors import OptionError

FILENAME = "mobilenet_2_5_32_tf_no_top.h5"


def build_network():
    """A small published network behind a normalization of its own, as backbones are built."""
    inputs = keras.Input((32, 32, 3))
    return keras.applications.MobileNet(
        alpha=0.25,
        input_tensor=keras.layers.Rescaling(1 / 127.5, -1)(inputs),
        include_top=False,
        pooling="avg",
        weights=None,
    )


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """The bytes of a file in the published format, and the weights in it."""
    keras.utils.set_random_seed(1)
    network = keras.applications.MobileNet(
        (32, 32, 3), alpha=0.25, include_top=False, pooling="avg", weights=None
    )
    path = tmp_path_factory.mktemp("published") / FILENAME
    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, network)
    return path.read_bytes(), network.get_weights()


@pytest.fixture(scope="module")
def model():
    return build_network()


@pytest.fixture
def body(published):
    return published[0]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty cache of Keras, and no proxy between the test and loopback."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.delenv("TOOLKIT_WEIGHTS_MIRROR", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return tmp_path / "keras" / "models"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        name = self.path.rpartition("/")[2]
        if name not in self.server.files:
            self.send_error(404)
            return
        body = self.server.files[name]
        self.send_response(200)
        self.send_header("Content-Length", str(len(body) + self.server.missing_bytes))
        self.end_headers()
        self.wfile.write(body)
        self.server.body_sent.set()
        self.server.may_close.wait()

    def log_message(self, *arguments):
        pass


@contextlib.contextmanager
def serving(files, *, missing_bytes=0, closes=True):
    """A web server on loopback that holds files by name.

    It can announce more bytes than it sends, and keep the connection open after it sent them.
    """
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.files, server.requests, server.missing_bytes = files, [], missing_bytes
        server.body_sent, server.may_close = threading.Event(), threading.Event()
        if closes:
            server.may_close.set()
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.may_close.set()
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def nobody_listening():
    """The URL of a port that is taken, so that nothing else opens it, but refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextlib.contextmanager
def never_answering():
    """The URL of a server that accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def entry(body, hub, hash="md5"):
    """A backbone whose weights the hub at a URL publishes with the hash of these bytes."""
    digest = hash and hashlib.new(hash, body).hexdigest()
    file = PublishedFile(FILENAME, f"{hub}/keras/{FILENAME}", digest)
    return SimpleNamespace(name="mobilenet", weights_notop=file, weights_top=file)


def load(model, backbone, mirror=None):
    return load_weights(model, backbone, "imagenet", classification_layer=False, mirror=mirror)


def same_weights(model, published):
    pairs = zip(model.get_weights(), published[1], strict=True)
    return all(np.array_equal(ours, theirs) for ours, theirs in pairs)


def folder_is_empty(cache):
    return not cache.exists() or not list(cache.iterdir())


@pytest.mark.parametrize("hash", ["md5", "sha256"])
def test_the_mirror_gives_the_file_and_the_cache_keeps_it(published, body, cache, hash):
    model = build_network()
    assert not same_weights(model, published)
    sha256 = hashlib.sha256(body).hexdigest()
    with serving({FILENAME: body}) as mirror, serving({}) as hub:
        backbone = entry(body, hub.url, hash)
        assert available_offline(backbone) is None
        origin = load(model, backbone, mirror.url + "/")
        assert origin == WeightsOrigin(f"mirror {mirror.url}", str(cache / FILENAME), sha256)
        assert same_weights(model, published)
        assert mirror.requests == [f"/{FILENAME}"]
        assert hub.requests == []
        assert [path.name for path in cache.iterdir()] == [FILENAME]
        assert available_offline(backbone) == "cached"

        again = load(model, backbone, mirror.url)
        assert again == WeightsOrigin("Keras cache", str(cache / FILENAME), sha256)
        assert len(mirror.requests) == 1


def test_the_environment_names_the_mirror_and_the_option_goes_first(model, body, monkeypatch):
    with serving({FILENAME: body}) as named, serving({FILENAME: body}) as given:
        monkeypatch.setenv("TOOLKIT_WEIGHTS_MIRROR", named.url)
        backbone = entry(body, "http://127.0.0.1:9")
        origin = load(model, backbone)
        assert origin.source == f"mirror {named.url}"
        os.unlink(origin.path)
        assert load(model, backbone, given.url).source == f"mirror {given.url}"


def test_without_a_mirror_the_hub_is_asked(model, published, body):
    with serving({FILENAME: body}) as hub:
        assert load(model, entry(body, hub.url)).source == "public hub"
        assert hub.requests == [f"/keras/{FILENAME}"]
    assert same_weights(model, published)


@pytest.mark.parametrize(
    ("files", "missing_bytes", "problem"),
    [
        (lambda body: {}, 0, "HTTP 404"),
        (lambda body: {FILENAME: body[:-1] + b"?"}, 0, "its MD5 is "),
        (lambda body: {FILENAME: body[:-100]}, 100, "the body was cut short: "),
        (lambda body: {FILENAME: b""}, 0, "its MD5 is d41d8cd98f00b204e9800998ecf8427e"),
    ],
    ids=["404", "wrong hash", "truncated", "empty"],
)
def test_a_mirror_that_fails_is_reported_and_the_hub_is_asked(
    model, published, body, cache, caplog, files, missing_bytes, problem
):
    with (
        serving(files(body), missing_bytes=missing_bytes) as mirror,
        serving({FILENAME: body}) as hub,
    ):
        origin = load(model, entry(body, hub.url), mirror.url)
        assert origin.source == "public hub"
        assert len(mirror.requests) == 1
        assert f"{FILENAME} was not downloaded from the mirror {mirror.url}: {problem}" in (
            caplog.text
        )
    assert same_weights(model, published)
    assert [path.name for path in cache.iterdir()] == [FILENAME]


def test_a_mirror_that_nobody_listens_to_is_passed_over(model, body, caplog):
    with nobody_listening() as mirror, serving({FILENAME: body}) as hub:
        assert load(model, entry(body, hub.url), mirror).source == "public hub"
    assert "refused" in caplog.text


def test_without_network_and_cache_the_error_says_what_to_do(model, body, cache):
    with nobody_listening() as hub, serving({}) as mirror:
        with pytest.raises(WeightsNotFoundError) as raised:
            load(model, entry(body, hub), mirror.url)
        lines = str(raised.value).splitlines()
        assert len(lines) == 3
        assert "mobilenet" in lines[0]
        assert FILENAME in lines[0]
        assert f"Keras' cache {cache} (no such file)" in lines[1]
        assert f"mirror {mirror.url} (HTTP 404" in lines[1]
        assert "public hub (" in lines[1]
        assert "refused" in lines[1]
        for way in f"Copy the file to {cache}", "TOOLKIT_WEIGHTS_MIRROR", "--weights-mirror":
            assert way in lines[2]
        assert "efficientnet-lite0" in lines[2]
    assert folder_is_empty(cache)


def test_servers_that_never_answer_are_given_up(model, body, cache, monkeypatch):
    monkeypatch.setattr(weights_download, "ANSWER_SECONDS", 0.1)
    monkeypatch.setattr(weights_download, "READ_SECONDS", 0.3)
    with (
        never_answering() as mirror,
        never_answering() as hub,
        pytest.raises(WeightsNotFoundError, match=r"mirror .*no answer .*hub \(no answer"),
    ):
        load(model, entry(body, hub), mirror)
    assert folder_is_empty(cache)


def test_the_time_limits_leave_a_run_without_network_well_under_30_seconds():
    mirror_and_hub = 2
    assert mirror_and_hub * weights_download.ANSWER_SECONDS <= 20
    assert mirror_and_hub * weights_download.READ_SECONDS <= 20


def test_a_server_that_stops_in_the_middle_is_given_up(model, body, cache, monkeypatch):
    monkeypatch.setattr(weights_download, "READ_SECONDS", 0.1)
    with (
        serving({FILENAME: body[:1000]}, missing_bytes=1000, closes=False) as hub,
        pytest.raises(WeightsNotFoundError, match=r"nothing came for 0\.1 s"),
    ):
        load(model, entry(body, hub.url))
    assert folder_is_empty(cache)


def test_a_damaged_file_in_the_cache_is_named_and_replaced(model, published, body, cache, caplog):
    cache.mkdir(parents=True)
    (cache / FILENAME).write_bytes(body[:-1])
    with serving({FILENAME: body}) as hub:
        assert load(model, entry(body, hub.url)).source == "public hub"
    assert f"{cache / FILENAME} is not used: its MD5 is" in caplog.text
    assert (cache / FILENAME).read_bytes() == body
    assert same_weights(model, published)


def test_a_damaged_file_in_the_cache_is_not_used_and_stays_when_nothing_else_is_found(
    model, body, cache
):
    cache.mkdir(parents=True)
    (cache / FILENAME).write_bytes(b"damaged")
    before = model.get_weights()
    with (
        nobody_listening() as hub,
        pytest.raises(WeightsNotFoundError, match=r"cache .*\(its MD5 is .*hub"),
    ):
        load(model, entry(body, hub))
    assert [path.name for path in cache.iterdir()] == [FILENAME]
    assert all(map(np.array_equal, before, model.get_weights()))


def test_a_file_without_a_published_hash_is_used_and_said_so(model, published, body, caplog):
    with serving({FILENAME: body}) as hub:
        backbone = entry(body, hub.url, hash=None)
        for source in "public hub", "Keras cache":
            caplog.clear()
            assert load(model, backbone).source == source
            warnings = [r.message for r in caplog.records if r.levelno == logging.WARNING]
            assert warnings == [f"Keras publishes no hash for {FILENAME}: it is used unchecked"]
    assert same_weights(model, published)


def test_a_login_page_is_not_taken_for_weights(model, body, cache):
    with (
        serving({FILENAME: b"<html>Please log in</html>"}) as hub,
        pytest.raises(WeightsNotFoundError, match=r"hub \(it is no HDF5 file\)"),
    ):
        load(model, entry(body, hub.url, hash=None))
    assert folder_is_empty(cache)


def test_a_folder_that_cannot_be_written_is_named(model, body, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with serving({FILENAME: body}) as hub, pytest.raises(WeightsNotFoundError, match="Not a dir"):
        load(model, entry(body, hub.url))


@pytest.mark.parametrize(
    "url",
    [
        "ftp://files.example/keras",
        "file:///srv/keras",
        "files.example/keras",
        "http://",
        "http://[1",
        "https://ann:secret@files.example",
    ],
)
def test_a_mirror_that_is_no_http_url_is_refused(model, body, url, monkeypatch):
    with pytest.raises(OptionError, match="TOOLKIT_WEIGHTS_MIRROR must be a base URL"):
        load(model, entry(body, "http://127.0.0.1:9"), url)
    monkeypatch.setenv("TOOLKIT_WEIGHTS_MIRROR", url)
    with pytest.raises(OptionError, match="TOOLKIT_WEIGHTS_MIRROR must be a base URL"):
        mirror_url()


def test_an_empty_variable_is_no_mirror(monkeypatch):
    monkeypatch.setenv("TOOLKIT_WEIGHTS_MIRROR", "")
    assert mirror_url() is None
    assert mirror_url("https://files.example/keras/") == "https://files.example/keras"


def test_two_downloads_at_once_leave_one_whole_file(body, cache):
    together = threading.Barrier(2)
    problems = []

    def verify(path):
        together.wait(timeout=60)
        return None if path.read_bytes() == body else "differs"

    def run():
        try:
            weights_download.download(f"{hub.url}/{FILENAME}", cache / FILENAME, verify=verify)
        except weights_download.DownloadError as error:
            problems.append(str(error))

    with serving({FILENAME: body}) as hub:
        threads = [threading.Thread(target=run) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert problems == []
    assert [path.name for path in cache.iterdir()] == [FILENAME]
    assert (cache / FILENAME).read_bytes() == body


def test_a_download_that_is_killed_leaves_nothing_under_the_files_name(model, body, cache):
    program = (
        "import sys, pathlib; from toolkit.backbones.weights_download import download\n"
        "download(sys.argv[1], pathlib.Path(sys.argv[2]), verify=lambda path: None)"
    )
    with serving({FILENAME: body[:-1]}, missing_bytes=1, closes=False) as hub:
        url = f"{hub.url}/{FILENAME}"
        process = subprocess.Popen([sys.executable, "-c", program, url, str(cache / FILENAME)])
        assert hub.body_sent.wait(timeout=60)
        process.kill()
        process.wait()
    assert not (cache / FILENAME).exists()
    with serving({FILENAME: body}) as hub:
        assert load(model, entry(body, hub.url)).source == "public hub"
    assert (cache / FILENAME).read_bytes() == body


@pytest.mark.parametrize("terminal", [True, False])
def test_a_bar_is_shown_on_a_terminal_only(terminal, body, cache, monkeypatch, capsys):
    for name in "FORCE_COLOR", "TTY_COMPATIBLE":
        monkeypatch.delenv(name, raising=False)
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    with serving({FILENAME: body}) as hub:
        url = f"{hub.url}/{FILENAME}"
        weights_download.download(url, cache / FILENAME, verify=lambda path: None)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert (FILENAME[:12] in shown.err) == terminal
    assert ("0:00:00" in shown.err) == terminal


def test_finding_weights_needs_no_heavy_library():
    program = (
        "import sys, toolkit.backbones.weights\n"
        "print(*{'numpy', 'h5py', 'keras', 'tensorflow', 'rich'} & sys.modules.keys())"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.strip() == ""

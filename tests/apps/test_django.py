"""A Django 5 project with its admin on SQLite, as WSGI and as ASGI, through the real command by httpx."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.raw import Connection
from tests.support.server import Server, child_environment, running

httpx = pytest.importorskip("httpx")
pytest.importorskip("django", minversion="5.0")

HERE = Path(__file__).parent
LARGE = bytes(range(256)) * 4096 * 4  # 4 MiB
USER, PASSWORD = "admin", "correct horse"


def manage(environment: dict[str, str], *arguments: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "django", *arguments],
        cwd=HERE,
        check=True,
        timeout=120,
        capture_output=True,
        env=child_environment(environment) | {"PYTHONPATH": str(HERE)},
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A migrated database with one superuser; the value is the environment that names it."""
    files = tmp_path_factory.mktemp("django")
    (files / "large.bin").write_bytes(LARGE)
    environment = {"SITE_FILES": str(files), "DJANGO_SETTINGS_MODULE": "django_site.settings"}
    manage(environment, "migrate", "--verbosity", "0")
    user = {"DJANGO_SUPERUSER_USERNAME": USER, "DJANGO_SUPERUSER_EMAIL": "admin@test.example"}
    user["DJANGO_SUPERUSER_PASSWORD"] = PASSWORD
    manage(environment | user, "createsuperuser", "--noinput")
    return environment


@pytest.fixture(scope="module", params=["wsgi", "asgi"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def server(kind: str, site: dict[str, str]) -> Iterator[Server]:
    with running(f"django_site.{kind}:application", app_dir=HERE, environment=site) as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.origin, timeout=30, trust_env=False, follow_redirects=True) as client:
        yield client


@pytest.fixture
def token() -> str:
    return uuid.uuid4().hex


def form_token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found, page
    return found[1]


def log_in(client: httpx.Client) -> httpx.Response:
    page = client.get("/admin/login/?next=/admin/")
    return client.post(
        "/admin/login/?next=/admin/",
        data={"username": USER, "password": PASSWORD, "csrfmiddlewaretoken": form_token(page.text)},
    )


def test_interface_and_absolute_uri(client: httpx.Client, server: Server, kind: str) -> None:
    answer = client.get("/hello", params={"name": "Größe"})
    assert answer.text == f"Hello, Größe! ({kind}) {server.origin}/hello?name=Gr%C3%B6%C3%9Fe"


def test_host_that_is_not_allowed_is_400(client: httpx.Client) -> None:
    assert client.get("/hello", headers={"Host": "evil.example"}).status_code == 400


def test_missing_page_is_404(client: httpx.Client) -> None:
    assert client.get("/nothing/here").status_code == 404


def test_json(client: httpx.Client) -> None:
    assert client.put("/json", json={"a": [1, "ü"]}).json() == {"method": "PUT", "body": {"a": [1, "ü"]}}


def test_admin_asks_for_a_login(client: httpx.Client) -> None:
    answer = client.get("/admin/")
    assert answer.url.path == "/admin/login/"
    assert [hop.status_code for hop in answer.history] == [302]


def test_admin_login_logout(client: httpx.Client) -> None:
    answer = log_in(client)
    assert answer.status_code == 200
    assert answer.url.path == "/admin/"
    assert "Site administration" in answer.text
    assert client.cookies["sessionid"] and client.cookies["csrftoken"]
    answer = client.post("/admin/logout/", data={"csrfmiddlewaretoken": form_token(answer.text)})
    assert answer.status_code == 200
    assert "sessionid" not in client.cookies
    assert client.get("/admin/").url.path == "/admin/login/"


def test_admin_refuses_a_wrong_password(client: httpx.Client) -> None:
    page = client.get("/admin/login/")
    data = {"username": USER, "password": "wrong", "csrfmiddlewaretoken": form_token(page.text)}
    answer = client.post("/admin/login/", data=data)
    assert "Please enter the correct username and password" in answer.text
    assert "sessionid" not in client.cookies


def test_admin_login_without_the_csrf_cookie_is_403(client: httpx.Client) -> None:
    page = client.get("/admin/login/")
    client.cookies.clear()
    data = {"username": USER, "password": PASSWORD, "csrfmiddlewaretoken": form_token(page.text)}
    assert client.post("/admin/login/", data=data).status_code == 403


def test_admin_adds_a_row(client: httpx.Client, token: str) -> None:
    log_in(client)
    page = client.get("/admin/auth/group/add/")
    answer = client.post(
        "/admin/auth/group/add/",
        data={"name": f"Gruppe {token}", "csrfmiddlewaretoken": form_token(page.text), "_save": "Save"},
    )
    assert answer.url.path == "/admin/auth/group/"
    assert "was added successfully" in answer.text
    assert f"Gruppe {token}" in client.get("/admin/auth/group/").text


@pytest.mark.parametrize("size", [100, 4 * 1024 * 1024])
def test_form_upload(client: httpx.Client, size: int) -> None:
    csrf = client.get("/upload").text
    content = LARGE[:size]
    answer = client.post(
        "/upload", files={"file": ("a.bin", content)}, data={"comment": "schön", "csrfmiddlewaretoken": csrf}
    )
    assert answer.status_code == 200
    assert answer.json() == {
        "name": "a.bin",
        "size": size,
        "sha256": hashlib.sha256(content).hexdigest(),
        "comment": "schön",
        "spooled": size > 2_621_440,
    }


def test_form_upload_without_csrf_is_403_and_the_connection_lives(client: httpx.Client) -> None:
    answer = client.post("/upload", files={"file": ("a.bin", LARGE[:200_000])}, data={"comment": "x"})
    assert answer.status_code == 403
    assert client.get("/hello").status_code == 200


def test_streaming(client: httpx.Client) -> None:
    answer = client.get("/stream", params={"pieces": 1000})
    assert answer.headers["transfer-encoding"] == "chunked"
    assert answer.text == "".join(f"{number}\n" for number in range(1000))


def test_endless_stream_is_closed_when_the_client_leaves(server: Server, token: str, kind: str) -> None:
    if kind == "asgi":
        pytest.skip("Django under ASGI reads a plain generator to its end before it sends anything")
    with Connection(server.address) as connection:
        connection.request("GET", f"/endless/{token}")
        connection.read_until(b"tick\n")
    server.wait_for_log(f"note: endless {token} closed")


def test_file_response(client: httpx.Client) -> None:
    answer = client.get("/file")
    assert answer.headers["content-length"] == str(len(LARGE))
    assert answer.headers["content-disposition"] == 'attachment; filename="large.bin"'
    assert answer.content == LARGE


def test_file_response_head(server: Server) -> None:
    with Connection(server.address) as connection:
        answer = connection.ask("HEAD", "/file")
        assert answer.get("content-length") == str(len(LARGE)).encode()
        assert connection.ask("GET", "/hello").status == 200


def test_not_modified(client: httpx.Client) -> None:
    first = client.get("/hello")
    second = client.get("/hello", headers={"If-None-Match": first.headers["etag"]})
    assert (second.status_code, second.content) == (304, b"")
    assert client.get("/hello").text == first.text


def test_failure_is_500_and_logged(client: httpx.Client, server: Server, token: str) -> None:
    answer = client.get(f"/fail/{token}")
    assert answer.status_code == 500
    assert token not in answer.text
    server.wait_for_log(f"RuntimeError: failed {token}")
    assert client.get("/hello").status_code == 200


def test_async_view(client: httpx.Client) -> None:
    assert client.get("/async/gather").json() == {"squares": [0, 1, 4, 9, 16]}


def test_async_stream(client: httpx.Client) -> None:
    answer = client.get("/async/stream", params={"pieces": 200})
    assert answer.text == "".join(f"{number}\n" for number in range(200))


def test_async_endless_stream_is_closed_when_the_client_leaves(server: Server, token: str, kind: str) -> None:
    if kind == "wsgi":
        pytest.skip("Django under WSGI reads an asynchronous generator to its end before it sends anything")
    with Connection(server.address) as connection:
        connection.request("GET", f"/async/endless/{token}")
        connection.read_until(b"tick\n")
    server.wait_for_log(f"note: endless {token} closed")


def test_async_view_is_cancelled_when_the_client_leaves(server: Server, token: str, kind: str) -> None:
    if kind == "wsgi":
        pytest.skip("WSGI has no way to tell a view that its client left")
    with Connection(server.address) as connection:
        connection.request("GET", f"/async/wait/{token}")
        server.wait_for_log(f"note: wait {token} began")
    server.wait_for_log(f"note: wait {token} cancelled")

"""Views of the Django test project; what happens out of a client's sight is written to standard error."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time
from collections.abc import AsyncIterator, Iterator

from django.conf import settings
from django.core.files.uploadedfile import TemporaryUploadedFile
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.views.decorators.csrf import csrf_exempt


def note(text: str) -> None:
    """Tell the test, through the server's log."""
    print(f"note: {text}", file=sys.stderr, flush=True)


def hello(request: HttpRequest) -> HttpResponse:
    kind = "asgi" if hasattr(request, "scope") else "wsgi"
    return HttpResponse(
        f"Hello, {request.GET.get('name', 'world')}! ({kind}) {request.build_absolute_uri()}",
        content_type="text/plain; charset=utf-8",
    )


@csrf_exempt
def json_echo(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"method": request.method, "body": json.loads(request.body)})


def upload(request: HttpRequest) -> HttpResponse:
    """A form with a file, guarded by a CSRF token."""
    if request.method == "GET":
        return HttpResponse(get_token(request), content_type="text/plain")
    file = request.FILES["file"]
    digest = hashlib.sha256()
    for piece in file.chunks():
        digest.update(piece)
    return JsonResponse(
        {
            "name": file.name,
            "size": file.size,
            "sha256": digest.hexdigest(),
            "comment": request.POST["comment"],
            "spooled": isinstance(file, TemporaryUploadedFile),
        }
    )


def stream(request: HttpRequest) -> HttpResponse:
    pieces = int(request.GET["pieces"])
    return StreamingHttpResponse((b"%d\n" % number for number in range(pieces)), content_type="text/plain")


def endless(request: HttpRequest, token: str) -> HttpResponse:
    def body() -> Iterator[bytes]:
        try:
            while True:
                yield b"tick\n"
                time.sleep(0.01)
        finally:
            note(f"endless {token} closed")

    return StreamingHttpResponse(body(), content_type="text/plain")


def file(request: HttpRequest) -> HttpResponse:
    return FileResponse((settings.FILES / "large.bin").open("rb"), as_attachment=True)


def fail(request: HttpRequest, token: str) -> HttpResponse:
    raise RuntimeError(f"failed {token}")


async def async_gather(request: HttpRequest) -> HttpResponse:
    async def square(number: int) -> int:
        await asyncio.sleep(0)
        return number * number

    return JsonResponse({"squares": await asyncio.gather(*(square(number) for number in range(5)))})


async def async_stream(request: HttpRequest) -> HttpResponse:
    async def body() -> AsyncIterator[bytes]:
        for number in range(int(request.GET["pieces"])):
            await asyncio.sleep(0)
            yield b"%d\n" % number

    return StreamingHttpResponse(body(), content_type="text/plain")


async def async_endless(request: HttpRequest, token: str) -> HttpResponse:
    async def body() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"tick\n"
                await asyncio.sleep(0.01)
        finally:
            note(f"endless {token} closed")

    return StreamingHttpResponse(body(), content_type="text/plain")


async def async_wait(request: HttpRequest, token: str) -> HttpResponse:
    """Django cancels the view when the client leaves."""
    note(f"wait {token} began")
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        note(f"wait {token} cancelled")
        raise
    return HttpResponse("never")

"""A Django application that tells in which thread its views run: ``application`` for ASGI."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="none", DATABASES={}, LOGGING_CONFIG=None)

seen: contextvars.ContextVar[str] = contextvars.ContextVar("seen", default="")
gate = threading.Event()
meeting = threading.Barrier(4)


def where(request: HttpRequest) -> JsonResponse:
    """Its thread, and what an earlier request has left in the context."""
    before = seen.get()
    seen.set("something")
    return JsonResponse({"thread": threading.get_native_id(), "before": before})


def slow(request: HttpRequest) -> JsonResponse:
    """Takes its time."""
    print("slow", flush=True)
    gate.wait(60)
    return JsonResponse({"thread": threading.get_native_id()})


def let_go(request: HttpRequest) -> JsonResponse:
    """Ends all slow ones."""
    gate.set()
    return JsonResponse({})


def meet(request: HttpRequest) -> JsonResponse:
    """Four at once, or none."""
    meeting.wait(60)
    return JsonResponse({"thread": threading.get_native_id()})


def fails(request: HttpRequest) -> JsonResponse:
    """A view with a fault."""
    raise LookupError(threading.get_native_id())


async def several(request: HttpRequest) -> JsonResponse:
    """The threads of synchronous calls in an asynchronous view, one after the other and at once."""
    identity = sync_to_async(threading.get_native_id)
    return JsonResponse(
        {"threads": [await identity(), await identity(), *await asyncio.gather(identity(), identity())]}
    )


async def _behind(request: HttpRequest) -> None:
    await asyncio.sleep(0.05)
    thread = await sync_to_async(threading.get_native_id)()
    print("behind", thread, flush=True)


tasks: list[asyncio.Task[None]] = []


async def leaves_a_task(request: HttpRequest) -> JsonResponse:
    """Answers while a task of its own goes on."""
    tasks.append(asyncio.create_task(_behind(request)))
    return JsonResponse({})


async def threads(request: HttpRequest) -> JsonResponse:
    """How many threads are kept or in use."""
    await asyncio.sleep(0)
    return JsonResponse({"names": [each.name for each in threading.enumerate()], "time": time.time()})


urlpatterns = [
    path("where", where),
    path("slow", slow),
    path("let-go", let_go),
    path("meet", meet),
    path("fails", fails),
    path("several", several),
    path("leaves-a-task", leaves_a_task),
    path("threads", threads),
]
application = get_asgi_application()

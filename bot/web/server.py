"""The local page: the same studio over HTTP, for the person at this machine. docs/web-api.md describes it."""

import base64
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
from aiohttp import web

from bot import answers, asks, controls, wording
from bot.admin import Actor, Admin
from bot.buttons import FILES, stored_file
from bot.commands import Ask, Imagine, read_command
from bot.errors import BadOption, CannotStart, Refused, Unavailable, Unknown
from bot.feed import Feed
from bot.jobs import Identity, Job, Person, Place
from bot.orders import Authority
from bot.privacy import Export
from bot.studio import Studio
from bot.web import documents
from bot.web.documents import Document, moment
from bot.web.guard import MAX_BODY_BYTES, add_headers, answer, guard, told
from bot.web.stream import Streams
from engine.catalogue import Catalogue
from engine.protocol import Ready

OPERATOR = Identity("web", "", "operator", "you")
HERE = Place("web", channel_id="page")
STATIC = Path(__file__).parent / "static"
HISTORY = 60  # jobs
MAX_KEY = 200  # characters
_DAY_SECONDS = 86_400
_ORDER = re.compile(r"\s*/limner-admin(?:\s+(.*))?\s*", re.DOTALL | re.IGNORECASE)


class Command(msgspec.Struct, frozen=True):
    text: str
    key: str | None = None


class Press(msgspec.Struct, frozen=True):
    index: int | None = None
    text: str = ""
    key: str | None = None


Body = TypeVar("Body", Command, Press)


class Site:
    """Everything the page asks for, answered for one person: the operator."""

    def __init__(
        self,
        studio: Studio,
        feed: Feed,
        admin: Admin,
        *,
        models: Catalogue,
        default_model: str,
        engine_ready: Callable[[], Ready | None],
        now_ms: Callable[[], int],
    ):
        self._studio, self._feed, self._models, self._default_model = studio, feed, models, default_model
        self._admin, self._engine_ready, self._now_ms = admin, engine_ready, now_ms
        self._known_person: Person | None = None
        self._streams = Streams(feed, self)

    def app(self, host: str = "127.0.0.1") -> web.Application:
        app = web.Application(middlewares=[guard(host)], client_max_size=MAX_BODY_BYTES)
        app.on_response_prepare.append(add_headers)
        app.on_shutdown.append(self._streams.end)
        app.add_routes(
            [
                web.get("/", self.page),
                web.get("/healthz", self.health),
                web.post("/api/commands", self.command),
                web.get("/api/jobs", self.jobs),
                web.get("/api/jobs/{job}", self.job),
                web.post("/api/jobs/{job}/{verb}", self.press),
                web.get("/api/quota", self.quota),
                web.get("/api/privacy/export", self.export),
                web.get("/api/models", self.models),
                web.get("/api/words", self.words),
                web.get("/api/events", self._streams.serve),
                web.get(r"/images/{job}/{index:\d{1,3}}.{kind:png|jpg|strip\.jpg}", self.image),
                web.get(r"/previews/{job}/{index:\d{1,3}}.jpg", self.preview),
                web.static("/static", STATIC),
            ]
        )
        return app

    async def page(self, request: web.Request) -> web.StreamResponse:
        return web.FileResponse(STATIC / "index.html")

    async def health(self, request: web.Request) -> web.Response:
        """503 while nothing could be accepted."""
        store = "ok"
        try:
            await self._studio.quota(await self._person())
        except Unavailable as error:
            store = error.reason
        state = {"status": "ok" if store == "ok" else "failing", "bot": "ok", "store": store, "engine": self.engine()}
        return answer(state, status=200 if store == "ok" else 503)

    async def command(self, request: web.Request) -> web.Response:
        body = await _read(request, Command)
        key = _key(request, body.key)
        if words := _ORDER.fullmatch(body.text):
            return await self._ordered(words[1] or "", key)
        match read_command(body.text):
            case Imagine() as asked:
                return await self._accepted(await self._studio.draw(await self._person(), HERE, asked, key=key))
            case Ask() as ask:
                return await self._asked(ask, key)

    async def _ordered(self, text: str, key: str) -> web.Response:
        """The answer to `/limner-admin …`, which the person at this machine gives as the operator."""
        actor = Actor(await self._person(), Authority.OPERATOR, HERE)
        found = await self._admin.administer(actor, text, key=key, when=moment)
        self._known_person = None  # an order may erase whoever gives it
        files = [{"name": name, "data": base64.b64encode(data).decode()} for name, data in found.files]
        return told("/limner-admin", found.text, files=files)

    async def _asked(self, ask: Ask, key: str) -> web.Response:
        """The answer to `/limner VERB …`: text, or the jobs it is about."""
        person = await self._person()
        answered = await asks.answer(self._studio, person, HERE, ask, when=moment)
        match answered:
            case Job():
                return await self._accepted([answered])
            case controls.Press():
                return await self._accepted(await self._studio.draw(person, HERE, answered, key=key))
            case Export():
                answered.file.close()  # the page fetches it by itself
                files = [{"name": wording.EXPORT_NAME, "url": "/api/privacy/export"}]
                return told("/limner privacy export", answers.exported(answered), files=files)
        if ask.verb == "privacy":  # after an erasure they are somebody new
            self._known_person = None
        return told(f"/limner {ask.verb}", answered)

    async def jobs(self, request: web.Request) -> web.Response:
        person, root = await self._person(), request.query.get("thread")
        found = await self._studio.thread(person, root) if root else await self._studio.history(person, HISTORY)
        return answer({"jobs": await self._documents(found)})

    async def job(self, request: web.Request) -> web.Response:
        job = await self._studio.job(await self._person(), request.match_info["job"])
        return answer({"job": await self._document(job)})

    async def press(self, request: web.Request) -> web.Response:
        body = await _read(request, Press)
        person, job_id, verb = await self._person(), request.match_info["job"], request.match_info["verb"]
        index = body.index or 0
        match verb:
            case "cancel":
                return await self._accepted([await self._studio.cancel(person, job_id)])
            case "delete":
                return await self._accepted([await self._studio.delete(person, job_id, body.index)])
            case "info":
                return answer({"info": documents.info(await self._studio.info(person, job_id, index))})
            case "report":
                is_new = await self._studio.report(person, job_id, index)
                return told("Report", answers.reported(is_new))
            case "how" | "original":
                await self._file(job_id, index, kind := FILES[verb])
                return answer({"url": f"/images/{job_id}/{index}.{kind}"})
        press, key = controls.Press(verb, job_id, index, body.text), _key(request, body.key)
        return await self._accepted(await self._studio.draw(person, HERE, press, key=key))

    async def quota(self, request: web.Request) -> web.Response:
        return answer({"quota": await self.quota_now()})

    async def export(self, request: web.Request) -> web.Response:
        """All that is kept of the person, as a zip."""
        found = await self._studio.privacy.export(await self._person())
        name = f'attachment; filename="{wording.EXPORT_NAME}"'
        return web.Response(body=found.file, content_type="application/zip", headers={"Content-Disposition": name})

    async def models(self, request: web.Request) -> web.Response:
        ready = self._engine_ready()
        every = [documents.model(model, ready) for model in self._models.values()]
        return answer({"models": every, "default": self._default_model})

    async def words(self, request: web.Request) -> web.Response:
        parsed = partial(self._studio.parsed, defaults=await self._studio.defaults(await self._person()))
        return answer(documents.plan(request.query.get("text", ""), self._models, parsed))

    async def image(self, request: web.Request) -> web.StreamResponse:
        job_id, index, kind = (request.match_info[name] for name in ("job", "index", "kind"))
        file = await self._file(job_id, int(index), kind)
        how = "attachment" if "download" in request.query else "inline"
        name = wording.file_name(job_id, int(index), kind)
        return web.FileResponse(
            file,
            headers={
                "Content-Disposition": f'{how}; filename="{name}"',
                "Cache-Control": f"private, max-age={_DAY_SECONDS}, immutable",
            },
        )

    async def preview(self, request: web.Request) -> web.Response:
        job = await self._studio.job(await self._person(), request.match_info["job"])
        live = self._feed.live(job.id)
        jpeg = live.previews.get(int(request.match_info["index"])) if live else None
        if jpeg is None:
            raise Unknown(job.id)
        return web.Response(body=jpeg, content_type="image/jpeg", headers={"Cache-Control": "private, max-age=600"})

    async def _file(self, job_id: str, index: int, kind: str) -> Path:
        """Where the store says that the image is: nothing of a path comes from a request."""
        job = await self._studio.job(await self._person(), job_id)
        return stored_file(job, index, kind)

    async def state(self) -> Document:
        """All that a page needs to stand where the bot stands."""
        jobs = await self._studio.history(await self._person(), HISTORY)
        return {
            "now_ms": self._now_ms(),
            "jobs": await self._documents(jobs),
            "quota": await self.quota_now(),
            "engine": self.engine(),
        }

    async def changed(self, job_id: str) -> Document | None:
        """The job as it is now; None for a job of somebody else."""
        try:
            job = await self._studio.job(person := await self._person(), job_id)
        except Unknown:
            return None
        return await self._document(job) if job.person_id == person.id else None

    async def quota_now(self) -> Document:
        return documents.quota_view(await self._studio.quota(await self._person()))

    def engine(self) -> Document:
        return documents.engine(self._engine_ready())

    async def _person(self) -> Person:
        if self._known_person is None:
            self._known_person = await self._studio.person(OPERATOR)
        return self._known_person

    async def _accepted(self, jobs: list[Job]) -> web.Response:
        found = await self._documents(jobs)
        return answer({"job": found[0], "jobs": found})

    async def _documents(self, jobs: list[Job]) -> list[Document]:
        return [await self._document(job) for job in jobs]

    async def _document(self, job: Job) -> Document:
        parent = None
        if job.lineage:
            with suppress(Unknown):  # it is forgotten, or its person was erased
                parent = await self._studio.job(await self._person(), job.lineage.job_id)
        return documents.job(job, self._feed.live(job.id), parent)


class NotJson(Refused):
    code = "bad_request"


async def _read(request: web.Request, kind: type[Body]) -> Body:
    try:
        return msgspec.json.decode(await request.read(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise NotJson(f"the body is not what docs/web-api.md says: {error}") from None


def _key(request: web.Request, in_body: str | None) -> str:
    """What names this delivery: sent again with the same key, it is the same jobs."""
    key = request.headers.get("Idempotency-Key") or in_body or secrets.token_hex(12)
    if len(key) > MAX_KEY:
        raise BadOption("Idempotency-Key", "is too long", allowed=f"at most {MAX_KEY} characters")
    return key


async def serve(app: web.Application, *, host: str, port: int) -> tuple[web.AppRunner, int]:
    """Start to answer; gives the runner, whose `cleanup` ends it, and the port. Raises CannotStart if it is taken."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as error:
        await runner.cleanup()
        reason = error.strerror or str(error)
        raise CannotStart(
            f"The page cannot be served at {host}:{port} ({reason}): set LIMNER_WEB_PORT to a free port."
        ) from error
    return runner, runner.addresses[0][1]

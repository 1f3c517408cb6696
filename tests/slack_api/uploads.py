"""Files in three steps, their sharing that comes later, and what modals and the Home tab show."""

import asyncio
import json
import mimetypes
from typing import Any

from tests.discord_api.posts import picture_size
from tests.slack_api import rules
from tests.slack_api.chat import Chat, Request
from tests.slack_api.rules import Refusal
from tests.slack_api.things import PICTURE_KINDS_BY_MAGIC, Channel, File, Message, Trigger, User, View

TRIGGER_SECONDS, MOST_VIEWS = 3.0, 3


class Uploads(Chat):
    def __init__(self) -> None:
        self.processing_seconds = 0.05
        """How long after its completion a file is processed and shared."""
        self.refuses_files = False
        """The malware scan lets nothing through: completed files are never shared."""
        self._files_may_go_on = asyncio.Event()
        self._files_may_go_on.set()
        self._completed: set[str] = set()
        super().__init__()

    def hold_files(self) -> None:
        """Completed files are not processed until `release_files`."""
        self._files_may_go_on.clear()

    def release_files(self) -> None:
        self._files_may_go_on.set()

    def files_getUploadURLExternal(self, request: Request) -> dict[str, Any]:  # noqa: N802
        name, length = request.need("filename", "length")
        if not str(length).isdigit() or int(length) <= 0:
            raise Refusal("invalid_arguments", response_metadata={"messages": ["[ERROR] length must be > 0"]})
        alt = request.form.get("alt_txt")
        if alt is not None and len(alt) > 1000:
            raise Refusal("alt_txt_too_large")
        file = File(self.new_id("F"), name, int(length), self.bot.id, int(self.clock()), alt_txt=alt)
        file.url = f"{self.url_root}/files-pri/{self.team_id}-{file.id}/{name}"
        self.files[file.id] = file
        return {"upload_url": f"{self.url_root}/upload/v1/{file.id}", "file_id": file.id}

    def take_upload(self, request: Request, data: bytes) -> str:
        """The bytes of a file, to the URL that was given for them."""
        file = self.files.get(request.path.rpartition("/")[2])
        if file is None or file.state not in ("empty", "uploaded"):
            raise Refusal("upload_not_found", status=404)
        if len(data) != file.length:
            raise Refusal("upload_length_mismatch", status=400)
        file.data, file.state = data, "uploaded"
        self.touch()
        return f"OK - {len(data)}"

    def files_completeUploadExternal(self, request: Request) -> dict[str, Any]:  # noqa: N802
        form = request.form
        [wanted] = request.need("files")
        if not isinstance(wanted, list) or not wanted or not all(isinstance(one, dict) for one in wanted):
            raise Refusal("invalid_arguments")
        channels = [form["channel_id"]] if form.get("channel_id") else []
        channels += [one for one in str(form.get("channels") or "").split(",") if one]
        if form.get("thread_ts") and len(channels) != 1:
            raise Refusal("invalid_arguments")
        files = []
        for one in wanted:
            file = self.files.get(str(one.get("id")))
            if file is None or file.state != "uploaded":
                raise Refusal("file_not_found")
            files.append((file, one.get("title")))
        places = [self.place(channel) for channel in channels]
        if form.get("blocks"):
            rules.check_blocks(form["blocks"], self.slack_file)
        for file, title in files:
            file.state, file.title = "processing", title or ""
        self.go_on(self._process([file for file, _ in files], places, form))
        return {"files": [{"id": file.id, "title": file.title or file.name} for file, _ in files]}

    async def _process(self, files: list[File], places: list[Channel], form: dict[str, Any]) -> None:
        """Later, as Slack scans them first: what kind they are, then the message that shares them."""
        await asyncio.sleep(self.processing_seconds)
        await self._files_may_go_on.wait()
        if self.refuses_files:
            return
        for file in files:
            if file.state != "deleted":
                file.state = "processed"
                file.mimetype = kind_of(file)
                file.width, file.height = picture_size(file.data)
        there = [file for file in files if file.is_processed]
        for channel in places if there else ():
            comment = form.get("initial_comment")
            message = Message(self.new_ts(), channel, self.bot, fallback=comment or "", files=there)
            message.thread_ts = self._thread(channel, form.get("thread_ts"))
            if form.get("blocks") and not comment:
                message.blocks = rules.numbered(form["blocks"], lambda: self.new_id("b"))
            for file in there:
                self.share(file, message)
            self.show(message)
        self.touch()

    def _file(self, request: Request) -> File:
        [file_id] = request.need("file")
        file = self.files.get(file_id)
        if file is None or file.state in ("empty", "uploaded"):
            raise Refusal("file_not_found")
        if file.state == "deleted":
            raise Refusal("file_deleted")
        return file

    def files_info(self, request: Request) -> dict[str, Any]:
        return {"file": self._file(request).json(), "comments": [], "response_metadata": {"next_cursor": ""}}

    def files_delete(self, request: Request) -> dict[str, Any]:
        file = self._file(request)
        if file.user_id != self.bot.id:
            raise Refusal("cant_delete_file")
        self.delete_file(file)
        return {}

    # views

    def new_trigger(self, user: User, act: Any, view: View | None = None) -> str:
        trigger = Trigger(f"{self.new_id('')}.{self.new_id('')}.trigger", user, self.clock(), act, view)
        self.triggers[trigger.id] = trigger
        return trigger.id

    def _trigger(self, request: Request) -> Trigger:
        [trigger_id] = request.need("trigger_id")
        trigger = self.triggers.get(trigger_id)
        if trigger is None:
            raise Refusal("invalid_trigger_id")
        if trigger.is_used:
            raise Refusal("exchanged_trigger_id")
        if self.clock() > trigger.at + TRIGGER_SECONDS:
            raise Refusal("expired_trigger_id")
        return trigger

    def _view_form(self, request: Request, *, home: bool = False) -> dict[str, Any]:
        [view] = request.need("view")
        if isinstance(view, str):
            view = json.loads(view)
        rules.check_view(view, self.slack_file, home=home)
        blocks = rules.numbered(view["blocks"], lambda: self.new_id("b"))
        return view | {"blocks": blocks}

    def view_json(self, view: View) -> dict[str, Any]:
        return view.json(self.team_id, self.app_id, self.bot_id)

    def new_view(self, user: User, form: dict[str, Any], below: View | None = None) -> View:
        if form.get("external_id") and any(
            v.form.get("external_id") == form["external_id"] and v.is_open for v in self.views.values()
        ):
            raise Refusal("duplicate_external_id")
        view_id = self.new_id("V")
        root = below.root_id if below else view_id
        view = View(view_id, user, form, self.new_hash(), root, below.id if below else None)
        view.history.append(form)
        self.views[view_id] = view
        return view

    def new_hash(self) -> str:
        return f"{int(self.clock())}.{self.new_id('h')}"

    def views_open(self, request: Request) -> dict[str, Any]:
        trigger = self._trigger(request)
        form = self._view_form(request)
        view = self.new_view(trigger.user, form, trigger.view)
        trigger.is_used = True
        trigger.act.views.append(view)
        self.touch()
        return {"view": self.view_json(view)}

    def views_push(self, request: Request) -> dict[str, Any]:
        trigger = self._trigger(request)
        if trigger.view is None or not trigger.view.is_open:
            raise Refusal("invalid_trigger_id")
        form = self._view_form(request)
        if self.depth(trigger.view) >= MOST_VIEWS:
            raise Refusal("push_limit_reached")
        view = self.new_view(trigger.user, form, trigger.view)
        trigger.is_used = True
        trigger.act.views.append(view)
        self.touch()
        return {"view": self.view_json(view)}

    def depth(self, view: View) -> int:
        return 1 + (self.depth(self.views[view.previous_id]) if view.previous_id else 0)

    def change_view(self, view: View, form: dict[str, Any]) -> None:
        view.form, view.hash, view.errors = form, self.new_hash(), {}
        view.history.append(form)
        self.touch()

    def views_update(self, request: Request) -> dict[str, Any]:
        form, given = self._view_form(request), request.form
        if given.get("view_id"):
            view = self.views.get(given["view_id"])
        else:
            [external_id] = request.need("external_id")
            found = [v for v in self.views.values() if v.form.get("external_id") == external_id and v.is_open]
            view = found[0] if found else None
        if view is None or not view.is_open:
            raise Refusal("not_found")
        if given.get("hash") and given["hash"] != view.hash:
            raise Refusal("hash_conflict")
        self.change_view(view, form)
        return {"view": self.view_json(view)}

    def views_publish(self, request: Request) -> dict[str, Any]:
        [user_id] = request.need("user_id")
        form = self._view_form(request, home=True)
        user = self.users.get(user_id)
        if user is None or user.is_bot:
            raise Refusal("user_not_found")
        if not self.home_tab:
            raise Refusal("not_enabled")
        view = self.homes.get(user_id)
        if view is not None and request.form.get("hash") and request.form["hash"] != view.hash:
            raise Refusal("hash_conflict")
        if view is None:
            view = self.homes[user_id] = View(self.new_id("V"), user, form, self.new_hash(), "")
            view.root_id = view.id
            self.views[view.id] = view
        self.change_view(view, form)
        return {"view": self.view_json(view)}


def kind_of(file: File) -> str:
    """By its first bytes, as Slack looks; a name says the rest."""
    for magic, kind in PICTURE_KINDS_BY_MAGIC.items():
        if file.data.startswith(magic):
            return kind
    if file.data[:4] == b"RIFF" and file.data[8:12] == b"WEBP":
        return "image/webp"
    return mimetypes.guess_type(file.name)[0] or "application/octet-stream"

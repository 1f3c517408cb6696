"""A model hub on loopback: as much of its interface as bringing a repository takes."""

import hashlib
from pathlib import Path

from aiohttp import web

REVISION = "0123456789abcdef0123456789abcdef01234567"


class Hub:
    """Serves the folders of `repositories`, `{owner}/{name}` each; counts what was asked for."""

    def __init__(self, repositories: dict[str, Path]):
        self._repositories, self.asked = repositories, []

    def app(self) -> web.Application:
        app = web.Application()
        app.add_routes(
            [
                web.get("/api/models/{owner}/{name}", self.info),
                web.get("/api/models/{owner}/{name}/revision/{revision:.+}", self.info),
                web.get("/api/models/{owner}/{name}/tree/{revision}", self.tree),
                web.get("/api/models/{owner}/{name}/discussions", self.discussions),
                web.get("/{owner}/{name}/resolve/{revision}/{path:.+}", self.file),
            ]
        )
        return app

    def _folder(self, request: web.Request) -> Path:
        repository = "{owner}/{name}".format_map(request.match_info)
        if repository not in self._repositories:
            raise web.HTTPNotFound(headers={"X-Error-Code": "RepoNotFound"})
        return self._repositories[repository]

    def _files(self, request: web.Request) -> list[tuple[str, int]]:
        folder = self._folder(request)
        return [(str(f.relative_to(folder)), f.stat().st_size) for f in sorted(folder.rglob("*")) if f.is_file()]

    async def info(self, request: web.Request) -> web.Response:
        names = [{"rfilename": name} for name, _ in self._files(request)]
        return web.json_response({"id": "x/y", "sha": REVISION, "siblings": names})

    async def tree(self, request: web.Request) -> web.Response:
        entries = [{"type": "file", "path": name, "size": size, "oid": "0"} for name, size in self._files(request)]
        return web.json_response(entries)

    async def discussions(self, request: web.Request) -> web.Response:
        return web.json_response({"discussions": [], "count": 0, "start": 0})

    async def file(self, request: web.Request) -> web.Response:
        content = (self._folder(request) / request.match_info["path"]).read_bytes()
        self.asked.append((request.method, request.match_info["path"]))
        headers = {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": REVISION}
        return web.Response(body=content, headers=headers)

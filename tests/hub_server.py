# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""A Hub of one's own: enough of its HTTP interface to push, load and fail, on the loopback device.

Everything is uploaded as regular files; there is one user, whose token is `TOKEN`. Commits are kept whole in memory.
"""

import base64
import contextlib
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

USER, TOKEN = "your-name", "hf_" + "t" * 34
KINDS = ("model", "dataset", "space")


@dataclass
class Repository:
    """Branches and commits (hash -> files) of one repository, oldest commit first."""

    private: bool = False
    branches: dict[str, str] = field(default_factory=dict)
    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def commit(self, branch: str, files: dict[str, bytes]) -> str:
        name = hashlib.sha1(f"{branch} {len(self.commits)}".encode()).hexdigest()
        self.commits[name] = files
        self.branches[branch] = name
        return name

    def resolve(self, revision: str) -> str | None:
        revision = self.branches.get(revision, revision)
        return revision if revision in self.commits else None

    @property
    def files(self) -> dict[str, bytes]:
        """What the main branch holds."""
        return self.commits[self.branches["main"]]


class Hub(ThreadingHTTPServer):
    """The server; `with Hub() as hub:` runs it.

    Attributes:
        repositories: (kind, id) -> repository.
        requests: (method, path) of all requests, in order.
        drop: called with (method, path); the number of bytes after which the connection is cut, or None.
    """

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[tuple[str, str], Repository] = {}
        self.requests: list[tuple[str, str]] = []
        self.drop = lambda method, path: None
        self.lock = threading.RLock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def __enter__(self):
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.shutdown()
        self.server_close()

    def handle_error(self, request, client_address):
        """Cut connections are part of the tests."""

    def model(self, name: str) -> Repository:
        return self.repositories["model", name]

    def dataset(self, name: str) -> Repository:
        return self.repositories["dataset", name]


class _RefusedError(Exception):
    def __init__(self, status: int, code: str = "", message: str = "", commit: str = "", **further: object):
        self.status, self.code, self.message = status, code, message
        self.commit, self.further = commit, further


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or a body would wait 40 ms until its headers have been acknowledged
    server: Hub

    def log_message(self, *arguments):
        pass

    def do_GET(self):
        self._answer()

    do_HEAD = do_POST = do_DELETE = do_GET  # noqa: N815

    def _answer(self):
        self.server.requests.append((self.command, self.path))
        length = int(self.headers.get("Content-Length") or 0)
        cut = self.server.drop(self.command, self.path)
        if self.command == "POST" and cut is not None:
            self.rfile.read(min(cut, length))
            self.close_connection = True
            with contextlib.suppress(OSError):
                self.connection.shutdown(2)
            return
        body = self.rfile.read(length)
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        try:
            with self.server.lock:
                content, headers = self._content(body)
            status = 200
        except _RefusedError as refused:
            status, content = refused.status, json.dumps({"error": refused.message} | refused.further).encode()
            headers = {"X-Error-Code": refused.code, "X-Error-Message": refused.message}
            headers["X-Repo-Commit"] = refused.commit
        start = re.match(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if start and status == 200 and "ETag" in headers:
            whole, first = len(content), int(start[1])
            content, status = content[first:], 206
            headers["Content-Range"] = f"bytes {first}-{whole - 1}/{whole}"
        self.send_response(status)
        for name, value in ({"Content-Type": "application/json"} | headers).items():
            if value:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content if cut is None else content[:cut])
            if cut is not None and cut < len(content):
                self.close_connection = True
                self.wfile.flush()
                self.connection.shutdown(2)

    def _content(self, body: bytes) -> tuple[bytes, dict[str, str]]:
        path = unquote(urlsplit(self.path).path)
        if path == "/api/validate-yaml":
            problems = _problems_of_card(json.loads(body)["content"])
            if problems["errors"]:
                raise _RefusedError(400, message="Invalid metadata in README.md", **problems)
            return self._json(problems)
        if path == "/api/whoami-v2":
            self._need_token()
            return self._json({"name": USER, "type": "user", "orgs": []})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        kinds = "|".join(f"{kind}s" for kind in KINDS)
        found = re.fullmatch(rf"/api/({kinds})/([^/]+/[^/]+)(?:/([a-z-]+)(?:/(.*))?)?", path)
        if found:
            kind, name, action, rest = found[1][:-1], found[2], found[3] or "revision", found[4]
            return getattr(self, f"_{action.replace('-', '_')}")(kind, name, rest, body)
        found = re.fullmatch(r"/(?:(datasets|spaces)/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path)
        if found:
            return self._resolve((found[1] or "models")[:-1], *found.groups()[1:])
        raise _RefusedError(404, message=f"nothing at {path}")

    # ---- repositories

    def _create(self, asked: dict):
        self._need_token()
        kind = asked.get("type") or "model"
        name = f"{asked.get('organization') or USER}/{asked['name'].rpartition('/')[2]}"
        address = {"url": f"{self.server.url}/{'' if kind == 'model' else kind + 's/'}{name}", "name": name}
        if (kind, name) in self.server.repositories:
            raise _RefusedError(409, message="You already created this repository", **address)
        private = asked.get("visibility") == "private" or asked.get("private") is True
        repository = self.server.repositories[kind, name] = Repository(private)
        repository.commit("main", {".gitattributes": b""})
        return self._json(address)

    def _repository(self, kind: str, name: str, write: bool = False) -> Repository:
        repository = self.server.repositories.get((kind, name))
        if repository is None or (repository.private and not self._has_token()):
            raise _RefusedError(404 if self._has_token() else 401, "RepoNotFound", "Repository not found")
        if write:
            self._need_token()
        return repository

    def _at(self, kind: str, name: str, revision: str) -> tuple[str, dict[str, bytes]]:
        repository = self._repository(kind, name)
        commit = repository.resolve(revision)
        if commit is None:
            raise _RefusedError(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return commit, repository.commits[commit]

    def _revision(self, kind, name, revision, body):
        commit, files = self._at(kind, name, revision or "main")
        private = self.server.repositories[kind, name].private
        siblings = [{"rfilename": path} for path in files]
        return self._json({"id": name, "sha": commit, "private": private, "siblings": siblings, "tags": []})

    def _refs(self, kind, name, rest, body):
        branches = self._repository(kind, name).branches
        listed = [
            {"name": branch, "ref": f"refs/heads/{branch}", "targetCommit": sha} for branch, sha in branches.items()
        ]
        return self._json({"branches": listed, "converts": [], "tags": []})

    def _branch(self, kind, name, branch, body):
        repository = self._repository(kind, name, write=True)
        if branch in repository.branches:
            raise _RefusedError(409, message="Reference already exists")
        repository.branches[branch] = repository.branches["main"]
        return self._json({})

    # ---- uploads

    def _preupload(self, kind, name, revision, body):
        self._repository(kind, name, write=True)
        paths = [file["path"] for file in json.loads(body)["files"]]
        listed = [{"path": path, "uploadMode": "regular", "shouldIgnore": False} for path in paths]
        return self._json({"files": listed})

    def _commit(self, kind, name, revision, body):
        repository = self._repository(kind, name, write=True)
        _, files = self._at(kind, name, revision)
        files = dict(files)
        for line in body.decode().splitlines():
            entry = json.loads(line)
            if entry["key"] == "file":
                files[entry["value"]["path"]] = base64.b64decode(entry["value"]["content"])
            elif entry["key"] == "deletedFile":
                files.pop(entry["value"]["path"])
        commit = repository.commit(revision, files)
        return self._json({"commitUrl": f"{self.server.url}/{name}/commit/{commit}", "commitOid": commit})

    # ---- downloads

    def _tree(self, kind, name, rest, body):
        revision, _, folder = rest.partition("/")
        _, files = self._at(kind, name, revision)
        below = f"{folder}/" if folder else ""
        inside = {path: content for path, content in files.items() if path.startswith(below)}
        if folder and not inside:
            raise _RefusedError(404, "EntryNotFound", "Entry not found")
        if "true" not in (parse_qs(urlsplit(self.path).query).get("recursive", [""])[0]).lower():
            inside = {path: content for path, content in inside.items() if "/" not in path.removeprefix(below)}
            folders = {below + p.removeprefix(below).split("/")[0] for p in files if p.startswith(below)} - set(files)
        else:
            folders = {path[: place.start()] for path in inside for place in re.finditer("/", path)} - {folder}
        entries = [{"type": "directory", "path": path, "oid": "0" * 40} for path in sorted(folders)]
        return self._json(entries + [_file(path, content) for path, content in inside.items()])

    def _paths_info(self, kind, name, revision, body):
        _, files = self._at(kind, name, revision)
        if self.headers.get("Content-Type") == "application/json":
            paths = json.loads(body)["paths"]
        else:
            paths = parse_qs(body.decode())["paths"]
        entries = [_file(path, files[path]) for path in paths if path in files]
        for path in paths:
            if path not in files and any(each.startswith(f"{path.rstrip('/')}/") for each in files):
                entries.append({"type": "directory", "path": path, "oid": "0" * 40})
        return self._json(entries)

    def _resolve(self, kind, name, revision, path):
        commit, files = self._at(kind, name, revision)
        if path not in files:
            raise _RefusedError(404, "EntryNotFound", f"{path} is not there", commit)
        headers = {"ETag": f'"{_oid(files[path])}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        return files[path], headers | {"Content-Type": "application/octet-stream"}

    # ---- helpers

    def _has_token(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {TOKEN}"

    def _need_token(self):
        if not self._has_token():
            raise _RefusedError(401, message="Invalid username or password.")

    def _json(self, value) -> tuple[bytes, dict[str, str]]:
        return json.dumps(value).encode(), {}


def _oid(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def _file(path: str, content: bytes) -> dict:
    return {"type": "file", "path": path, "size": len(content), "oid": _oid(content)}


def _problems_of_card(card: str) -> dict:
    """What the Hub finds wrong with the metadata in front of a card, as far as is known here."""
    front = re.match(r"---\n(.*?)\n---\n", card, re.DOTALL)
    if front is None:
        return {"errors": [], "warnings": [{"message": "empty or missing yaml metadata in repo card"}]}
    data = yaml.safe_load(front[1])
    errors = []
    for name in ("license", "library_name", "pipeline_tag"):
        if data.get(name) is not None and not re.fullmatch(r"[a-z0-9.-]+", str(data[name])):
            errors.append(f'"{name}" must be an identifier')
    if not all(re.fullmatch(r"([\w.-]+/)?[\w.-]+", str(name)) for name in data.get("datasets") or ()):
        errors.append('"datasets" must be ids of data sets')
    for model in data.get("model-index") or ():
        for result in model["results"]:
            if not {"task", "dataset", "metrics"} <= set(result) or not {"name", "type"} <= set(result["dataset"]):
                errors.append('"model-index" results need a task, a dataset with name and type, and metrics')
    return {"errors": [{"message": error} for error in errors], "warnings": []}

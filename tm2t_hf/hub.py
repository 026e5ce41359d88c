# Copyright 2026 The tm2t_hf team.
# Licensed under the Apache License, Version 2.0.
"""Folders to the Hub: one commit per upload, in the background if wanted; what goes wrong is said in one sentence."""

import logging
import os
import shutil
import tempfile
from concurrent.futures import Future
from os import PathLike
from pathlib import Path

from huggingface_hub import HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, RepositoryNotFoundError
from huggingface_hub.utils import get_token, validate_repo_id

logger = logging.getLogger(__name__)

# What a training folder holds besides its model: states to resume from, where things are on this machine (the logs of
# TensorBoard say it, too), and what the model made at every validation.
NOT_UPLOADED = (
    *("last", "last.old", "checkpoint.*", "checkpoint-*"),
    *("train_config.json", "logs", "samples"),
    *(".*", "*.part", "__pycache__"),
)


class HubFolder:
    """Uploads of one local folder to one repository, which is made if it does not exist.

    Args:
        folder: what to upload; `NOT_UPLOADED` stays here.
        repo_id: `owner/name`, or `name` in the user's own namespace; the folder's name by default.
        private: whether a new repository is private; one that exists stays as it is.
        revision: branch to upload to, which is made if needed; the main one by default.
        repo_type: "model" or "dataset".

    Attributes:
        repo_id: `owner/name`.
        command: of `tm2t-hf` with what it uploads, to try again, for the message of an error.
        options: of that command, each with a space before it.

    Raises:
        ValueError: there is no token, it may not write there, the Hub cannot be reached, or the id is none.
    """

    def __init__(
        self,
        folder: str | PathLike,
        repo_id: str = "",
        private: bool = False,
        revision: str = "",
        repo_type: str = "model",
    ):
        self.folder, self.repo_type, self.revision = Path(folder), repo_type, revision or None
        self.repo_id = repo_id or self.folder.resolve().name
        self._api = HfApi(library_name="tm2t_hf")
        self.options = (" --private" if private else "") + (f" --revision {revision}" if revision else "")
        self.command = f"push {self.folder}"
        self._running: Future | None = None
        check_token(self.repo_id)
        try:
            validate_repo_id(self.repo_id)
            self.repo_id = self._api.create_repo(
                self.repo_id, private=private, repo_type=repo_type, exist_ok=True
            ).repo_id
            if self.revision:
                self._api.create_branch(self.repo_id, branch=self.revision, repo_type=repo_type, exist_ok=True)
        except Exception as error:  # whatever the network leads to
            raise ValueError(self._why_not(error)) from error

    def upload(self, message: str) -> str:
        """Upload the folder now, after what is under way; returns the address of the commit.

        Raises:
            ValueError: it did not work, and the repository is what it was before.
        """
        self.wait()
        with self._copy() as copy:
            return self._upload(copy, message)

    def upload_in_background(self, message: str) -> bool:
        """Begin to upload the folder as it is now; whatever becomes of it later does not matter.

        Returns:
            False if the last upload is still under way, and so nothing was begun. What goes wrong is logged.
        """
        if self._running is not None and not self._running.done():
            return False
        copy = self._copy()

        def run():
            with copy:
                try:
                    self._upload(copy.name, message)
                except ValueError as error:
                    logger.warning("%s The training goes on, and the next checkpoint is uploaded.", error)

        self._running = self._api.run_as_future(run)
        return True

    def wait(self) -> None:
        """Wait for an upload in the background."""
        if self._running is not None:
            self._running.result()

    def _copy(self) -> tempfile.TemporaryDirectory:
        """The folder as it is now, in hard links where the file system has them: files there are never changed."""
        copy = tempfile.TemporaryDirectory(dir=self.folder, prefix=".upload-")
        try:
            ignore = shutil.ignore_patterns(*NOT_UPLOADED)
            shutil.copytree(self.folder, copy.name, ignore=ignore, copy_function=_link, dirs_exist_ok=True)
        except BaseException:
            copy.cleanup()
            raise
        return copy

    def _upload(self, folder: str, message: str) -> str:
        try:
            return self._api.upload_folder(
                repo_id=self.repo_id,
                folder_path=folder,
                repo_type=self.repo_type,
                revision=self.revision,
                commit_message=message,
            ).commit_url
        except Exception as error:  # whatever the network leads to
            raise ValueError(self._why_not(error)) from error

    def _why_not(self, error: Exception) -> str:
        status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
        if isinstance(error, HFValidationError):
            reason = "the id of a repository is owner/name, of letters, digits, -, _ and ."
        elif isinstance(error, (LocalTokenNotFoundError, RepositoryNotFoundError)) or status in (401, 403):
            reason = "the token does not allow it; log in with `hf auth login` and a token that can write there"
        else:
            again = f"to try again, `tm2t-hf {self.command} {self.repo_id}{self.options}`"
            reason = f"{' '.join(str(error).split()).removesuffix('.') or type(error).__name__}; {again}"
        return f"{self.folder} could not be uploaded to {self.repo_id}: {reason}."


def check_token(repo_id: str) -> None:
    """Refuse an upload for which nobody is logged in, before anything is prepared for it.

    Raises:
        ValueError: there is no token.
    """
    if get_token() is None:
        raise ValueError(
            f"{repo_id} cannot be uploaded: there is no token for the Hub; log in with `hf auth login`, or "
            "set HF_TOKEN."
        )


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


__all__ = ["NOT_UPLOADED", "HubFolder", "check_token"]

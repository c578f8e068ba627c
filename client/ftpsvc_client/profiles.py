"""Saved servers, and the directory that `ftpsvc cd` set for each.

On the disk, all small files of `ftpsvc_client.smallfiles`:

    CONFIG/profiles/NAME.json     {"name": NAME, "server": URL}, and "user": NAME where one logged in
    CONFIG/default.json           {"profile": NAME}
    STATE/directories/KEY.json    {"server": URL or NAME, "directory": absolute remote path}

CONFIG and STATE are where the system keeps such things of a user (platformdirs).
"""

from __future__ import annotations

import os
from typing import NamedTuple

from ftpsvc.addresses import TCP, Address
from ftpsvc.exceptions import ConfigError, InvalidPath
from ftpsvc.paths import check_name, portability_problem, twin_key
from ftpsvc.text import quoted
from ftpsvc_client import smallfiles

_MAX_NAME = 64


def config_directory() -> str:
    """Returns where this user's settings are kept; it may not exist yet."""
    import platformdirs

    return platformdirs.user_config_dir("ftpsvc", appauthor=False)


def state_directory() -> str:
    """Returns where this user's memory (directories, history) is kept; it may not exist yet."""
    import platformdirs

    return platformdirs.user_state_dir("ftpsvc", appauthor=False)


class Profile(NamedTuple):
    """A saved server: its name here, its URL, and who logs in there; None where nobody says so."""

    name: str
    server: str
    user: str | None = None


class Target(NamedTuple):
    """The server that a command is for.

    Attributes:
        server: Its URL.
        profile: The profile that it comes from, or None.
        user: Who logs in there, as the profile says, or None.
    """

    server: str
    profile: str | None = None
    user: str | None = None


class Profiles:
    """The saved servers of this user. Names are compared without regard to case, as some file systems do."""

    def __init__(self, folder: str | None = None) -> None:
        """Looks into `folder`, by default `config_directory()`."""
        self._folder = config_directory() if folder is None else folder

    def add(self, name: str, server: str, *, user: str | None = None, replace: bool = False) -> bool:
        """Saves a server. The first one becomes the default.

        Returns:
            Whether it is the default now.

        Raises:
            ConfigError: The name or URL cannot be used, the name is taken and `replace` is False, or it cannot be
                written.
        """
        check_profile_name(name)
        address = str(Address.parse(server))
        if not replace and os.path.lexists(self._path(name)):
            raise ConfigError(f"there is a profile {quoted(name)} already", hint="--force replaces it")
        value = {"name": name, "server": address}
        if user is not None:
            value["user"] = user
        smallfiles.write(self._path(name), value)
        default = self.default_name()
        if default is None:
            self.use(name)
            default = name
        return twin_key(default) == twin_key(name)

    def get(self, name: str) -> Profile:
        """Returns a profile.

        Raises:
            ConfigError: There is none of that name, or its file is damaged.
        """
        check_profile_name(name)
        path = self._path(name)
        hint = f"`ftpsvc profile add --force {name} URL` writes it anew"
        value = smallfiles.read(path, hint=hint)
        if value is None:
            raise ConfigError(
                f"there is no profile {quoted(name)}",
                hint="`ftpsvc profile list` shows those that there are",
            )
        return Profile(
            smallfiles.text_field(value, "name", path, hint=hint),
            smallfiles.text_field(value, "server", path, hint=hint),
            smallfiles.text_field(value, "user", path, hint=hint) if "user" in value else None,
        )

    def remove(self, name: str) -> None:
        """Removes a profile; if it was the default there is none then.

        Raises:
            ConfigError: There is none of that name.
        """
        check_profile_name(name)
        if not smallfiles.remove(self._path(name)):
            raise ConfigError(
                f"there is no profile {quoted(name)}",
                hint="`ftpsvc profile list` shows those that there are",
            )
        default = self.default_name()
        if default is not None and twin_key(default) == twin_key(name):
            smallfiles.remove(self._default_path)

    def use(self, name: str) -> None:
        """Makes a profile the default.

        Raises:
            ConfigError: There is none of that name.
        """
        smallfiles.write(self._default_path, {"profile": self.get(name).name})

    def default(self) -> Profile | None:
        """Returns the default profile, or None.

        Raises:
            ConfigError: What says so is damaged, or names a profile that is gone.
        """
        name = self.default_name()
        return None if name is None else self.get(name)

    def names(self) -> list[str]:
        """Returns what the files say that there is, unread: for `all` and for completion."""
        try:
            found = os.listdir(os.path.join(self._folder, "profiles"))
        except OSError:
            return []
        return sorted(name.removesuffix(".json") for name in found if name.endswith(".json"))

    def all(self) -> tuple[list[Profile], list[ConfigError]]:
        """Returns all profiles by name, and what is wrong with those that cannot be read."""
        profiles: list[Profile] = []
        errors: list[ConfigError] = []
        for name in self.names():
            try:
                profiles.append(self.get(name))
            except ConfigError as error:
                errors.append(error)
        return profiles, errors

    @property
    def _default_path(self) -> str:
        return os.path.join(self._folder, "default.json")

    def _path(self, name: str) -> str:
        return os.path.join(self._folder, "profiles", twin_key(name) + ".json")

    def default_name(self) -> str | None:
        """Returns the name of the default profile, or None.

        Raises:
            ConfigError: What says so is damaged.
        """
        hint = "`ftpsvc profile use NAME` writes it anew"
        value = smallfiles.read(self._default_path, hint=hint)
        if value is None:
            return None
        return smallfiles.text_field(value, "profile", self._default_path, hint=hint)


class Directories:
    """The remote directory that `ftpsvc cd` set, for each profile, and for each URL that is no profile's."""

    _HINT = "`ftpsvc cd /` writes it anew"

    def __init__(self, folder: str | None = None) -> None:
        """Looks into `folder`, by default `state_directory()`."""
        self._folder = state_directory() if folder is None else folder

    def get(self, target: Target) -> str | None:
        """Returns the directory for a server, absolute, or None where none was set.

        Raises:
            ConfigError: The file is damaged.
        """
        path = self._path(target)
        value = smallfiles.read(path, hint=self._HINT)
        if value is None:
            return None
        directory = smallfiles.text_field(value, "directory", path, hint=self._HINT)
        if not directory.startswith("/"):
            raise ConfigError(f"{path} is damaged: its directory is not absolute", hint=self._HINT)
        return directory

    def set(self, target: Target, directory: str) -> None:
        """Remembers a directory for a server.

        Raises:
            ConfigError: It cannot be written.
        """
        smallfiles.write(
            self._path(target), {"server": target.profile or target.server, "directory": directory}
        )

    def forget(self, target: Target) -> None:
        """Remembers nothing for a server any more.

        Raises:
            ConfigError: It cannot be removed.
        """
        smallfiles.remove(self._path(target))

    def _path(self, target: Target) -> str:
        if target.profile is not None:
            key = f"profile-{twin_key(target.profile)}"
        else:
            import hashlib

            key = f"server-{hashlib.sha256(target.server.encode()).hexdigest()[:32]}"
        return os.path.join(self._folder, "directories", key + ".json")


def check_profile_name(name: str) -> None:
    """Refuses a name that cannot be that of a file on each system, or would be taken for a URL or an option.

    Raises:
        ConfigError: It is one.
    """
    try:
        problem = portability_problem(check_name(name))
    except InvalidPath as error:
        problem = error.reason
    if problem is None and len(name) > _MAX_NAME:
        problem = f"it is longer than {_MAX_NAME} characters"
    if problem is None and name[0] in "-.~ ":
        problem = f"it begins with {name[0]!r}"
    if problem is not None:
        raise ConfigError(f"{quoted(name[:_MAX_NAME])} is not a usable profile name: {problem}")


def choose(server: str | None, profiles: Profiles) -> Target:
    """Returns the server that is meant by `--server`, FTPSVC_SERVER or the default profile.

    Args:
        server: A URL, a profile's name, or None for the default profile.
        profiles: The saved servers.

    Raises:
        ConfigError: There is none, or it makes no sense.
    """
    if server is not None and "://" in server:
        return Target(str(Address.parse(server)))
    if server is not None and ":" in server:  # HOST:PORT is no profile's name
        raise ConfigError(f"{quoted(server)} is no URL", hint=f"a server is written like {TCP}://HOST:PORT")
    profile = profiles.default() if server is None else profiles.get(server)
    if profile is None:
        raise ConfigError(
            "no server given",
            hint="--server URL, or FTPSVC_SERVER=URL, or once `ftpsvc login URL` or `ftpsvc profile add NAME URL`",
        )
    return Target(str(Address.parse(profile.server)), profile.name, profile.user)

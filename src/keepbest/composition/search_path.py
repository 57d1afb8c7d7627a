"""Where configs are found: the user's `conf/` first, then keepbest's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.plugins import Plugins
from hydra.plugins.search_path_plugin import SearchPathPlugin

_PACKAGE = Path(__file__).resolve().parents[1]
USER_CONF = "conf"


def conf_dir() -> Path:
    """Return keepbest's own config directory: inside the installed package, or at the top of a checkout."""
    installed = _PACKAGE / "conf"
    return installed if installed.is_dir() else _PACKAGE.parents[1] / "conf"


class UserConf(SearchPathPlugin):
    """Puts `conf/` of the working directory first, so that its files add to keepbest's and replace them by name."""

    def manipulate_search_path(self, search_path: ConfigSearchPath) -> None:
        """Prepend the directory, where there is one."""
        directory = Path.cwd() / USER_CONF
        if directory.is_dir() and directory.resolve() != conf_dir():
            search_path.prepend(provider="user", path=f"file://{directory}")


@contextmanager
def user_conf_first() -> Iterator[None]:
    """Let the user's `conf/` come first for the duration of the block, and leave other Hydra apps untouched."""
    plugins = Plugins.instance()
    plugins.register(UserConf)
    try:
        yield
    finally:
        for registered in plugins.plugin_type_to_subclass_list.values():
            if UserConf in registered:
                registered.remove(UserConf)

"""Running the migrations that travel with the package."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

from booking_tasks.settings import load_settings


def migrations_folder() -> Path:
    """`migrations`: the copy inside the package when installed, the root folder in a checkout."""
    package = Path(__file__).parent.parent
    installed = package / "_migrations"
    return installed if installed.is_dir() else package.parent / "migrations"


def alembic_config() -> Config:
    """Alembic's configuration, without a file."""
    config = Config()
    config.set_main_option("script_location", str(migrations_folder()))
    config.set_main_option("path_separator", "os")
    return config


def migrate(url: str | None = None, revision: str = "head", *, sql: bool = False) -> None:
    """Bring a database up (or down, to an older `revision`); with `sql`, print the statements instead.

    Waits for its turn when another migrator is at work.
    """
    config = alembic_config()
    going_down = revision == "base" or revision.startswith("-")
    step = command.downgrade if going_down else command.upgrade
    if sql:
        step(config, f"head:{revision}" if going_down else revision, sql=True)
        return
    overrides = {} if url is None else {"database_url": url}
    engine = create_engine(load_settings(overrides).database_url)
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            step(config, revision)
    finally:
        engine.dispose()

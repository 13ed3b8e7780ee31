"""The build, as far as pyproject.toml cannot say it: the catalogues of sentences are compiled."""

from setuptools import setup
from setuptools.command.build import build


class Build(build):
    """Compiles `clients/locale/*/LC_MESSAGES/*.po` first, for wheels and editable installs alike."""

    sub_commands = [("compile_catalog", None), *build.sub_commands]  # noqa: RUF012 - setuptools' own


setup(
    cmdclass={"build": Build},
    options={"compile_catalog": {"domain": "connector", "directory": "clients/locale"}},
)

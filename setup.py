"""The build, as far as pyproject.toml cannot say it.

The catalogues of sentences are compiled, and the sandbox is left out of the wheel: it is for trials in a copy
of the repository, where an editable installation has it.
"""

from setuptools import setup
from setuptools.command.build import build
from setuptools.command.build_py import build_py


class Build(build):
    """Compiles `clients/locale/*/LC_MESSAGES/*.po` first, for wheels and editable installs alike."""

    sub_commands = [("compile_catalog", None), *build.sub_commands]  # noqa: RUF012 - setuptools' own


class BuildPy(build_py):
    """Packs what the product is made of."""

    def run(self) -> None:
        """Copy the packages."""
        if not self.editable_mode:
            self.packages = [name for name in self.packages if name.partition(".")[0] != "sandbox"]
        super().run()


setup(
    cmdclass={"build": Build, "build_py": BuildPy},
    options={"compile_catalog": {"domain": "connector", "directory": "clients/locale"}},
)

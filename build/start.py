"""Where the frozen program begins."""

from sungaze.frozen import begin

begin()

from sungaze.cli import main  # noqa: E402 - what is imported there must find the environment in order

main(prog_name="sungaze")

"""What stands before the first answer: imports."""

import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tempo_lib.bench.harness import Pair, Setting
from tempo_lib.bench.questions import FIRST, film_of

EAGER = "import torch, transformers, av\n"
HELP = "from tempo_lib.cli.app import run\nrun(['--help'])"
ASK = "import sys\nfrom tempo_lib.cli.app import run\nrun(['ask', *sys.argv[1:]])"
ALONE = (  # as a script does: its libraries are imported, then the way of the reference mode
    "import sys\nfrom pathlib import Path\nimport av, torch\n"
    "from transformers import AutoModel, AutoProcessor, AutoTokenizer\n"
    "from tempo_lib import Tempo\nfrom tempo_lib.bench import release\n"
    "from tempo_lib.checkpoints.folders import find_checkpoint\n"
    "model = Tempo.from_pretrained(find_checkpoint('tiny'))\n"
    "release.ask(model, Path(sys.argv[1]), sys.argv[2])"
)


def make(setting: Setting) -> Iterator[Pair]:
    """The reference of the help page imports the libraries first, as a script would."""
    sides = {"ours": partial(python, HELP), "reference": partial(python, EAGER + HELP)}
    yield Pair(label="help", sides=sides, warm=False)
    path = film_of(setting)
    sides = {
        "ours": partial(python, ASK, path, FIRST),
        "reference": partial(python, ALONE, path, FIRST),
    }
    yield Pair(label="ask", sides=sides, warm=False, rounds=2)


def python(program: str, *arguments: str | Path) -> None:
    """Run a program in a process of its own; its cost counts as a child's."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)

"""The scripts for Slurm: their shell, what they ask for, and a dry run on two CPU ranks."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest
from rank_jobs import ROOT

from tempo_lib.config import load_preset
from tests.training_samples import write_corpus

SCRIPTS = sorted((ROOT / "scripts").glob("*.sbatch"))
# srun starts its command once on each node, here all at once on this machine
SRUN = """#!/bin/bash
for ((node = 0; node < SLURM_JOB_NUM_NODES; node++)); do SLURM_NODEID=$node "$@" & jobs+=($!); done
for job in "${jobs[@]}"; do wait "$job" || exit 1; done
"""
SCONTROL = '#!/bin/bash\n[ "$*" = "show hostnames nodes[1-2]" ] && printf "localhost\\nother\\n"\n'
# what a rank says of itself before it trains
SITE = """import os, sys
if "LOCAL_RANK" in os.environ:
    sys.stderr.write(f"rank {os.environ['RANK']} of {os.environ['WORLD_SIZE']}\\n")
"""


def wanted(script, option):
    (found,) = re.findall(rf"^#SBATCH --{option}=(\S+)$", script.read_text(), re.MULTILINE)
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_sound_shell_and_stops_at_the_first_error(script):
    subprocess.run(["bash", "-n", script], check=True, timeout=20)
    assert "\nset -euo pipefail\n" in script.read_text()
    if checker := shutil.which("shellcheck"):
        subprocess.run([checker, script], check=True, timeout=60)


def test_the_scripts_ask_for_one_node_and_for_the_gpus_of_table_a():
    sizes = {
        script.stem: int(wanted(script, "nodes")) * int(wanted(script, "gpus-per-node"))
        for script in SCRIPTS
    }
    stages = load_preset("6b").training.stages.values()
    assert sizes == {"train_one_node": 8, "train_eight_nodes": max(s.num_gpus for s in stages)}
    assert all(wanted(script, "ntasks-per-node") == "1" for script in SCRIPTS)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "nodes"), [("train_one_node", 1), ("train_eight_nodes", 2)])
def test_a_dry_run_trains_on_two_ranks(name, nodes, make_tiny_tempo, tmp_path, repo_root):
    """Two ranks of one node, and one rank each of two nodes; writes ``slurm_dry_run.json``."""
    (tmp_path / "bin").mkdir()
    for command, text in (("srun", SRUN), ("scontrol", SCONTROL)):
        (tmp_path / "bin" / command).write_text(text)
        (tmp_path / "bin" / command).chmod(0o755)
    (tmp_path / "sitecustomize.py").write_text(SITE)
    manifest = write_corpus(tmp_path / "data")
    (tmp_path / "own.yaml").write_text(manifest.model_dump_json())
    make_tiny_tempo(seed=3).save_pretrained(tmp_path / "start")
    words = ["--stage", "1", "--manifest", "own.yaml", "--data", "data", "--out", "out"]
    words += ["--start", "start", "--work", "work", "--set", "training.stages.1.epochs=2"]
    settings = {
        "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": f"{tmp_path}:{ROOT}",
        "PYTHON": sys.executable,
        "GPUS_PER_NODE": str(2 // nodes),
        "OMP_NUM_THREADS": "1",
        "SLURM_JOB_ID": str(os.getpid()),
        "SLURM_JOB_NUM_NODES": str(nodes),
        "SLURM_JOB_NODELIST": "nodes[1-2]",
    }
    command = ["bash", str(ROOT / "scripts" / f"{name}.sbatch"), *words]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, **settings},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert sorted(set(re.findall(r"rank \d of \d", done.stderr))) == ["rank 0 of 2", "rank 1 of 2"]
    lines = (tmp_path / "out/losses.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert json.loads((tmp_path / "out/card.json").read_text())["steps"] == len(losses) == 2
    report = repo_root / "data_manifests" / "measurements" / "slurm_dry_run.json"
    found = json.loads(report.read_text()) if report.is_file() else {}
    found[name] = {"nodes": nodes, "ranks": 2, "steps": 2, "losses": losses}
    report.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n")

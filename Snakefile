"""One workflow: base models -> stages -> records -> tables, figures, claims.

    tempo reproduce                     wraps it: a plan with times, why jobs failed, the gallery
    snakemake --cores 2                 the same jobs alone;  --dry-run, --summary, --report as ever
    snakemake --executor slurm -j 10    on a cluster: needs that plugin, no other rule; what the
                                        plugin wants to know goes into a profile

What a job reads and leaves is worked out in tempo_lib/reproduce/workflow.py.
"""

import json
import sys

from tempo_lib.checkpoints.folders import BASE_MODELS, RERANKER, stage_names
from tempo_lib.reproduce.workflow import JOBS, PREDICTIONS, Workflow

flow = Workflow.from_config(config)
preset = flow.preset.name
python = f"{sys.executable} -m"
to_log = "> {log} 2>&1"

# Freed memory stays with a process, in pages of 2 MB: tensors come and go with every step and every
# answer, and fresh pages cost time. Names are those of glibc 2.35 and later; others ignore them.
MALLOC = {"hugetlb": 1, "mmap_threshold": 2**33, "trim_threshold": 2**33, "top_pad": 2**28}
tunables = ":".join(f"glibc.malloc.{name}={value}" for name, value in MALLOC.items())
# One thread per job, but for the stages: a second core runs a second job.
shell.prefix(
    f"export GLIBC_TUNABLES={tunables} MPLBACKEND=agg OMP_NUM_THREADS=1 MKL_NUM_THREADS=1; "
)
# Threads that wait asleep: beside other work, ones that spin made a step take eight times as long.
set_threads = "OMP_WAIT_POLICY=PASSIVE OMP_NUM_THREADS={threads} MKL_NUM_THREADS={threads}"


localrules:
    all,


rule all:
    input:
        flow.targets,


# Training is kept once it is finished, whatever else changed: hours are not used up by surprise. For
# another model delete its folder, or train it elsewhere (tempo train --work). What a stage waits for
# goes first, and of the rest the long before the short: short jobs fill what is left beside the last
# base model, before the stages take two cores each.
if flow.from_scratch:
    for base in (*BASE_MODELS, RERANKER):

        rule:
            name:
                base
            message:
                f"{base}: pre-train it, unless it is finished"
            input:  # the reranker goes on from the base compressor
                ancient(flow.part_files("base_compressor") if base == RERANKER else []),
            output:
                [update(file) for file in flow.part_files(base)],
            log:
                flow.log(base),
            benchmark:
                flow.benchmark(base)
            threads: 1
            priority: 350 if base == RERANKER else 500
            resources:
                mem_mb=8000,
                runtime=600,
            params:
                part=base,
            shell:
                f"{python} tempo_lib.miniature.pretrain {preset} {{params.part}} {to_log}"

    for number, stage in enumerate(stage_names(flow.preset)):
        before = BASE_MODELS if number == 0 else [stage_names(flow.preset)[number - 1]]

        rule:
            name:
                f"corpus-{number}"
            message:
                f"corpus-{number}: write the pictures and clips of {stage}"
            output:
                update(flow.corpus_file(stage)),
            log:
                flow.log(f"corpus-{number}"),
            benchmark:
                flow.benchmark(f"corpus-{number}")
            threads: 1
            priority: 310 - number
            resources:
                mem_mb=2000,
                runtime=120,
            params:
                part=stage,
            shell:
                f"{python} tempo_lib.miniature.pretrain {preset} {{params.part}} {to_log}"

        rule:
            name:
                stage
            message:
                f"{stage}: train it, unless it is finished"
            input:
                ancient([file for name in before for file in flow.part_files(name)]),
                ancient(flow.corpus_file(stage)),
            output:
                [update(file) for file in flow.part_files(stage)],
            log:
                flow.log(stage),
            benchmark:
                flow.benchmark(stage)
            threads: flow.threads(stage)
            priority: 400
            resources:
                mem_mb=8000,
                runtime=600,
            params:
                stage=stage.removeprefix("stage"),
            shell:
                f"{set_threads} {python} tempo_lib.cli train --preset {preset} "
                f"--stage {{params.stage}} {to_log}"


for rank, suite in enumerate(flow.suites):
    for job, part in flow.records_jobs(suite).items():

        rule:
            name:
                job
            message:
                f"{job}: evaluate every variant that a result needs"
            input:
                flow.records_inputs,
            output:
                touch(flow.marker(job)),
            log:
                flow.log(job),
            benchmark:
                flow.benchmark(job)
            priority: 100 - rank  # the longest first, or the last minutes would run on one core
            threads: 1
            resources:
                **flow.resources(mem_mb=6000, runtime=600),
            params:
                suite=suite,
                part=f" --part {part} --parts {flow.parts}" if flow.parts > 1 else "",
            shell:
                f"{python} {JOBS} records {preset} {{params.suite}}{{params.part}} "
                f"--num-questions {flow.num_questions} {to_log}"


rule:
    name:
        PREDICTIONS
    message:
        f"{PREDICTIONS}: answer questions about video files"
    input:
        flow.records_inputs,
    output:
        flow.shown(flow.predictions),
    log:
        flow.log(PREDICTIONS),
    benchmark:
        flow.benchmark(PREDICTIONS)
    threads: 1
    resources:
        **flow.resources(mem_mb=4000, runtime=60),
    shell:
        f"{python} {JOBS} {PREDICTIONS} {preset} --out {{output}} {to_log}"


for notebook in flow.notebooks:

    rule:
        name:
            notebook.name
        message:
            f"{notebook.name}: make {', '.join(notebook.made) or 'no result'}"
        input:
            flow.notebook_inputs(notebook),
        output:
            touch(flow.marker(notebook.name)),
            [
                report(update(file), category=notebook.name, labels={"file": file.split("/")[-1]})
                for file in flow.published(notebook)
            ],
        log:
            flow.log(notebook.name),
        benchmark:
            flow.benchmark(notebook.name)
        threads: 1
        resources:
            **flow.resources(mem_mb=6000, runtime=240),
        params:
            path=flow.shown(notebook.path),
            copies=flow.shown(flow.folder / "notebooks"),
            given=json.dumps(flow.parameters(notebook)),
            publish="--publish" if flow.shows(notebook) else "",
        shell:
            f"{python} tempo_lib.reproduce.notebooks {{params.path:q}} --to {{params.copies:q}} "
            f"--given {{params.given:q}} {{params.publish}} {to_log}"

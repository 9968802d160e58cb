"""One workflow: base models -> stages 0-3 -> records -> tables, figures, claims -> gallery.

    tempo reproduce                     wraps it: a plan with times, and what failed at the end
    snakemake --cores 2                 the same jobs without the plan
    snakemake --executor slurm -j 10    on a cluster: needs that plugin, no other rule; what the
                                        plugin wants to know goes into a profile

What a job reads is worked out in tempo_lib/workflow.py, what it does in workflow_jobs.py.
"""

from tempo_lib.reproduce.malloc import KEPT_MEMORY
from tempo_lib.reproduce.workflow import (
    BASES,
    CLIPS,
    GALLERY,
    RERANKER,
    THREADS,
    Workflow,
)

flow = Workflow.from_config(config)
job = flow.command  # a shell line is read when its job starts: what a loop gives goes through params

# One thread a job, but for what workflow.THREADS names: a second core runs a second job.
memory = " ".join(f"{name}={value}" for name, value in KEPT_MEMORY.items())
shell.prefix(f"export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 MPLBACKEND=agg {memory}; ")
set_threads = "OMP_NUM_THREADS={threads} MKL_NUM_THREADS={threads}"


localrules:
    all,


rule all:
    input:
        flow.receipt(GALLERY),


# Training is kept once it is finished, whatever else changed: hours are not spent by surprise.
# Who wants another model deletes its folder, or trains it elsewhere (tempo train --work).
# What a stage waits for goes first, and of the rest the long before the short: short jobs fill what
# is left beside the last base model, before the stages take two cores each.
if flow.from_scratch:
    for base in (*BASES, RERANKER):

        rule:
            name:
                base
            output:
                [update(file) for file in flow.part_files(base)],
            benchmark:
                flow.benchmark(base)
            threads: 1
            priority: 350 if base == RERANKER else 500
            resources:
                mem_mb=8000,
                runtime=600,
            params:
                name=base,
            shell:
                f"{job} base --name {{params.name}}"

    for stage in flow.preset.stages:
        before = BASES if stage == 0 else (f"stage{stage - 1}",)

        rule:
            name:
                f"corpus-{stage}"
            output:
                update(flow.corpus_file(stage)),
            benchmark:
                flow.benchmark(f"corpus-{stage}")
            threads: 1
            priority: 310 - stage
            resources:
                mem_mb=2000,
                runtime=120,
            params:
                name=stage,
            shell:
                f"{job} corpus --name {{params.name}}"

        rule:
            name:
                f"stage{stage}"
            input:
                ancient([file for name in before for file in flow.part_files(name)]),
                ancient(flow.corpus_file(stage)),
            output:
                [update(file) for file in flow.part_files(f"stage{stage}")],
            benchmark:
                flow.benchmark(f"stage{stage}")
            threads: THREADS.get(f"stage{stage}", 1)
            priority: 400
            resources:
                mem_mb=8000,
                runtime=600,
            params:
                name=stage,
            shell:
                f"{set_threads} {job} stage --name {{params.name}}"


for rank, suite in enumerate(flow.suites):

    rule:
        name:
            f"suite-{suite}"
        input:
            flow.suite_inputs(suite),
        output:
            flow.receipt(f"suite-{suite}"),
        benchmark:
            flow.benchmark(f"suite-{suite}")
        params:
            name=suite,
        priority: 110 - rank
        threads: 1
        resources:
            mem_mb=2000,
            runtime=120,
        shell:
            f"{job} suite --name {{params.name}}"

    rule:
        name:
            f"records-{suite}"
        input:
            flow.checkpoint,
            flow.receipt(f"suite-{suite}"),
            flow.records_inputs(suite),
        output:
            flow.receipt(f"records-{suite}"),
        benchmark:
            flow.benchmark(f"records-{suite}")
        params:
            name=suite,
        priority: 100 - rank  # the longest first, or the last hour would run on one core
        threads: 1
        resources:
            mem_mb=6000,
            runtime=600,
        shell:
            f"{job} records --name {{params.name}}"


rule:
    name:
        CLIPS
    input:
        flow.checkpoint,
        flow.code("tempo_lib.model.tempo", "tempo_lib.miniature.world.clips", "tempo_lib.miniature.world.questions"),
    output:
        flow.receipt(CLIPS),
    benchmark:
        flow.benchmark(CLIPS)
    threads: 1
    resources:
        mem_mb=4000,
        runtime=60,
    shell:
        f"{job} {CLIPS}"


for notebook in flow.notebooks:

    rule:
        name:
            notebook.name
        input:
            flow.notebook_inputs(notebook),
        output:
            flow.receipt(notebook.name),
            [update(file) for file in flow.published(notebook)],
        params:
            name=notebook.name,
            batch=repr(flow.parameters(notebook)),
        benchmark:
            flow.benchmark(notebook.name)
        threads: 1
        resources:
            mem_mb=6000,
            runtime=240,
        shell:
            f"{job} notebook --name {{params.name}}"


rule:
    name:
        GALLERY
    input:
        flow.gallery_inputs,
    output:
        flow.receipt(GALLERY),
    threads: 1
    resources:
        mem_mb=2000,
        runtime=20,
    shell:
        f"{job} {GALLERY}"

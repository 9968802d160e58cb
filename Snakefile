"""One workflow: base models -> stages 0-3 -> records -> tables, figures, claims -> gallery.

    tempo reproduce                     wraps it: a plan with times, and what failed at the end
    snakemake --cores 2                 the same jobs without the plan
    snakemake --executor slurm -j 10    on a cluster: needs that plugin, no other rule

What a job reads is worked out in tempo_lib/workflow.py, what it does in workflow_jobs.py.
"""

from tempo_lib.training.stages import STAGES
from tempo_lib.workflow import BASES, CLIPS, GALLERY, Workflow

flow = Workflow.from_config(config)
job = flow.command  # a shell line is read when its job starts: what a loop gives goes through params

# One thread a job: tiny kernels gain nothing from two, and a second core runs a second job.
shell.prefix("export OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 MPLBACKEND=agg; ")


localrules:
    all,


rule all:
    input:
        flow.receipt(GALLERY),


# Training is kept once it is finished, whatever else changed: hours are not spent by surprise.
# Who wants another model deletes its folder, or trains it elsewhere (tempo train --work).
if flow.from_scratch:

    rule bases:
        output:
            [update(file) for name in BASES for file in flow.part_files(name)],
        benchmark:
            flow.benchmark("bases")
        threads: 2  # two base models side by side
        resources:
            mem_mb=12000,
            runtime=600,
        shell:
            f"{job} bases"

    for stage in STAGES:
        before = BASES if stage == 0 else (f"stage{stage - 1}",)

        rule:
            name:
                f"stage{stage}"
            input:
                ancient([file for name in before for file in flow.part_files(name)]),
            output:
                [update(file) for file in flow.part_files(f"stage{stage}")],
            benchmark:
                flow.benchmark(f"stage{stage}")
            threads: 1
            resources:
                mem_mb=8000,
                runtime=600,
            params:
                name=stage,
            shell:
                f"{job} stage --name {{params.name}}"


for rank, suite in enumerate(flow.suites):

    rule:
        name:
            f"records-{suite}"
        input:
            flow.checkpoint,
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
        flow.code("tempo_lib.model", "tempo_lib.world.clips", "tempo_lib.world.questions"),
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
            batch=repr(notebook.batch_parameters(flow.preset.name, flow.num_questions)),
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

"""The example `client/examples/snakemake-logger-plugin-rungraph`: workflows of Snakemake as runs.

Snakemake brings about 50 packages, so it is not among the dependencies of the tests: where the program
`snakemake` is on the PATH, this file has tests."""

import asyncio
import shutil

from tests.client.conftest import CLIENT, Reader, Workspace

PLUGIN = CLIENT / "examples" / "snakemake-logger-plugin-rungraph"
SNAKEFILE = """
rule all:
    input: "sum.txt"

rule count:
    output: "count-{sample}.txt"
    log: "count-{sample}.log"
    threads: 1
    resources: mem_mb=10
    shell: "echo counting {wildcards.sample} > {log}; echo 3 > {output}"

rule total:
    input: expand("count-{sample}.txt", sample=["a", "b"])
    output: "sum.txt"
    retries: 2
    shell: "test -e tried || {{ touch tried; exit 3; }}; cat {input} > {output}"
"""
FAILING = """
rule fails:
    output: "never.txt"
    log: "fails.log"
    shell: "echo no space left > {log}; exit 7"
"""


PROGRAM = shutil.which("snakemake")


async def start(workspace: Workspace) -> asyncio.subprocess.Process:
    assert PROGRAM is not None
    return await asyncio.create_subprocess_exec(
        *(PROGRAM, "--cores", "2", "--logger", "rungraph"),
        cwd=workspace.folder,
        env={**workspace.environment, "PYTHONPATH": f"{CLIENT}:{PLUGIN}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )


if PROGRAM is not None:

    async def test_a_workflow_is_a_run_whose_jobs_are_actions(workspace: Workspace, reader: Reader) -> None:
        workspace.write(SNAKEFILE, "Snakefile")
        done = await workspace.finish(await start(workspace))
        assert done.code == 0, done.stderr
        run = await reader.run()
        assert run["phase"] == "SUCCEEDED"
        actions = {each["name"]: each for each in run["actions"]}
        root = next(each for each in run["actions"] if each["parentName"] is None)
        assert {name: each["phase"] for name, each in actions.items()} == dict.fromkeys(
            [root["name"], "count, sample=a", "count, sample=b", "total", "all"], "SUCCEEDED"
        )
        assert actions["total"]["attempts"] == 2
        assert (root["progress"]["done"], root["progress"]["total"]) == (4, 4)
        lines = await reader.lines(run["name"], "count, sample=a")
        assert lines == [("count-a.log", None, "counting a")]

    async def test_a_failed_job_fails_the_run_and_has_its_command(
        workspace: Workspace, reader: Reader
    ) -> None:
        workspace.write(FAILING, "Snakefile")
        done = await workspace.finish(await start(workspace))
        assert done.code == 1
        run = await reader.run()
        assert (run["phase"], run["error"]["summary"]) == ("FAILED", "1 of 1 jobs failed")
        assert "exit 7" in run["actions"].named("fails")["error"]["message"]
        assert await reader.lines(run["name"], "fails") == [("fails.log", None, "no space left")]

    async def test_an_abort_interrupts_the_workflow(workspace: Workspace, reader: Reader) -> None:
        workspace.write('rule slow:\n    output: "x"\n    shell: "sleep 60; touch x"', "Snakefile")
        process = await start(workspace)
        (run,) = await reader.until(lambda runs: runs and len(runs[0]["actions"]) > 1)
        await reader.abort(run["name"], "enough")
        done = await workspace.finish(process)
        assert done.code != 0
        assert done.seconds < 30
        (run,) = await reader.until(lambda runs: runs[0]["abort"]["state"] == "CONFIRMED")
        assert run["phase"] == "ABORTED"

"""Runs as tasks of Amazon ECS: dagster-aws's launcher, which counts once more before it starts a run, as on one machine.

A task takes half a minute to begin. It is for a team that runs everything there and gives each run a machine of its own size; a
cluster of workers answers people sooner.
"""

from dagster._core.launcher import LaunchRunContext
from dagster_aws.ecs import EcsRunLauncher

from carousel_pipeline.run_workers.launcher import may_start


class LimitedEcsRunLauncher(EcsRunLauncher):
    """`run_launcher` of carousel_pipeline/containers/ecs.yaml."""

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's task, or queue the run again where it would be one too many."""
        if may_start(self._instance, context.dagster_run):
            super().launch_run(context)

    @property
    def supports_resume_run(self) -> bool:
        """Never: a run that died is a new attempt with a new fence, not a continued one."""
        return False

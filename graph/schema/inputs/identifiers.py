"""The input that identifies a run."""

import strawberry

import repo
from graph.schema.fields import described


@strawberry.input(description="Identifies a run.")
class RunIdentifierInput:
    project: str = described("The project that the run belongs to.")
    domain: str = described("The domain within the project, such as production.")
    name: str = described("The name of the run, 1 to 255 printable characters.")

    def to_repo(self) -> repo.RunIdentifier:
        """The identifier. Raises InvalidArgument."""
        return repo.RunIdentifier(self.project, self.domain, self.name)

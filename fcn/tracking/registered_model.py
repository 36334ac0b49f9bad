"""One registered model of MLflow: its versions, aliases and tags."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fcn.tracking.connection import store_errors

if TYPE_CHECKING:
    from mlflow import MlflowClient


@dataclass(frozen=True)
class ModelVersion:
    """One version of a registered model."""

    number: str
    tags: Mapping[str, str]
    run: str | None
    """The run that made it, where the version says so."""
    logged_model: str | None
    """The id of the logged model that it was registered from."""


class RegisteredModel:
    """A registered model by its name. Every method raises `StoreError` where MLflow fails."""

    def __init__(self, client: "MlflowClient", name: str) -> None:
        """Keep MLflow's client and the name; no call is made yet."""
        self._client, self.name = client, name

    @store_errors()
    def versions(self) -> dict[str, ModelVersion]:
        """Return all versions by number, the oldest first."""
        versions = self._client.search_model_versions(f"name = '{self.name}'")
        return {
            str(version.version): ModelVersion(
                str(version.version), version.tags, version.run_id or None, version.model_id
            )
            for version in sorted(versions, key=lambda version: int(version.version))
        }

    @store_errors()
    def aliases(self) -> dict[str, str]:
        """Return the version of each alias; none where the model does not exist."""
        models = self._client.search_registered_models(f"name = '{self.name}'")
        aliases = models[0].aliases if models else {}
        return {alias: str(version) for alias, version in aliases.items()}

    @store_errors()
    def tags(self) -> dict[str, str]:
        """Return the tags of the registered model."""
        return dict(self._client.get_registered_model(self.name).tags)

    @store_errors()
    def register(self, logged_model: str, tags: Mapping[str, str]) -> str:
        """Make a version of a logged model; return its number."""
        import mlflow

        made = mlflow.register_model(f"models:/{logged_model}", self.name, tags=dict(tags))
        return str(made.version)

    @store_errors()
    def run_of(self, version: ModelVersion) -> str:
        """Return the run that made a version."""
        if version.run is None:
            return str(self._client.get_logged_model(str(version.logged_model)).source_run_id)
        return version.run

    @store_errors()
    def set_tag(self, name: str, value: str) -> None:
        """Set a tag of the registered model."""
        self._client.set_registered_model_tag(self.name, name, value)

    @store_errors()
    def set_version_tags(self, version: str, tags: Mapping[str, str]) -> None:
        """Set tags of a version."""
        for name, value in tags.items():
            self._client.set_model_version_tag(self.name, version, name, value)

    @store_errors()
    def delete_version_tag(self, version: str, name: str) -> None:
        """Delete a tag of a version."""
        self._client.delete_model_version_tag(self.name, version, name)

    @store_errors()
    def set_alias(self, alias: str, version: str) -> None:
        """Give an alias to a version; MLflow takes it from the version that had it."""
        self._client.set_registered_model_alias(self.name, alias, version)

    @store_errors()
    def delete_alias(self, alias: str) -> None:
        """Delete an alias."""
        self._client.delete_registered_model_alias(self.name, alias)

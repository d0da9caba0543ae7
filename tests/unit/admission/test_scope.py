"""Which namespaces are managed."""

from bridge import label_selectors
from bridge.admission import scope
from bridge.config import Settings
from tests.unit.admission.manifests import known


def test_by_name() -> None:
    """Without a selector the list of names decides, and no labels are needed."""
    pods = scope.Scope.from_settings(Settings(managed_namespaces=("team",)))
    assert pods.manages("team", known()) is True
    assert pods.manages("other", known()) is False


def test_a_selector_makes_the_list_of_names_void() -> None:
    """With a selector the names are ignored, as in the Go bridge."""
    settings = Settings(
        managed_namespaces=("team",),
        managed_namespace_selector={"matchLabels": {"slurm": "yes"}},
    )
    pods = scope.Scope.from_settings(settings)
    assert pods.manages("team", known(team={})) is False
    assert pods.manages("lab", known(lab={"slurm": "yes"})) is True


def test_the_empty_selector_is_every_namespace() -> None:
    """A selector without requirements selects all, known or not."""
    pods = scope.Scope.from_settings(Settings(managed_namespace_selector={}))
    assert pods.manages("brand-new", known()) is True


def test_nothing_is_managed_by_default() -> None:
    """Settings that name no namespace manage none."""
    assert scope.Scope.from_settings(Settings()).manages("team", known()) is False


def test_an_unknown_namespace_can_not_be_judged_by_a_selector() -> None:
    """Labels that are not known yet are neither a yes nor a no."""
    pods = scope.Scope(selector=label_selectors.parse({"matchLabels": {"slurm": "yes"}}))
    assert pods.manages("brand-new", known()) is None

"""What people read of the settings."""

from pathlib import Path

from bridge import config
from bridge.config import reference, tree

PAGE = Path(__file__).parents[3] / "docs" / "configuration.md"


def test_page_is_what_the_code_says() -> None:
    """docs/configuration.md is the output of `slurm-bridge config reference`."""
    assert PAGE.read_text() == reference.reference(), "run: make docs"


def test_reference_has_every_key_and_variable() -> None:
    """Every setting has its paragraph."""
    text = reference.reference()
    for setting in tree.settings():
        assert f"### `{setting.key}`\n" in text
        assert f"`{setting.variable}`" in text


def test_what_is_shown_can_be_loaded(tmp_path: Path) -> None:
    """`config show` prints a settings file that says the same."""
    environ = {
        "SLURM_BRIDGE_SLURM__ENDPOINTS": "http://a,http://b",
        "SLURM_BRIDGE_PARTITION": "no",
        "SLURM_BRIDGE_MANAGED_NAMESPACE_SELECTOR": "{matchLabels: {team: ml}}",
        "SLURM_BRIDGE_SLURM__USER": "a # b: 'c'",
    }
    first = config.load(None, environ=environ, overrides={})
    (tmp_path / "shown.yaml").write_text(reference.show(first))
    again = config.load(tmp_path / "shown.yaml", environ={}, overrides={})
    assert again.settings == first.settings


def test_shown_values_name_their_source() -> None:
    """Behind each value stands who said it, or that nobody did."""
    found = config.load(None, environ={"SLURM_JWT_FILE": "/token"}, overrides={"logLevel": "debug"})
    lines = reference.show(found).splitlines()
    assert "  tokenFile: /token  # environment SLURM_JWT_FILE" in lines
    assert "logLevel: debug  # --log-level" in lines
    assert "partition: slurm-bridge  # default" in lines

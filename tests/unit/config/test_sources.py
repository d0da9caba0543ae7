"""Where settings come from, and what is said of mistakes."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bridge import config
from bridge.config import sources, tree
from bridge.errors import ConfigError

GO_BRIDGE_FILE = """\
schedulerName: slurm-bridge-scheduler
slurmRestApi: http://slurm-restapi.slurm:6820
managedNamespaces:
  - slurm-bridge
managedNamespaceSelector:
  matchExpressions:
    - {key: slurm, operator: In, values: ["yes"]}
mcsLabel: kubernetes
partition: slurm-bridge
"""


def loaded(
    text: str = "",
    *,
    folder: Path,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> config.Loaded:
    """The settings of a file `bridge.yaml` with this text."""
    path = folder / "bridge.yaml"
    path.write_text(text)
    return config.load(path, environ=environ or {}, overrides=overrides or {})


def mistakes(
    text: str = "",
    *,
    folder: Path,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> list[str]:
    """The lines of the ConfigError, without the folder's name."""
    with pytest.raises(ConfigError) as caught:
        loaded(text, folder=folder, environ=environ, overrides=overrides)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def test_nothing_said_is_the_default() -> None:
    """Without file, variables and flags every setting has its default and no source."""
    found = config.load(None, environ={"PATH": "/bin"}, overrides={})
    assert found == config.Loaded(config.Settings(), {})


def test_environment_wins_over_file_and_flag_over_both(tmp_path: Path) -> None:
    """The precedence is file, environment, flag, each rising over the one before."""
    text = "logLevel: debug\npartition: file\nslurm: {user: file}\n"
    found = loaded(
        text,
        folder=tmp_path,
        environ={"SLURM_BRIDGE_PARTITION": "variable", "SLURM_BRIDGE_LOG_LEVEL": "error"},
        overrides={"logLevel": "warning"},
    )
    assert found.settings.slurm.user == "file"
    assert found.settings.partition == "variable"
    assert found.settings.log_level == "warning"
    assert found.sources == {
        "slurm.user": f"{tmp_path}/bridge.yaml:3",
        "partition": "environment SLURM_BRIDGE_PARTITION",
        "logLevel": "--log-level",
    }


def test_go_bridges_file_is_accepted(tmp_path: Path) -> None:
    """A cluster that ran the Go bridge keeps its ConfigMap, its endpoint included."""
    settings = loaded(GO_BRIDGE_FILE, folder=tmp_path).settings
    assert settings.slurm.endpoints == ("http://slurm-restapi.slurm:6820",)
    assert settings.managed_namespaces == ("slurm-bridge",)
    assert settings.managed_namespace_selector == {
        "matchExpressions": [{"key": "slurm", "operator": "In", "values": ["yes"]}]
    }
    assert (settings.mcs_label, settings.partition) == ("kubernetes", "slurm-bridge")


def test_own_endpoints_win_over_the_go_bridges_key(tmp_path: Path) -> None:
    """`slurm.endpoints` can hold several, so it is the one that counts where both are given."""
    text = "slurmRestApi: http://old\nslurm: {endpoints: [http://a/, http://b]}\n"
    assert loaded(text, folder=tmp_path).settings.slurm.endpoints == ("http://a", "http://b")


def test_go_bridges_token_variable_is_read_and_ours_wins() -> None:
    """SLURM_JWT_FILE sets the token's file unless our own variable says another."""
    theirs = {"SLURM_JWT_FILE": "/var/run/token"}
    ours = theirs | {"SLURM_BRIDGE_SLURM__TOKEN_FILE": "/ours"}
    assert config.load(None, environ=theirs, overrides={}).settings.slurm.token_file == (
        "/var/run/token"
    )
    assert config.load(None, environ=ours, overrides={}).settings.slurm.token_file == "/ours"


def test_file_may_use_the_fields_own_names(tmp_path: Path) -> None:
    """poll_interval_s is as good as pollIntervalS, so that code and file can be compared."""
    text = "slurm:\n  poll_interval_s: 2\n"
    assert loaded(text, folder=tmp_path).settings.slurm.poll_interval_s == 2.0


def test_every_variable_sets_its_setting() -> None:
    """Each documented variable is understood, whatever the kind of its setting."""
    for setting in tree.settings():
        value = setting.info.default
        text = {"managedNamespaceSelector": "{matchLabels: {a: b}}"}.get(setting.key)
        if text is None:
            text = ",".join(value) if isinstance(value, tuple) else str(value)
        found = config.load(None, environ={setting.variable: text}, overrides={})
        assert setting.key in found.sources


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("http://a", ("http://a",)),
        (" http://a , http://b ", ("http://a", "http://b")),
        ('["http://a", "http://b"]', ("http://a", "http://b")),
        ("", ()),
    ],
)
def test_list_in_a_variable(text: str, expected: tuple[str, ...]) -> None:
    """A list outside a file is written with commas or as YAML."""
    environ = {"SLURM_BRIDGE_SLURM__ENDPOINTS": text}
    assert config.load(None, environ=environ, overrides={}).settings.slurm.endpoints == expected


def test_text_in_a_variable_stays_text() -> None:
    """A partition named 007 or yes is not taken for a number or a truth."""
    for name in ("007", "yes", "null", "a: b"):
        environ = {"SLURM_BRIDGE_PARTITION": name}
        assert config.load(None, environ=environ, overrides={}).settings.partition == name


@pytest.mark.parametrize(
    "variable",
    [
        "SLURM_BRIDGE_SERVICE_HOST",
        "SLURM_BRIDGE_SERVICE_PORT",
        "SLURM_BRIDGE_SERVICE_PORT_HTTPS",
        "SLURM_BRIDGE_PORT",
        "SLURM_BRIDGE_PORT_443_TCP",
        "SLURM_BRIDGE_PORT_443_TCP_ADDR",
        "SLURM_BRIDGE_ADMISSION_SERVICE_HOST",
        "SLURM_BRIDGE_ADMISSION_PORT_8081_TCP_PROTO",
    ],
)
def test_variables_of_our_own_services_are_no_settings(variable: str) -> None:
    """Kubelet puts these into our pods because our Services are called slurm-bridge-…"""
    found = config.load(None, environ={variable: "tcp://10.0.0.1:443"}, overrides={})
    assert found.sources == {}


def test_no_setting_is_hidden_by_a_services_variable() -> None:
    """No setting's variable looks like one that kubelet makes."""
    hidden = [s.key for s in tree.settings() if sources.SERVICE_LINK.search(s.variable)]
    assert hidden == []


def test_file_named_by_the_environment_is_no_setting() -> None:
    """SLURM_BRIDGE_CONFIG names the file; the command line reads it."""
    environ = {config.FILE_VARIABLE: "/somewhere"}
    assert config.load(None, environ=environ, overrides={}).sources == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("schedulrName: x", "bridge.yaml:1: unknown key schedulrName; did you mean schedulerName?"),
        (
            "\nslurm:\n  pollInterval: 1",
            "bridge.yaml:3: unknown key slurm.pollInterval; did you mean slurm.pollIntervalS?",
        ),
        (
            "pollIntervalS: 1",
            "bridge.yaml:1: unknown key pollIntervalS; did you mean slurm.pollIntervalS?",
        ),
        (
            "LOG_LEVEL: info",
            "bridge.yaml:1: unknown key LOG_LEVEL; did you mean logLevel?",
        ),
        ("slrum: {}", "bridge.yaml:1: unknown key slrum; did you mean slurm?"),
        (
            "zebra: 1",
            "bridge.yaml:1: unknown key zebra; `slurm-bridge config reference` lists them",
        ),
        (
            "partition: a\npartition: b",
            "bridge.yaml:2: partition stands in line 1 too",
        ),
        ("partition: 5", "bridge.yaml:1: partition: 5 is not text; put it in quotes"),
        ("partition: no", "bridge.yaml:1: partition: False is not text; put it in quotes"),
        (
            "slurm: fast",
            "bridge.yaml:1: slurm is not a value; write its keys as `key: value` lines",
        ),
        (
            "- a",
            "bridge.yaml:1: the file is not a value; write its keys as `key: value` lines",
        ),
        (
            "slurm:\n  pollIntervalS: soon",
            "bridge.yaml:2: slurm.pollIntervalS: 'soon': input should be a valid number, unable to"
            " parse string as a number",
        ),
        (
            "slurm:\n  pollIntervalS: 0",
            "bridge.yaml:2: slurm.pollIntervalS: 0: input should be greater than or equal to 0.02",
        ),
        (
            "slurm:\n  endpoints:\n    - http://a\n    - b:6820",
            "bridge.yaml:4: slurm.endpoints[1]: 'b:6820': not a URL; write it like"
            " http://slurm-restapi.slurm:6820",
        ),
        (
            "slurmRestApi: slurm:6820",
            "bridge.yaml:1: slurmRestApi: 'slurm:6820': not a URL; write it like"
            " http://slurm-restapi.slurm:6820",
        ),
        (
            "server: {listen: 9443}",
            "bridge.yaml:1: server.listen: 9443 is not text; put it in quotes",
        ),
        (
            "logLevel: loud",
            "bridge.yaml:1: logLevel: 'loud': input should be 'debug', 'info', 'warning' or"
            " 'error'",
        ),
        (
            "resourceMap:\n  a/b: gpu\n  c/d: 3",
            "bridge.yaml:3: resourceMap[c/d]: 3 is not text; put it in quotes",
        ),
        ("a: [", "bridge.yaml:1: not valid YAML: expected the node content, but found"),
        ("partition: !!python/object:x {}", "bridge.yaml:1: not valid YAML: could not determine"),
    ],
)
def test_mistake_in_the_file_is_found_by_its_line(text: str, expected: str, tmp_path: Path) -> None:
    """File and line, the key, what is wrong, and what was probably meant."""
    [told] = mistakes(text, folder=tmp_path)
    assert told.startswith(expected)


def test_mistakes_outside_the_file_name_variable_or_flag() -> None:
    """Variables and flags are named as the user wrote them, with the nearest right name."""
    with pytest.raises(ConfigError) as caught:
        config.load(
            None,
            environ={
                "SLURM_BRIDGE_SLURM__POL_INTERVAL_S": "1",
                "SLURM_BRIDGE_KUBERNETES__QPS": "x",
            },
            overrides={"kubernetes.contxt": "a", "logFormat": "xml"},
        )
    assert str(caught.value).splitlines() == [
        "environment SLURM_BRIDGE_SLURM__POL_INTERVAL_S: unknown variable "
        "SLURM_BRIDGE_SLURM__POL_INTERVAL_S; did you mean SLURM_BRIDGE_SLURM__POLL_INTERVAL_S?",
        "--set kubernetes.contxt: unknown key kubernetes.contxt; did you mean kubernetes.context?",
        "environment SLURM_BRIDGE_KUBERNETES__QPS: kubernetes.qps: 'x': input should be a valid "
        "number, unable to parse string as a number",
        "--log-format: logFormat: 'xml': input should be 'json' or 'console'",
    ]


def test_every_mistake_is_told_at_once_in_the_files_order(tmp_path: Path) -> None:
    """An admin fixes all of them in one go; unknown keys and bad values stand by their line."""
    text = "slurm:\n  pollQuickS: no\n  nonsense: 1\nlogLevel: 3\n"
    folder = tmp_path / "a folder"
    folder.mkdir()
    told = mistakes(text, folder=folder, overrides={"partition": 5})
    assert [line.split(": ")[0] for line in told] == [
        "bridge.yaml:2",
        "bridge.yaml:3",
        "bridge.yaml:4",
        "--set partition",
    ]


def test_good_value_over_a_bad_one_does_not_excuse_it_only_where_it_replaces_it(
    tmp_path: Path,
) -> None:
    """A flag replaces the file's value altogether, so the file's bad value is never used."""
    found = loaded("logLevel: loud\n", folder=tmp_path, overrides={"logLevel": "info"})
    assert found.settings.log_level == "info"


def test_missing_file_and_wrong_encoding_are_told(tmp_path: Path) -> None:
    """A file that can't be read is a mistake in the settings, not a crash."""
    with pytest.raises(ConfigError, match=r"gone\.yaml: the settings file can't be read: No such"):
        config.load(tmp_path / "gone.yaml", environ={}, overrides={})
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not UTF-8 text"):
        config.load(tmp_path / "binary.yaml", environ={}, overrides={})


def test_empty_keys_say_nothing(tmp_path: Path) -> None:
    """`slurm:` or `partition:` with nothing behind them keep the defaults."""
    assert loaded("slurm:\npartition:\n", folder=tmp_path).settings == config.Settings()


def test_alias_that_holds_itself_ends(tmp_path: Path) -> None:
    """A YAML value that contains itself is a mistake like any other, not an endless walk."""
    told = mistakes("managedNamespaces: &a [*a]\n", folder=tmp_path)
    assert told[0].startswith("bridge.yaml:1: managedNamespaces")

"""docker-compose.yml keeps its word: it follows the compose specification, and all that it names is there.

There is no Docker engine where the tests run, so what an engine would look up is looked up here.
"""

import importlib.metadata
import importlib.util
import json
import os
import re
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from dawnlist import settings

PROJECT = Path(__file__).parents[2]
TEXT = (PROJECT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (PROJECT / "docker" / "Dockerfile").read_text(encoding="utf-8")
IMAGE_ROOT = "/opt/dawnlist/"
OURS = sorted(name for name, service in SERVICES.items() if service["image"].startswith("dawnlist:"))
SECRET = re.compile(r"PASSWORD|SECRET|FERNET|PRIVACY__KEY")
OPTIONAL = {"DAWNLIST_SITE__SOURCES", "DAWNLIST_AIRFLOW__ALERT_URL", "DAWNLIST_PRIVACY__PREVIOUS_KEY"}


def interpolations(text: str) -> list[tuple[str, str]]:
    """(variable, what follows it) for every ${…}, comments left out."""
    code = re.sub(r"(^|\s)#.*", "", text, flags=re.MULTILINE)
    return re.findall(r"\$\{(\w+)([^}]*)\}", code)


def commands() -> list[tuple[str, list[str]]]:
    return [(name, SERVICES[name]["command"]) for name in OURS] + [
        (name, SERVICES[name]["healthcheck"]["test"][1:]) for name in OURS if "healthcheck" in SERVICES[name]
    ]


def copied() -> dict[str, str]:
    """Place in the image -> path in the repository, for all that the Dockerfile copies from the build context."""
    places = {}
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        *sources, target = line.split()
        places |= {f"{target.rstrip('/')}/{Path(source).name}" if target.endswith("/") else target: source for source in sources}
    return places


def test_it_follows_the_compose_specification() -> None:
    schema = json.loads((PROJECT / "tests" / "data" / "compose-spec.json").read_text(encoding="utf-8"))
    jsonschema.Draft7Validator(schema).validate(COMPOSE)


def test_the_specification_notices_a_misspelt_key() -> None:
    schema = json.loads((PROJECT / "tests" / "data" / "compose-spec.json").read_text(encoding="utf-8"))
    broken = COMPOSE | {"services": SERVICES | {"postgres": SERVICES["postgres"] | {"helthcheck": {}}}}
    with pytest.raises(jsonschema.ValidationError, match="helthcheck"):
        jsonschema.Draft7Validator(schema).validate(broken)


def test_every_part_of_the_stack_is_there() -> None:
    assert set(SERVICES) == {
        "postgres",
        "airflow-init",
        "airflow-api-server",
        "airflow-scheduler",
        "airflow-dag-processor",
        "airflow-triggerer",
        "spark-master",
        "spark-worker",
    }


def test_every_lasting_service_has_a_health_check_and_comes_back() -> None:
    lasting = {name: service for name, service in SERVICES.items() if name != "airflow-init"}
    assert {name for name, service in lasting.items() if "healthcheck" not in service} == set()
    assert {service["restart"] for service in lasting.values()} == {"unless-stopped"}


def test_dependencies_and_volumes_exist() -> None:
    for service in SERVICES.values():
        assert set(service.get("depends_on", {})) <= set(SERVICES)
        for volume in service.get("volumes", []):
            source = re.sub(r"\$\{[^}]*\}", "$", volume).split(":")[0]
            assert source == "$" or source in COMPOSE["volumes"] or (PROJECT / source).is_file(), volume


def test_a_service_that_is_waited_for_in_health_has_a_health_check() -> None:
    for service in SERVICES.values():
        for name, wait in service.get("depends_on", {}).items():
            assert wait["condition"] != "service_healthy" or "healthcheck" in SERVICES[name]


@pytest.mark.parametrize("program", sorted({command[0] for _, command in commands()}))
def test_the_programs_of_the_image_exist(program: str) -> None:
    scripts = {entry.name for entry in importlib.metadata.entry_points(group="console_scripts")}
    pyspark = Path(str(importlib.util.find_spec("pyspark").submodule_search_locations[0]))  # type: ignore[union-attr, index]
    assert program in {"bash", "python"} | scripts or (pyspark / "bin" / program).is_file()


def test_the_airflow_subcommands_exist() -> None:
    from airflow.cli.cli_parser import get_parser

    parser = get_parser()
    for _, command in commands():
        if command[0] == "airflow":
            assert parser.parse_args(command[1:]).func is not None


def test_the_classes_of_spark_exist() -> None:
    jars = Path(str(importlib.util.find_spec("pyspark").submodule_search_locations[0])) / "jars"  # type: ignore[union-attr, index]
    (core,) = jars.glob("spark-core_*.jar")
    classes = set(zipfile.ZipFile(core).namelist())
    wanted = {word for _, command in commands() for word in command if word.startswith("org.apache.spark")}
    assert len(wanted) == 2
    assert {f"{name.replace('.', '/')}.class" for name in wanted} <= classes


def test_the_environment_of_the_image_comes_first_in_its_path() -> None:
    """Or spark-class would ask the system's Python where Spark is, which does not know."""
    assert re.search(r"^ENV PATH=/opt/venv/bin:\$PATH ", DOCKERFILE, re.MULTILINE)
    assert "python -m venv /opt/venv" in DOCKERFILE


def test_every_path_of_the_image_comes_from_the_repository() -> None:
    places = copied()
    for source in places.values():
        assert (PROJECT / source).exists(), source
    for path in re.findall(rf"{IMAGE_ROOT}[\w./-]+", TEXT):
        first = next(place for place in places if path == place or path.startswith(f"{place}/"))
        assert (PROJECT / path.replace(first, places[first], 1)).exists(), path


def test_the_image_has_every_package_and_folder_that_the_project_runs_from() -> None:
    assert {"dawnlist", "spark_jobs", "models", "expectations", "dags", "dbt_project", "config"} <= set(copied().values())


def test_images_are_pinned_to_a_patch_release() -> None:
    tags = [service["image"] for service in SERVICES.values()] + [tag for tag in re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE) if ":" in tag]
    assert all(re.search(r":\d+\.\d+(\.\d+)?(-|$)", tag) for tag in tags), tags


def test_the_image_is_installed_from_hashed_locks() -> None:
    installs = re.findall(r"pip install (.+?)(?: &&| \\|$)", DOCKERFILE, re.MULTILINE)
    assert len(installs) == 3
    assert all("--require-hashes" in line or "--no-index" in line for line in installs)


def test_the_driver_of_airflows_database_does_not_move_other_packages() -> None:
    pins = [dict(re.findall(r"^([\w.-]+)==(\S+)", (PROJECT / path).read_text(encoding="utf-8"), re.MULTILINE)) for path in LOCKS]
    assert {name: (pins[1][name], pins[0][name]) for name in pins[1] if pins[0].get(name, pins[1][name]) != pins[1][name]} == {}
    assert "psycopg" in pins[1]


LOCKS = ("requirements.lock", "docker/requirements-image.lock")


def test_every_setting_of_dawnlist_is_known() -> None:
    named = {name for service in SERVICES.values() for name in service.get("environment", {}) if name.startswith("DAWNLIST_")}
    assert "DAWNLIST_HOME" in named
    assert named <= settings._known_variables()


def test_the_settings_can_be_loaded_as_the_containers_do(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("DAWNLIST_"):
            monkeypatch.delenv(name)
    for name, value in SERVICES["airflow-scheduler"]["environment"].items():
        if name.startswith("DAWNLIST_"):
            monkeypatch.setenv(name, re.sub(r"\$\{\w+(:-)?[^}]*\}", lambda found: "" if found.group(1) else "0123456789abcdef", value))
    loaded = settings.load()
    assert loaded.site.sources == ("store",)
    assert loaded.airflow.alert_url is None
    assert loaded.spark.master == "spark://spark-master:7077"
    assert loaded.serving.url is not None
    assert loaded.serving.url.get_secret_value() == "postgresql://dawnlist:0123456789abcdef@postgres:5432/serving"


def test_every_option_of_airflow_is_known() -> None:
    from airflow.configuration import conf

    named = {name for service in SERVICES.values() for name in service.get("environment", {}) if name.startswith("AIRFLOW__")}
    assert len(named) > 10
    for name in named:
        _, section, option = name.split("__", 2)
        assert conf.configuration_description[section.lower()]["options"].get(option.lower()) is not None, name


def test_no_secret_has_a_default_or_stands_in_the_file() -> None:
    for name, rest in interpolations(TEXT):
        assert (rest.startswith(":-") and name in OPTIONAL) or rest.startswith(":?"), name
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if SECRET.search(name) and not name.endswith("_FILE"):
                assert re.fullmatch(r"\$\{\w+:(\?.+|-)\}", value), name


def test_the_example_names_every_variable_and_no_value_of_a_secret() -> None:
    example = dict(re.findall(r"^(\w+)=(.*)$", (PROJECT / ".env.example").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(example) == {name for name, _ in interpolations(TEXT)}
    assert {value for name, value in example.items() if name != "LANDING_FOLDER"} == {""}


def test_scripts_of_the_containers_use_only_what_they_are_given() -> None:
    for script, service in (("init.sh", "airflow-init"), ("postgres-init.sh", "postgres")):
        text = (PROJECT / "docker" / script).read_text(encoding="utf-8")
        used = set(re.findall(r"\$\{?([A-Z_]{2,})", text)) | set(re.findall(r'environ\["(\w+)"\]', text))
        assert used
        assert used <= set(SERVICES[service]["environment"]), script


def test_nothing_is_published_beyond_this_machine() -> None:
    ports = {port for service in SERVICES.values() for port in service.get("ports", [])}
    assert ports == {"127.0.0.1:8080:8080"}

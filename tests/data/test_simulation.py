"""Presets of the simulation: named, shipped, and as files."""

import dataclasses

import pytest
import yaml

from hggbook.data.simulation import (
    QUANTILES,
    SIMULATIONS,
    Effects,
    Simulation,
    read_simulation,
    shipped_simulations,
    write_simulation,
)

TABLE = tuple(0.1 * i for i in range(len(QUANTILES)))


def test_named_presets():
    assert read_simulation("hard") == SIMULATIONS["hard"] == Simulation()
    assert read_simulation("perfect").miss_seen == 0


def test_shipped_presets_can_be_read_and_say_where_they_are_from():
    assert set(shipped_simulations()) == {"measured", "measured-scenes"}
    for name, path in shipped_simulations().items():
        simulation = read_simulation(name)
        assert simulation.rematch  # they are fitted
        written = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert {"weights", "images", "number", "hggbook", "torch"} <= written["provenance"].keys()
        assert written["report"]["images"] == written["provenance"]["number"]
        # Tables are quantiles, so they rise; and nothing else in the file moves a probability out of its range.
        for field in dataclasses.fields(simulation):
            value = getattr(simulation, field.name)
            if field.name.endswith("_table"):
                assert list(value) == sorted(value), field.name
        assert all(0 <= getattr(simulation, name) <= 1 for name in ("miss_seen", "stray_found", "blend_found", "swap"))


def test_a_written_preset_is_read_back_to_five_digits(tmp_path):
    simulation = Simulation(
        size=256, jitter=1 / 3, rematch=True, miss_by=Effects(size=-1.25, types=(0.5,) * 17), dimensions=2,
        embedding_gradient=(1.0, 2.0, 3.0, 4.0), jitter_table=TABLE,
    )  # fmt: skip
    for name in ("one.yaml", "two.yaml"):
        write_simulation(tmp_path / name, simulation, {"weights": "w", "images": 3}, {"people": 5})
    again = read_simulation(tmp_path / "one.yaml")
    assert again == dataclasses.replace(simulation, jitter=0.33333, jitter_table=again.jitter_table)
    assert again.jitter_table == pytest.approx(TABLE)
    assert (tmp_path / "one.yaml").read_bytes() == (tmp_path / "two.yaml").read_bytes()
    assert yaml.safe_load((tmp_path / "one.yaml").read_text())["provenance"] == {"weights": "w", "images": 3}


def test_what_a_file_leaves_out_keeps_its_default(tmp_path):
    (tmp_path / "own.yaml").write_text("simulation: {miss_seen: 0, duplicate: 0.5}\n")
    assert read_simulation(tmp_path / "own.yaml") == Simulation(miss_seen=0.0, duplicate=0.5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("simulation: {mis_seen: 0.1}", "unknown field 'mis_seen'; did you mean miss_seen"),
        ("simulation: {miss_by: {sizes: 0.1}}", "miss_by.unknown field 'sizes'; did you mean size"),
        ("simulation: {miss_seen: often}", "miss_seen: expected float, got 'often'"),
        ("simulation: {miss_seen: true}", "miss_seen: expected float, got True"),
        ("simulation: {miss_seen: .nan}", "miss_seen: expected float, got nan"),
        ("simulation: {size: 256.5}", "size: expected int, got 256.5"),
        ("simulation: {rematch: 1}", "rematch: expected bool, got 1"),
        ("simulation: {jitter_table: 3}", "jitter_table: expected a list of numbers, got 3"),
        ("simulation: {jitter_table: [1, 2]}", "jitter_table: expected 15 quantiles, got 2"),
        ("simulation: {dimensions: 2, embedding_origin: [1]}", "2 numbers for embeddings of 2 channels, got 1"),
        ("simulation: {dimensions: 0}", "dimensions: expected 1 to 99, got 0"),
        ("simulation: [1]", "expected a mapping of fields to values, got list"),
        ("miss_seen: 0.1", "expected a mapping with a section 'simulation'"),
        ("a: [", "not valid YAML"),
    ],
)
def test_files_that_are_no_presets(tmp_path, text, message):
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ValueError, match="bad.yaml") as error:
        read_simulation(path)
    assert message in str(error.value)


def test_unknown_names(tmp_path):
    with pytest.raises(ValueError, match="simulation 'soft': expected one of") as error:
        read_simulation("soft")
    assert all(f"'{name}'" in str(error.value) for name in ("hard", "perfect", "measured", "measured-scenes"))
    with pytest.raises(ValueError, match="or a YAML file"):
        read_simulation(tmp_path)

"""The published numbers are known, in range, and those of the paper's own text."""

import itertools
import re

import pandas as pd
import pytest

from tempo_lib.evaluation.published import PUBLISHED, load_published, source_lines
from tempo_lib.evaluation.variants import get_variant

BENCHMARKS = ["LongVideoBench", "MLVU", "Video-MME", "Video-MME Long", "LVBench"]
BLOCKS = ["table2a", "table2b", "table2c", "table2d", "table2e"]
DEFAULT_ROWS = {  # each block names the default by what it ablates
    "table2a": "Tempo Default (8K Budget)",
    "table2b": "ATA (Adaptive token allocation, Alg. 1)",
    "table2c": "Dynamic Head Truncation (Keep first ki tokens)",
    "table2d": "Tempo SVLM Prior (Explicit routing prompt)",
    "table2e": "Minimal Temporal Anchors (kmin = 4)",
}
IN_ASCII = {
    "\u2264": "<=",
    "\u2013": "-",
    "\u2212": "-",
    "\u223c": "~",
    "\u00d7": "x",
    "\u2713 ": "",  # marks before the words Frozen and Unfrozen
    "\u2717 ": "",
}
CELL = r"(?:-|\d+\.\d)"
TABLE1_ROW = re.compile(
    r"(?P<model>.+?)(?: [\w-]+ et al\. \(\d{4}[a-z]?\))? (?P<size>-|A?\d+B) "
    r"(?P<tokens>-|<= \d+|[\d.]+-\d+|\d+) "
    rf"(?P<cells>{CELL}(?: {CELL}){{4}})(?: \((?P<note>\d+B)\))?"
)
TOKENS_ROW = re.compile(r"\S+ actual avg\. toks/frame (?P<cells>[\d.]+(?: [\d.]+){4})")
TABLE1_GROUPS = ["Proprietary Models", "General Open-Source MLLMs", "Specialized Long Video MLLMs"]


@pytest.fixture(scope="module")
def lines(shared_dir):
    """The paper's text line by line, in ASCII where its tables are concerned."""
    for path in sorted((shared_dir / "seeds").glob("*.txt")):
        text = path.read_text(encoding="utf-8")
        if "Table 2 Ablation studies on Tempo" in text and "Table B Statistics" in text:
            for symbol, plain in IN_ASCII.items():
                text = text.replace(symbol, plain)
            text = re.sub(r"\b(\d)x 10-(\d)\b", r"\1e-\2", text)
            return [" ".join(line.split()) for line in text.splitlines()]
    raise AssertionError("no text in shared/seeds holds the paper's tables; put the paper there")


@pytest.fixture(scope="module")
def flat(lines):
    """The same on one line, for facts that a line break may cut."""
    return " ".join(" ".join(lines).split())


def captured(pattern, flat):
    """What the groups of ``pattern`` hold in the one place of the text that fits it."""
    found = re.findall(pattern, flat)
    assert len(found) == 1, f"{len(found)} places fit {pattern!r}"
    return found[0]


def rows_of(table):
    """Rows as tuples, an absent number as None, so that they can be compared."""
    return [
        tuple(None if pd.isna(cell) else cell for cell in row)
        for row in table.itertuples(index=False)
    ]


def number(cell):
    return None if cell == "-" else float(cell)


def printed_table1(lines):
    """Table 1 as the text has it: (group, model, size, tokens, benchmark, value, note)."""
    first = lines.index(TABLE1_GROUPS[0])
    last = next(i for i, line in enumerate(lines) if line.startswith("Tempo* (8K Budget)"))
    rows, group = [], None
    for line in lines[first : last + 1]:
        if line in TABLE1_GROUPS:
            group = line
        elif line and not TOKENS_ROW.fullmatch(line):
            row = TABLE1_ROW.fullmatch(line)
            assert row, f"not a row of Table 1: {line}"
            of_tempo = row["model"].startswith("Tempo")
            front = ("Tempo" if of_tempo else group, row["model"], row["size"], row["tokens"])
            for benchmark, cell in zip(BENCHMARKS, row["cells"].split(), strict=True):
                note = (row["note"] or "") if benchmark == BENCHMARKS[-1] else ""
                rows.append((*front, benchmark, number(cell), note))
    return rows


def of_table1(lines, model):
    """Tokens per frame and LVBench accuracy of a model, from the text's Table 1."""
    row = next(row for row in printed_table1(lines) if row[1] == model and row[4] == "LVBench")
    return float(row[3].removeprefix("<= ")), row[5]


# -- the files alone ------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_item_loads_and_quotes_its_source(name):
    assert len(load_published(name)) > 0
    assert source_lines(name)


def test_every_file_has_a_name_and_every_name_a_file(repo_root):
    files = (repo_root / "data_manifests" / "paper").glob("*.csv")
    assert sorted(path.stem for path in files) == sorted(PUBLISHED)


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown published item 'table9'.*table1.*fig3"):
        load_published("table9")
    with pytest.raises(ValueError, match="known items"):
        source_lines("../README")


@pytest.mark.parametrize("name", ["table1", *BLOCKS, "fig1c", "fig3"])
def test_accuracies_are_percent(name):
    assert load_published(name)["value"].dropna().between(20, 100).all()


def test_tokens_per_frame_lie_in_the_range_that_the_paper_gives():
    table = load_published("tokens_per_frame")
    bounds = table["budget"] / 1024  # tokens a frame with 1024 frames: the budget's own bound
    assert table["value"].between(0.5, 16).all()
    on_longest = table["benchmark"] == "LVBench"
    assert (table["value"] <= bounds)[on_longest].all()


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_of_table_2_hold_known_variants_on_all_benchmarks(name):
    table = load_published(name)
    for variant, rows in table.groupby("variant"):
        assert rows["benchmark"].tolist() == BENCHMARKS
        quoted = get_variant(variant).paper_row
        assert quoted == "Tempo Default" or quoted.startswith(f"{name[-1].upper()}: ")


@pytest.mark.parametrize("name", BLOCKS)
def test_the_default_is_the_last_row_of_each_block_and_the_same_in_all(name):
    default = load_published(name).tail(len(BENCHMARKS))
    assert set(default["variant"]) == {"ata"}
    table1 = load_published("table1")
    tempo = table1[table1["model"] == "Tempo* (8K Budget)"]
    assert default["value"].tolist() == tempo["value"].tolist()


@pytest.mark.parametrize("name", BLOCKS)
def test_rows_of_table_2_hold_what_their_header_quotes(name):
    rows = load_published(name).groupby("variant", sort=False)["value"]
    values = [" ".join(f"{value:.1f}" for value in row) for _, row in rows]
    quoted = [" ".join(line.split()[-5:]) for line in source_lines(name)]
    assert values == quoted


def test_samples_are_the_printed_ones_and_add_up():
    table = load_published("tableb")
    scale = {"K": 1e3, "M": 1e6}
    for printed, samples in zip(table["printed"], table["samples"], strict=True):
        if printed != "-":
            assert samples == round(float(printed[1:-1]) * scale[printed[-1]])
    for _, stage in table.groupby("stage"):
        samples = stage.set_index("modality")["samples"]
        assert samples.drop("Total").sum() == pytest.approx(samples["Total"], rel=2e-3)


# -- the files against the paper ------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_quoted_lines_stand_in_the_paper(name, flat):
    assert [line for line in source_lines(name) if line not in flat] == []


def test_table_1_is_the_papers(lines):
    assert rows_of(load_published("table1")) == printed_table1(lines)


@pytest.mark.parametrize("name", BLOCKS)
def test_table_2_is_the_papers(name, lines):
    table = load_published(name)
    for variant, rows in table.groupby("variant"):
        label = DEFAULT_ROWS[name] if variant == "ata" else get_variant(variant).paper_row[3:]
        printed = [line.removeprefix(f"{label} ") for line in lines if line.startswith(label)]
        assert len(printed) == 1, f"{len(printed)} lines of the paper begin with {label!r}"
        assert rows["value"].tolist() == [float(cell) for cell in printed[0].split()]


def test_table_2_lacks_no_row_of_the_papers(lines):
    first = lines.index("Ablation Setting")
    last = next(i for i, line in enumerate(lines) if line.startswith(DEFAULT_ROWS["table2e"]))
    printed = [line for line in lines[first : last + 1] if re.search(rf"(?: {CELL}){{5}}$", line)]
    assert len(printed) == sum(load_published(name)["variant"].nunique() for name in BLOCKS)


def test_tokens_per_frame_are_the_papers(lines, flat):
    printed = []
    for above, line in itertools.pairwise(lines):
        if row := TOKENS_ROW.fullmatch(line):
            model, thousands = re.match(r"(Tempo\* \((\d+)K Budget\))", above).groups()
            cells = zip(BENCHMARKS, row["cells"].split(), strict=True)
            printed += [(model, int(thousands) * 1024, name, float(cell)) for name, cell in cells]
    table = load_published("tokens_per_frame")
    assert rows_of(table) == printed
    value, thousands = captured(r"([\d.]+) tokens/frame on LVBench under the (\d+)K", flat)
    row = table[(table["benchmark"] == "LVBench") & (table["budget"] == int(thousands) * 1024)]
    assert row["value"].tolist() == [float(value)]


def test_table_a_is_the_papers(lines, flat):
    table = load_published("tablea").groupby("hyper_parameter", sort=False)
    cells = {name: rows["value"].tolist() for name, rows in table}
    assert all(rows["stage"].tolist() == [0, 1, 2, 3] for _, rows in table)
    weight_decay = captured(r"Weight decay is set to (\d\.\d)", flat)
    few = captured(r"uses (\d+) NVIDIA H100", flat)
    many = captured(r"Stages 1-3 scale to (\d+) GPUs", flat)
    assert cells.pop("Optimizer") == [captured(r"we use the (\w+) optimizer", flat)] * 4
    assert cells.pop("Weight Decay") == [weight_decay] * 4
    assert cells.pop("GPUs (NVIDIA H100)") == [few, many, many, many]
    first = lines.index("Trainable Modules")
    last = next(i for i, line in enumerate(lines) if line.startswith("LLM Max Context Length"))
    rows = [f"{name} {' '.join(values)}" for name, values in cells.items()]
    headings = {"Trainable Modules", "Optimization Hyper-parameters", "Data & Context Scaling", ""}
    assert rows == [line for line in lines[first : last + 1] if line not in headings]


def test_table_b_is_the_papers(flat):
    cells = r"((?:-|~[\d.]+[KM])(?: (?:-|~[\d.]+[KM]))*)"
    image, mixed, video, text, total = captured(
        rf"Image Samples {cells} (\S+) \(Mixed\) ?Video Samples {cells} "
        rf"Text Samples {cells} Total Size {cells}",
        flat,
    )
    rows = {"Image": image, "Video": video, "Text": text, "Total": total}
    expected = {
        (stage, modality): cell
        for modality, row in rows.items()
        for stage, cell in enumerate(row.split())
    }
    table = load_published("tableb").set_index(["stage", "modality"])["printed"]
    assert table.to_dict() == {**expected, (3, "Mixed"): mixed}


def test_figure_1c_says_what_the_text_says(lines, flat):
    bounds = captured(
        r"upper bounds are (\d+)/(\d+) = (\d+) and (\d+)/(\d+) = (\d+) tokens per frame", flat
    )
    low, high = [float(x) for x in bounds[:3]], [float(x) for x in bounds[3:]]
    frames, budget, tokens = captured(
        r"fmax = (\d+) and Bmax = (\d+)K, yielding a theoretical upper bound of approximately "
        r"(\d+) tokens",
        flat,
    )
    at_4k, flash = captured(r"Tempo achieves ([\d.]+), .*?VideoChat- Flash \(([\d.]+)\)", flat)
    gpt, gemini = captured(r"GPT-4o \(([\d.]+)\) and Gemini 1\.5 Pro \(([\d.]+)\)", flat)
    peak = captured(r"reaching ([\d.]+) at fmax", flat)
    llama3, flash_row, llama = (
        of_table1(lines, name) for name in ("VideoLLaMA3*", "VideoChat-Flash", "LLaMA-VID")
    )
    assert (llama3[0], flash_row[1]) == (float(tokens), float(flash))  # text and table agree
    expected = [
        ("Tempo (4K)", low[1], low[0], low[2], float(at_4k)),
        ("Tempo (12K)", high[1], high[0], high[2], float(peak)),
        ("VideoLLaMA3", float(frames), float(budget) * 1024, *llama3),
        ("VideoChat-Flash", None, None, *flash_row),
        ("LLaMA-VID (13B)", None, None, *llama),
        ("GPT-4o", None, None, None, float(gpt)),
        ("Gemini 1.5 Pro", None, None, None, float(gemini)),
    ]
    assert rows_of(load_published("fig1c").drop(columns="says")) == expected


def test_figure_3_says_what_the_text_says(flat):
    lv_4k, lv_8k, long_4k, long_8k = captured(
        r"([\d.]+) vs\. ([\d.]+) on LVBench; ([\d.]+) vs\. ([\d.]+) on Video-MME Long", flat
    )
    frames, thousands = captured(r"peak at fmax = (\d+) under a (\d+)K budget", flat)
    assert frames == captured(r"Tempo \(capped at (\d+) frames\)", flat)
    peak, most_frames, most_thousands = captured(
        r"reaching ([\d.]+) at fmax = (\d+) \(Bmax = (\d+)K\)", flat
    )
    few, many = int(frames), int(most_frames)
    small, large = int(thousands) * 1024, int(most_thousands) * 1024
    assert rows_of(load_published("fig3").drop(columns="says")) == [
        ("Video-MME Long", few, small, float(long_4k)),
        ("Video-MME Long", few, 2 * small, float(long_8k)),
        ("LVBench", few, small, float(lv_4k)),
        ("LVBench", few, 2 * small, float(lv_8k)),
        ("LVBench", many, large, float(peak)),
    ]

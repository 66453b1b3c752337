"""Writes charts/ipn-receiver/README.md from README.template.md and a table of values.yaml. Usage: readme.py CHART [--check]

Each value needs a comment above it that begins with `# --`; a value without one is an error. `--check` writes nothing, and
fails if the file would change.
"""

import json
import pathlib
import sys

import yaml

CHART = pathlib.Path(sys.argv[1])
LINES = (CHART / "values.yaml").read_text().splitlines()


def described(key_node):
    line = LINES[key_node.start_mark.line - 1].strip() if key_node.start_mark.line else ""
    return line.removeprefix("# -- ") if line.startswith("# -- ") else None


def rows(node, path, values):
    for key, value in node.value:
        name, text = f"{path}{key.value}", described(key)
        if text is not None:
            default = json.dumps(values[key.value], ensure_ascii=False)
            yield name, default, text
        elif isinstance(value, yaml.MappingNode) and value.value:
            yield from rows(value, f"{name}.", values[key.value])
        else:
            sys.exit(f"values.yaml: {name} has no comment that begins with '# -- '")


def cell(text):
    return text.replace("|", "\\|")


def main():
    text = "\n".join(LINES)
    found = list(rows(yaml.compose(text), "", yaml.safe_load(text)))
    table = ["| value | default | meaning |", "|---|---|---|"]
    table += [f"| `{name}` | `{cell(default)}` | {cell(meaning)} |" for name, default, meaning in found]
    page = (CHART / "README.template.md").read_text().replace("{{values}}", "\n".join(table))
    readme = CHART / "README.md"
    if "--check" not in sys.argv:
        readme.write_text(page)
    elif not readme.exists() or readme.read_text() != page:
        sys.exit(f"{readme} is out of date; run: UPDATE_CHART=1 scripts/check-chart")
    print(f"{readme}: {len(found)} values")


main()

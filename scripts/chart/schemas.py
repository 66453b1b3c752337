"""Lays out Kubernetes' JSON schemas as kubeconform looks for them. Usage: schemas.py WHEEL FOLDER VERSION…

WHEEL is kubernetes-validate's. Its schemas name each other by addresses that only its own program resolves.
"""

import json
import pathlib
import sys
import zipfile

wheel, root, versions = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
with zipfile.ZipFile(wheel) as archive:
    for version in versions:
        folder = root / f"v{version}"
        folder.mkdir(parents=True, exist_ok=True)
        prefix = f"kubernetes_validate/kubernetes-json-schema/v{version}-local-strict/"
        names = [name for name in archive.namelist() if name.startswith(prefix) and name.endswith(".json")]
        if not names:
            sys.exit(f"the wheel has no schemas of Kubernetes {version}")
        for name in names:
            schema = json.loads(archive.read(name).decode().replace('"/api/_definitions.json#', '"_definitions.json#'))
            schema.pop("$id", None)
            (folder / name.removeprefix(prefix)).write_text(json.dumps(schema))
        print(f"{len(names)} schemas of Kubernetes {version}")

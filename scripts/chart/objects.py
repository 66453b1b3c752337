"""Prints objects of a rendered chart. Usage: objects.py core|custom < YAML

`core` are those that Kubernetes has schemas of, one JSON document after the other; `custom` the others, as one JSON list.
"""

import json
import sys

import yaml

GROUPS = ("keda.sh", "monitoring.coreos.com", "gateway.networking.k8s.io")
objects = [o for o in yaml.safe_load_all(sys.stdin) if o]
custom = [o for o in objects if o["apiVersion"].split("/")[0] in GROUPS]
if sys.argv[1] == "custom":
    print(json.dumps(custom))
else:
    print("\n---\n".join(json.dumps(o) for o in objects if o not in custom))

"""Prints CustomResourceDefinitions for the chart's custom resources, without field validation, so that an API server stores
them. scripts/check-chart validates the fields."""

import json

KINDS = [
    ("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors"),
    ("monitoring.coreos.com", "v1", "PodMonitor", "podmonitors"),
    ("monitoring.coreos.com", "v1", "PrometheusRule", "prometheusrules"),
    ("keda.sh", "v1alpha1", "ScaledObject", "scaledobjects"),
    ("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"),
]


def definition(group, version, kind, plural):
    metadata = {"name": f"{plural}.{group}"}
    if group == "gateway.networking.k8s.io":
        # The API server requires this annotation for the group.
        metadata["annotations"] = {"api-approved.kubernetes.io": "unapproved, for tests"}
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    served = {"name": version, "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"kind": kind, "plural": plural, "singular": kind.lower()}
    spec = {"group": group, "scope": "Namespaced", "names": names, "versions": [served]}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata,
        "spec": spec,
    }


print(json.dumps({"apiVersion": "v1", "kind": "List", "items": [definition(*kind) for kind in KINDS]}))

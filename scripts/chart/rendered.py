"""The chart as Helm renders it with one values file. The first argument of the program names Helm."""

import subprocess
import sys

import yaml


def helm(*arguments):
    return subprocess.run([sys.argv[1], *map(str, arguments)], capture_output=True, text=True, check=False)


class Rendered:
    """Everything of one values file."""

    def __init__(self, chart, values):
        self.file = values
        self.values = yaml.safe_load(values.read_text())
        self.text = helm("template", "r", chart, "-n", "ipn", "-f", values).stdout
        self.objects = [o for o in yaml.safe_load_all(self.text) if o]

    def kind(self, *kinds):
        return [o for o in self.objects if o["kind"] in kinds]

    def named(self, kind, name):
        return next(o for o in self.kind(kind) if o["metadata"]["name"] == name)

    def pods(self):
        """(name, metadata, spec) of everything that becomes a pod."""
        for o in self.objects:
            if o["kind"] in ("Deployment", "Job"):
                yield o["metadata"]["name"], o["spec"]["template"]["metadata"], o["spec"]["template"]["spec"]
            elif o["kind"] == "Pod":
                yield o["metadata"]["name"], o["metadata"], o["spec"]

    def serving(self):
        """(role, deployment, pod spec, container)"""
        for o in self.kind("Deployment"):
            pod = o["spec"]["template"]["spec"]
            yield o["metadata"]["labels"]["app.kubernetes.io/component"], o, pod, pod["containers"][0]

    def toml(self):
        return self.named("ConfigMap", "r-ipn-receiver")["data"]["receiver.toml"]

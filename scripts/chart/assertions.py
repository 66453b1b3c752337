"""Assertions about the chart's rendered objects. Usage: assertions.py HELM CHART

Renders every ci/*-values.yaml with Helm, and prints each assertion that fails, with its file and object. With UPDATE_CHART=1
it regenerates ci/*.toml, the configuration file of each, which `cargo test` loads with the program. refusals.py has the
values that the chart refuses.
"""

import difflib
import json
import os
import pathlib
import sys

from refusals import REFUSED, every_object_of_the_schema_is_closed, refusals
from rendered import Rendered, helm

CHART = pathlib.Path(sys.argv[2])
FOLDER = "/etc/ipn-receiver"
ROLES = {"all", "ingest", "worker"}
CLAIMS = []


def claim(function):
    """Registers an assertion: a function that yields errors; its name states the claim."""
    CLAIMS.append(function)
    return function


@claim
def mode_decides_the_deployments(r):
    wanted = ["all"] if r.values.get("mode") == "all" else ["ingest", "worker"]
    if (found := sorted(role for role, *_ in r.serving())) != wanted:
        yield f"{found} instead of {wanted}"
    for role, _, _, container in r.serving():
        env = {e["name"]: e.get("value") for e in container["env"]}
        if container["args"] != ["serve"] or env["IPN_RECEIVER__ROLE"] != role:
            yield f"{role}: {container['args']}, {env}"
        if env["IPN_RECEIVER_CONFIG"] != f"{FOLDER}/receiver.toml":
            yield f"{role}: {env}"


@claim
def pods_comply_with_the_restricted_standard(r):
    for name, _, spec in r.pods():
        pod = spec["securityContext"]
        if pod["runAsNonRoot"] is not True or pod["seccompProfile"] != {"type": "RuntimeDefault"}:
            yield f"{name}: {pod}"
        if pod.get("runAsUser") == 0:
            yield f"{name}: root"
        for c in spec["containers"]:
            if c["securityContext"] != {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }:
                yield f"{name}/{c['name']}: {c['securityContext']}"
        if any(volume.keys() - {"name", "projected"} for volume in spec.get("volumes", [])):
            yield f"{name}: another kind of volume: {spec['volumes']}"


@claim
def objects_contain_no_tokens_and_no_secrets(r):
    for name, _, spec in r.pods():
        if spec["automountServiceAccountToken"] is not False:
            yield f"{name}: token"
        for c in spec["containers"]:
            for e in c.get("env", []):
                if any(word in e["name"].upper() for word in ("PASSWORD", "SECRET", "TOKEN", "OTLP_HEADERS")) and "value" in e:
                    yield f"{name}: {e['name']} has a value"
    for account in r.kind("ServiceAccount"):
        if account["automountServiceAccountToken"] is not False:
            yield "the ServiceAccount's token is mounted"
    if r.kind("Secret", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"):
        yield "the chart creates Secrets or RBAC objects"
    if "PRIVATE KEY" in r.text:
        yield "a private key is rendered"


@claim
def only_readers_get_api_keys_as_files(r):
    for name, _, spec in r.pods():
        files = [s for v in spec.get("volumes", []) for s in v["projected"]["sources"]]
        keys = [i["path"] for s in files for i in s.get("secret", {}).get("items", []) if "merchants/" in i["path"]]
        reads = name.endswith(("-all", "-worker"))
        n_expected = sum(1 if "public_key_id" in m else 2 for m in r.values["merchants"]) if reads else 0
        if len(keys) != n_expected:
            yield f"{name}: {keys}"
        # Kubernetes updates the files of a changed Secret only without subPath.
        if any("subPath" in m for c in spec["containers"] for m in c.get("volumeMounts", [])):
            yield f"{name}: subPath"
        if reads and not all(f'"{path}"' in r.toml() for path in keys):
            yield f"{name}: {keys} and the program's file differ"


@claim
def kafka_credentials_come_from_secrets_per_part(r):
    common = r.values.get("kafka", {})
    for name, _, spec in r.pods():
        part = "topicsJob" if name.endswith("-topics") else name.rsplit("-", 1)[1]
        if part == "test":
            continue
        own = r.values.get(part, {}).get("kafka", {})
        env = {e["name"]: e for e in spec["containers"][0]["env"] if "__KAFKA__PROPERTIES__" in e["name"]}
        sources = [s["secret"] for v in spec["volumes"] for s in v["projected"]["sources"] if "secret" in s]
        files = {i["path"]: (s["name"], i["key"]) for s in sources for i in s["items"] if i["path"].startswith("kafka/")}
        for which in ("secretFiles", "secretProperties"):
            wanted = {s["property"]: s for s in [*common.get(which, []), *own.get(which, [])]}
            for property, secret in wanted.items():
                found = env.pop("IPN_RECEIVER__KAFKA__PROPERTIES__" + property.replace(".", "_").upper(), None)
                reference = (secret["secretName"], secret["secretKey"])
                if which == "secretFiles":
                    path = f"kafka/{property}"
                    if found is None or found["value"] != f"{FOLDER}/{path}" or files.pop(path, None) != reference:
                        yield f"{name}: {property}: {found}, {files}"
                elif found is None or tuple(found["valueFrom"]["secretKeyRef"].values()) != reference:
                    yield f"{name}: {property}: {found}"
        if env or files:
            yield f"{name}: {env}, {files}"


@claim
def only_ipn_is_public(r):
    entry = r.named("Service", "r-ipn-receiver")
    if [p["targetPort"] for p in entry["spec"]["ports"]] != ["http"]:
        yield f"Service: {entry['spec']['ports']}"
    for service in r.kind("Service"):
        if service is not entry and service["spec"].get("clusterIP") != "None":
            yield f"{service['metadata']['name']} can be reached from outside"
    for ingress in r.kind("Ingress"):
        for rule in ingress["spec"]["rules"]:
            for path in rule["http"]["paths"]:
                if (path["path"], path["pathType"]) != ("/ipn", "Exact") or not rule["host"]:
                    yield f"Ingress: {rule}"
                if path["backend"]["service"] != {"name": "r-ipn-receiver", "port": {"name": "http"}}:
                    yield f"Ingress: {path}"
        if "defaultBackend" in ingress["spec"]:
            yield "Ingress: a default backend"
    for route in r.kind("HTTPRoute"):
        for rule in route["spec"]["rules"]:
            if rule["matches"] != [{"path": {"type": "Exact", "value": "/ipn"}}]:
                yield f"HTTPRoute: {rule}"
            if [b["name"] for b in rule["backendRefs"]] != ["r-ipn-receiver"]:
                yield f"HTTPRoute: {rule}"


@claim
def services_find_their_pods(r):
    pods = [metadata["labels"] for _, metadata, _ in r.pods()]
    for service in r.kind("Service"):
        found = {p["app.kubernetes.io/component"] for p in pods if service["spec"]["selector"].items() <= p.items()}
        name = service["metadata"]["name"]
        wanted = {c for c in ROLES if name == f"r-ipn-receiver-{c}-admin"} or ({"all", "ingest"} & {p["app.kubernetes.io/component"] for p in pods})
        if found != wanted:
            yield f"{name} leads to {found}"


@claim
def probes_use_the_right_paths(r):
    for role, _, _, c in r.serving():
        for probe, path in (("startupProbe", "/healthz"), ("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
            # Liveness by /readyz would restart pods when Kafka is unavailable.
            if c[probe]["httpGet"] != {"path": path, "port": "admin"}:
                yield f"{role}: {probe} {c[probe]}"
        ports = {p["name"]: p["containerPort"] for p in c["ports"]}
        if ports != ({"admin": 9090} if role == "worker" else {"http": 8080, "admin": 9090}):
            yield f"{role}: {ports}"


@claim
def termination_grace_period_covers_shutdown(r):
    shutdown = r.values["config"].get("shutdown", {})
    leaves_within_s = (shutdown.get("notice_ms", 5000) + 2 * shutdown.get("grace_ms", 20000)) / 1000 + 10
    for role, _, pod, c in r.serving():
        pre_stop = c.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
        if pre_stop != r.values.get("preStopSleepSeconds", 0):
            yield f"{role}: preStop {pre_stop}"
        if not leaves_within_s + pre_stop < pod["terminationGracePeriodSeconds"] <= leaves_within_s + pre_stop + 30:
            yield f"{role}: {pod['terminationGracePeriodSeconds']} s"


@claim
def rollouts_keep_capacity_and_follow_changed_settings(r):
    for role, o, _, _ in r.serving():
        if o["spec"]["strategy"]["rollingUpdate"] != {"maxSurge": 1, "maxUnavailable": 0}:
            yield f"{role}: {o['spec']['strategy']}"
        if "checksum/config" not in o["spec"]["template"]["metadata"]["annotations"]:
            yield f"{role}: no checksum"
        if o["spec"]["selector"]["matchLabels"].keys() != {
            "app.kubernetes.io/name",
            "app.kubernetes.io/instance",
            "app.kubernetes.io/component",
        }:
            yield f"{role}: unexpected selector, which cannot be changed later: {o['spec']['selector']}"


@claim
def scaled_deployments_have_no_fixed_replicas(r):
    scaled = {o["spec"]["scaleTargetRef"]["name"] for o in r.kind("HorizontalPodAutoscaler", "ScaledObject")}
    for _, o, _, _ in r.serving():
        name = o["metadata"]["name"]
        if ("replicas" in o["spec"]) == (name in scaled):
            yield f"{name}: {o['spec'].get('replicas')}, scaled: {name in scaled}"
        scaled.discard(name)
    if scaled:
        yield f"these do not exist: {scaled}"


@claim
def every_container_has_resources(r):
    for name, _, spec in r.pods():
        for c in spec["containers"]:
            if "memory" not in c["resources"]["limits"] or "cpu" not in c["resources"]["requests"]:
                yield f"{name}: {c['resources']}"
            if "cpu" in c["resources"]["limits"]:
                yield f"{name}: CPU is limited"


@claim
def network_policies_allow_required_connections_only(r):
    policies = {p["metadata"]["labels"]["app.kubernetes.io/component"]: p["spec"] for p in r.kind("NetworkPolicy")}
    if not r.values.get("networkPolicy", {}).get("enabled", True):
        if policies:
            yield "there are some, though not enabled"
        return
    roles = {role for role, *_ in r.serving()}
    if policies.keys() != roles | {"topics", "test"}:
        yield f"{policies.keys()}"
    for component, spec in policies.items():
        out = {p["port"] for rule in spec["egress"] for p in rule["ports"]}
        given = r.values.get("networkPolicy", {})
        extra = {p["port"] for rule in given.get("extraEgress", []) for p in rule["ports"]}
        servers = r.values["config"]["kafka"]["bootstrap_servers"].split(",")
        kafka = {int(server.rpartition(":")[2]) for server in servers} | set(given.get("kafkaPorts", []))
        wanted = {53} | ({8080, 9090} if component == "test" else kafka | extra)
        wanted |= ({443} if component in ROLES else set()) | ({80} if component in {"all", "ingest"} else set())
        if out != wanted:
            yield f"{component}: out to {out} instead of {wanted}"
        into = {p["port"] for rule in spec.get("ingress", []) for p in rule["ports"]}
        if into != {"all": {"http", "admin"}, "ingest": {"http", "admin"}, "worker": {"admin"}}.get(component, set()):
            yield f"{component}: in to {into}"
        if any(not rule.get("from") for rule in spec.get("ingress", [])):
            yield f"{component}: anyone may connect"
        if spec["policyTypes"] != ["Ingress", "Egress"]:
            yield f"{component}: {spec['policyTypes']}"


@claim
def topics_job_runs_before_the_release(r):
    jobs = r.kind("Job")
    if len(jobs) != (1 if r.values.get("topicsJob", {}).get("enabled", True) else 0):
        yield f"{len(jobs)} jobs"
    for job in jobs:
        pod = job["spec"]["template"]["spec"]
        if job["metadata"]["annotations"]["helm.sh/hook"] != "pre-install,pre-upgrade":
            yield "the Job is not a hook before the release"
        configs = [s["configMap"]["name"] for v in pod["volumes"] for s in v["projected"]["sources"] if "configMap" in s]
        hooks = {o["metadata"]["name"] for o in r.kind("ConfigMap") if "helm.sh/hook" in o["metadata"].get("annotations", {})}
        policies = [o for o in r.kind("NetworkPolicy") if o["metadata"]["name"] == job["metadata"]["name"]]
        if any("pre-install" not in o["metadata"].get("annotations", {}).get("helm.sh/hook", "") for o in policies):
            yield "the NetworkPolicy of the Job comes too late"
        accounts = {o["metadata"]["name"] for o in r.kind("ServiceAccount") if "helm.sh/hook" in o["metadata"].get("annotations", {})}
        created = r.values.get("serviceAccount", {}).get("create", True)
        if set(configs) != hooks or ({pod["serviceAccountName"]} != accounts if created else accounts):
            yield f"the Job needs objects that do not exist yet: {configs}, {pod['serviceAccountName']}"
        if {"name": "IPN_RECEIVER__ROLE", "value": "ingest"} not in pod["containers"][0]["env"]:
            yield "the Job needs API keys"


@claim
def helm_test_checks_every_part(r):
    (test,) = r.kind("Pod")
    asked = " ".join(" ".join(c["args"]) for c in test["spec"]["containers"])
    for role, *_ in r.serving():
        if f"http://r-ipn-receiver-{role}-admin:9090/readyz" not in asked:
            yield f"{role} is not checked"
    if "/ipn --expect 405" not in asked:
        yield "/ipn is not checked"


@claim
def monitors_select_their_services(r):
    for monitor in r.kind("ServiceMonitor"):
        wanted = monitor["spec"]["selector"]["matchLabels"].items()
        found = [s for s in r.kind("Service") if wanted <= s["metadata"]["labels"].items()]
        if len(found) != len(list(r.serving())):
            yield f"{len(found)} Services"
    monitoring = r.values.get("monitoring", {})
    for kind, switch in (("ServiceMonitor", "serviceMonitor"), ("PodMonitor", "podMonitor")):
        if len(r.kind(kind)) != (1 if monitoring.get(switch, {}).get("enabled") else 0):
            yield f"{len(r.kind(kind))} {kind}"
    for file, switch, kind, ending in (
        ("alerts.yaml", "prometheusRule", "PrometheusRule", ""),
        ("dashboard.json", "dashboard", "ConfigMap", "-dashboard"),
    ):
        found = [o for o in r.kind(kind) if o["metadata"]["name"] == f"r-ipn-receiver{ending}"]
        wanted = (CHART / "files" / file).exists() and monitoring.get(switch, {}).get("enabled", False)
        base = monitoring.get("prometheusRule", {}).get("projectUrl", "").rstrip("/")
        for alert in (a for o in found if kind == "PrometheusRule" for g in o["spec"]["groups"] for a in g["rules"]):
            if alert["annotations"]["runbook_url"] != f"{base}/docs/runbook.md#{alert['alert'].lower()}".lstrip("/"):
                yield f"{alert['alert']}: {alert['annotations']['runbook_url']}"
        if bool(found and (kind != "PrometheusRule" or found[0]["spec"]["groups"])) != wanted:
            yield f"files/{file} and {kind} differ"


@claim
def objects_have_unique_names_and_the_namespace(r):
    seen = set()
    for o in r.objects:
        key = (o["kind"], o["metadata"]["name"])
        if key in seen:
            yield f"{key} twice"
        seen.add(key)
        if o["metadata"]["namespace"] != "ipn" or o["metadata"]["labels"]["app.kubernetes.io/instance"] != "r":
            yield f"{key}: {o['metadata']}"


@claim
def notes_show_the_next_steps(r):
    notes = notes_of(r)
    entrances = [o for o in r.kind("Ingress", "HTTPRoute")]
    host = next(iter(r.values.get("ingress", {}).get("hosts", []) + r.values.get("gateway", {}).get("hostnames", [])), "")
    environments = {m["environment"] for m in r.values["merchants"]}
    wanted = {
        f"curl -i https://{host}/ipn": bool(entrances),
        "The receiver cannot be reached from outside the cluster yet": not entrances,
        "helm -n ipn test r --logs": True,
        "recheck": True,
        "logs job/r-ipn-receiver-topics": bool(r.kind("Job")),
        "It is not monitored yet": not r.kind("ServiceMonitor", "PodMonitor"),
        "No NetworkPolicy": not r.kind("NetworkPolicy"),
        **{f"the {view} view": environment in environments for view, environment in (("Production", "live"), ("Sandbox", "sandbox"))},
        **{f"exec deployment/{o['metadata']['name']} -- /usr/local/bin/ipn-receiver check": True for o in r.kind("Deployment")},
    }
    for text, is_wanted in wanted.items():
        if (text in notes) != is_wanted:
            yield f"{text!r} {'is missing' if is_wanted else 'is there'}"


@claim
def notes_warn_about_zero_replicas(r):
    without = notes_of(r, "--set", "ingest.replicas=0,worker.replicas=0,all.replicas=0")
    for role, o, _, _ in r.serving():
        # A scaled Deployment has no fixed number of replicas.
        if (f"{role}.replicas is 0" in without) != ("replicas" in o["spec"]) or f"{role}.replicas is 0" in notes_of(r):
            yield f"{role}: {without}"


def notes_of(r, *more):
    return helm("install", "r", CHART, "-n", "ipn", "-f", r.file, "--dry-run=client", *more).stdout.partition("NOTES:")[2]


def golden(values, rendered, wrong):
    file = values.with_name(values.name.replace("-values.yaml", ".toml"))
    if os.environ.get("UPDATE_CHART"):
        file.write_text(rendered.toml())
    held = file.read_text() if file.exists() else ""
    if held != rendered.toml():
        diff = "\n".join(difflib.unified_diff(held.splitlines(), rendered.toml().splitlines(), file.name, "rendered", lineterm=""))
        wrong.append(f"{file} is out of date; run: UPDATE_CHART=1 scripts/check-chart\n{diff}")


def main():
    wrong = [*refusals(CHART), *every_object_of_the_schema_is_closed(json.loads((CHART / "values.schema.json").read_text()))]
    files = sorted(CHART.glob("ci/*-values.yaml"))
    if len(files) < 4:
        sys.exit(f"values files are missing: {files}")
    for values in files:
        rendered = Rendered(CHART, values)
        if not rendered.objects:
            sys.exit(f"{values} renders nothing: {helm('template', 'r', CHART, '-f', values).stderr}")
        golden(values, rendered, wrong)
        for function in CLAIMS:
            wrong += [f"{values.name}: {function.__name__}: {what}" for what in function(rendered)]
    if wrong:
        sys.exit("\n".join(wrong))
    print(f"{len(CLAIMS)} assertions hold for each of {len(files)} values files; {len(REFUSED)} bad values are refused")


main()

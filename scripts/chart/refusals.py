"""Values that the chart refuses, and its error messages."""

from rendered import helm

REFUSED = {  # arguments: part of the error message
    "--set colour=red": "additional properties 'colour' not allowed",
    "--set ingest.colour=red": "additional properties 'colour' not allowed",
    "--set config.kafka.partition=3": "additional properties 'partition' not allowed",
    "--set config.merchants=none": "additional properties 'merchants' not allowed",
    "--set config.kafka.partitions=many": "got string, want integer",
    "--set config.ingress.listen=0.0.0.0:80": "does not match pattern ':8080$'",
    r"--set config.kafka.properties.sasl\.password=x": "invalid propertyName 'sasl.password'",
    r"--set config.kafka.properties.ssl\.key\.pem=x": "invalid propertyName 'ssl.key.pem'",
    r"--set config.kafka.properties.plugin\.library\.paths=x": "invalid propertyName 'plugin.library.paths'",
    "--set mode=both": "/mode",
    "--set worker.replicas=-1": "minimum: got -1, want 0",
    "--set worker.replicas=12": "need partitions, and config.kafka.partitions is 12",
    "--set worker.keda.enabled=true": "worker.keda.serverAddress is empty",
    "--set merchants[0].region=us": "/merchants/0/region",
    "--set merchants[0].private_key=x": "additional properties 'private_key' not allowed",
    "--set extraEnv[0].name=API_TOKEN,extraEnv[0].value=x": "/extraEnv/0",
    "--set extraEnv[0].name=HTTPS_PROXY,extraEnv[0].value=http://me:word@proxy": "/extraEnv/0/value",
    "--set worker.kafka.secretFiles[0].property=../key": "/worker/kafka/secretFiles/0/property",
    "--set kafka.secretFiles[0].property=sasl.password,kafka.secretFiles[0].secretName=s,kafka.secretFiles[0].secretKey=k": (
        "/kafka/secretFiles/0/property"
    ),
    "--set kafka.secretProperties[0].property=ssl.ca.location,kafka.secretProperties[0].secretName=s,kafka.secretProperties[0].secretKey=k": (
        "kafka.secretProperties: ssl.ca.location names a file"
    ),
    "--set worker.kafka.secretProperties[0].property=ssl.key.location,worker.kafka.secretProperties[0].secretName=s"
    ",worker.kafka.secretProperties[0].secretKey=k": "put it under worker.kafka.secretFiles",
    "--set networkPolicy.kafkaPorts={70000}": "/networkPolicy/kafkaPorts/0",
    "--set monitoring.prometheusRule.projectUrl=docs": "/monitoring/prometheusRule/projectUrl",
    "--set extraEnv[0].name=OTEL_EXPORTER_OTLP_HEADERS,extraEnv[0].value=x": "/extraEnv/0",
    "--set config.telemetry.otlp_endpoint=http://collector:4318": "/config/telemetry/otlp_endpoint",
    "--set podSecurity.runAsUser=0": "/podSecurity/runAsUser",
    "--set image.repository=": "image.repository is empty",
    "--set config.kafka.bootstrap_servers=": "config.kafka.bootstrap_servers is empty",
    "--set-json merchants=[]": "merchants is empty",
    "--set-json ingress.hosts=[]": "ingress.hosts is empty",
    "--set gateway.enabled=true": "gateway.parentRefs is empty",
    "--set monitoring.serviceMonitor.enabled=true,monitoring.podMonitor.enabled=true": "both enabled",
}


ACCEPTED = [  # values that look wrong but are valid
    r"--set config.kafka.properties.sasl\.oauthbearer\.token\.endpoint\.url=https://x",
    "--set worker.replicas=12,worker.strategy.type=Recreate",
    # Without a port librdkafka uses 9092; without a NetworkPolicy the ports do not matter.
    r"--set networkPolicy.enabled=true,config.kafka.bootstrap_servers=kafka-1\,kafka-2:9092",
    "--set config.kafka.bootstrap_servers=kafka-1:9096",
]


def refusals(chart):
    good = chart / "ci/split-roles-values.yaml"
    for arguments, message in REFUSED.items():
        outcome = helm("template", "r", chart, "-f", good, *arguments.split(" "))
        if outcome.returncode == 0 or message not in outcome.stderr:
            yield f"{arguments} is not refused with {message!r}: {outcome.returncode} {outcome.stderr.strip()[-300:]}"
    for arguments in ACCEPTED:
        outcome = helm("template", "r", chart, "-f", good, *arguments.split(" "))
        if outcome.returncode != 0:
            yield f"{arguments} is refused: {outcome.stderr.strip()[-300:]}"


def every_object_of_the_schema_is_closed(part, path=""):
    """Only labels and similar maps, and objects that Kubernetes validates, are open."""
    if isinstance(part, list):
        for inner in part:
            yield from every_object_of_the_schema_is_closed(inner, path)
    if not isinstance(part, dict):
        return
    if part.get("type") == "object":
        described = "description" in part and "properties" not in part
        if part.get("additionalProperties", True) is not False and not described:
            yield f"{path} is open"
    for name, inner in part.items():
        yield from every_object_of_the_schema_is_closed(inner, f"{path}/{name}")

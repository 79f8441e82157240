"""Prints what OpenTelemetry's decoders find in bodies of OTLP, one line for each span and figure."""
import sys
from pathlib import Path

kind, traces, metrics = sys.argv[1], Path(sys.argv[2]).read_bytes(), Path(sys.argv[3]).read_bytes()
if kind == "protobuf":
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest as Traces
    from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest as Metrics
    traces, metrics = Traces.FromString(traces), Metrics.FromString(metrics)
else:
    from opentelemetry.proto_json.collector.trace.v1.trace_service import ExportTraceServiceRequest as Traces
    from opentelemetry.proto_json.collector.metrics.v1.metrics_service import ExportMetricsServiceRequest as Metrics
    traces, metrics = Traces.from_json(traces), Metrics.from_json(metrics)

def values(value):
    for name in ("string_value", "bool_value", "int_value", "double_value"):
        if kind == "protobuf":
            if value.HasField(name):
                return name, getattr(value, name)
        elif getattr(value, name) is not None:
            return name, getattr(value, name)

def attributes(of):
    return sorted((each.key, *values(each.value)) for each in of.attributes)

for resource in traces.resource_spans:
    print("resource", attributes(resource.resource))
    for scope in resource.scope_spans:
        print("scope", scope.scope.name, scope.scope.version)
        for span in scope.spans:
            ids = [(id or b"").hex() for id in (span.trace_id, span.span_id, span.parent_span_id)]
            events = [(event.time_unix_nano, event.name, attributes(event)) for event in span.events]
            links = [(link.trace_id.hex(), link.span_id.hex(), attributes(link)) for link in span.links]
            status = (int(span.status.code or 0), span.status.message or "") if span.status else (0, "")
            print("span", ids, repr(span.name), int(span.kind), span.start_time_unix_nano, span.end_time_unix_nano,
                  int(span.flags), attributes(span), events, links, status)
for resource in metrics.resource_metrics:
    for scope in resource.scope_metrics:
        for metric in scope.metrics:
            data = {name: getattr(metric, name) for name in ("gauge", "sum", "histogram")}
            if kind == "protobuf":
                data = {metric.WhichOneof("data"): getattr(metric, metric.WhichOneof("data"))}
            for name, data in data.items():
                if data is None:
                    continue
                temporality = int(getattr(data, "aggregation_temporality", 0) or 0)
                for point in data.data_points:
                    if name == "histogram":
                        value = (point.count, point.sum, list(point.bucket_counts), list(point.explicit_bounds))
                    elif kind == "protobuf":
                        value = getattr(point, point.WhichOneof("value"))
                    else:
                        value = point.as_int if point.as_int is not None else point.as_double
                    print("metric", metric.name, metric.unit, name, temporality, attributes(point),
                          point.start_time_unix_nano, point.time_unix_nano, value)

# Holds each line against the schema: what is wrong with it, or "ok". What a schema cannot say is looked at here.
import json, sys
import jsonschema

validator = jsonschema.Draft202012Validator(json.load(open(sys.argv[1])))
for line in sys.stdin:
    document = json.loads(line)
    wrong = [error.message[:200] for error in validator.iter_errors(document)]
    for directive in document.get("_aws", {}).get("CloudWatchMetrics", []):
        for name in sum(directive["Dimensions"], []):
            if not isinstance(document.get(name), str):
                wrong.append(f"dimension {name} has no text at the root")
        for metric in directive["Metrics"]:
            if not isinstance(document.get(metric["Name"]), (int, float, list)):
                wrong.append(f"metric {metric['Name']} has no number at the root")
    if len(line.encode()) > 1_000_000:
        wrong.append("longer than 1 MB")
    print("; ".join(wrong) or "ok")

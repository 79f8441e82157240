# What TensorBoard finds in a run, as JSON.
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

events = EventAccumulator(sys.argv[1], size_guidance={"scalars": 0, "histograms": 0})
events.Reload()
fields = ["min", "max", "num", "sum", "sum_squares", "bucket_limit", "bucket"]
print(json.dumps({
    "scalars": {
        tag: [[event.wall_time, event.step, event.value] for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    },
    "histograms": {
        tag: [
            [event.wall_time, event.step, {field: getattr(event.histogram_value, field) for field in fields}]
            for event in events.Histograms(tag)
        ]
        for tag in events.Tags()["histograms"]
    },
}))

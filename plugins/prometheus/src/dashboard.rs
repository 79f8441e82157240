//! A dashboard for Grafana, made of [`METRICS`].

use serde_json::{Value, json};

use crate::metrics::{METRICS, Panel};

/// Grafana's grid is 24 wide: two panels a row.
const WIDTH: usize = 12;
const HEIGHT: usize = 8;
/// What chooses the server: see `templating`.
const WHERE: &str = r#"instance=~"$instance""#;

/// The dashboard as JSON, to be imported: a panel for each metric that has one.
pub fn dashboard() -> Value {
    let shown = METRICS.iter().filter_map(|metric| Some((metric.name, metric.panel.as_ref()?)));
    let panels: Vec<Value> = shown.enumerate().map(|(at, (name, shown))| panel(at, name, shown)).collect();
    json!({
        "title": "Tickscope",
        "uid": "tickscope",
        "tags": ["tickscope"],
        "schemaVersion": 39,
        "version": 1,
        "editable": true,
        "refresh": "5s",
        "time": { "from": "now-1h", "to": "now" },
        "templating": { "list": [
            { "name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus" },
            {
                "name": "instance", "label": "Server", "type": "query", "datasource": datasource(),
                "query": { "query": "label_values(tickscope_recording_info, instance)", "refId": "instance" },
                "refresh": 2, "sort": 1, "multi": true, "includeAll": true, "allValue": ".*",
                "current": { "text": "All", "value": "$__all" },
            },
        ] },
        "panels": panels,
    })
}

fn datasource() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

fn panel(at: usize, name: &str, panel: &Panel) -> Value {
    let targets: Vec<Value> = panel
        .queries
        .iter()
        .zip('A'..='Z')
        .map(|((query, legend), letter)| {
            json!({
                "refId": letter.to_string(),
                "datasource": datasource(),
                "expr": query.replace("$metric", name).replace("$where", WHERE),
                "legendFormat": legend,
            })
        })
        .collect();
    json!({
        "id": at + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": datasource(),
        "gridPos": { "x": at % 2 * WIDTH, "y": at / 2 * HEIGHT, "w": WIDTH, "h": HEIGHT },
        "fieldConfig": { "defaults": { "unit": panel.unit, "min": 0 }, "overrides": [] },
        "options": { "tooltip": { "mode": "multi", "sort": "desc" } },
        "targets": targets,
    })
}

//! What foreign programs allocate: by function, by machine, and in `collectgarbage`.

use serde_json::Value;

use super::native::events;
use super::record::{conserved, installed, record, report};

/// Says by how much `take` grew the heap while nothing was collected, in bytes.
const TAKE: &str = r#"
local function take(n)
  local t = {}
  for i = 1, n do t[i] = { i } end
  return t
end
collectgarbage() collectgarbage("stop")
local before = collectgarbage("count")
local kept = take(50000)
print(string.format("%d", (collectgarbage("count") - before) * 1024))
-- Long enough to be seen.
local stop = os.clock() + 0.2
while os.clock() < stop do end
collectgarbage("restart")
kept = nil
collectgarbage()
for i = 1, 200000 do local t = { i } end
"#;

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

#[test]
fn what_functions_allocate_is_by_how_much_the_heap_grows() {
    for interpreter in ["lua5.1", "lua5.2", "lua5.3", "lua5.4"].into_iter().filter(|lua| installed(lua)) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("take.lua"), TAKE).unwrap();
        for depth in ["boundary", "sample", "trace"] {
            let output =
                record(folder.path(), &["--depth", depth], &[interpreter, "take.lua"]).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            // From run to run it differs by a few hundred bytes.
            let grown: u64 = String::from_utf8_lossy(&output.stdout).trim().parse().unwrap();
            let capture = folder.path().join("run.perfetto-trace");
            let report = report(&capture);
            conserved(&report, 0);
            let symbols = report["symbols"].as_array().unwrap();
            let all: u64 = symbols.iter().map(|symbol| number(&symbol["allocated_bytes"])).sum();
            let what = format!("{interpreter} at depth {depth}: {grown} grown, {all} in all");
            println!("{what}");
            // What the loop at the end takes and gives back is in it.
            assert!(all > grown + 200_000 * 40, "{what}");
            if depth == "trace" {
                let taken: u64 = symbols
                    .iter()
                    .filter(|symbol| symbol["function"] == "take")
                    .map(|symbol| number(&symbol["allocated_bytes"]))
                    .sum();
                // Blocks that made room for larger ones are in one figure only.
                assert!(grown <= taken + 1_000 && taken < grown + grown / 4, "{what}: {taken} in take");
            }
            let resource = &report["resources"][0];
            assert!(number(&resource["heap_peak_bytes"]) > 0, "{what}: {resource}");
            assert!(resource["gc_measured_ms"].as_f64().unwrap() > 0.0, "{what}: {resource}");
            assert!(resource["gc_inferred_ms"].as_f64().unwrap() > 0.0, "{what}: {resource}");
            if depth == "sample" {
                let heap = |event: &&Value| event["type"] == "counter" && event["name"] == "lua.heap_bytes";
                let events = events(&capture);
                let sizes: Vec<_> =
                    events.iter().filter(heap).filter_map(|event| event["value"].as_f64()).collect();
                assert!(sizes.iter().any(|size| *size > grown as f64 * 0.8), "{what}: {sizes:?}");
            }
        }
    }
}

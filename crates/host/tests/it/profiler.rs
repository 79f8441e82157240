//! `Profiler` of scripts, through the command.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::deterministic::check_directory;

/// A server of one resource.
fn server(script: &str) -> TempDir {
    let folder = TempDir::new().expect("a temporary folder");
    let resource = folder.path().join("resources/shop");
    std::fs::create_dir_all(&resource).expect("a writable folder");
    std::fs::write(
        resource.join("fxmanifest.lua"),
        "fx_version 'cerulean' game 'gta5' server_script 'main.lua'",
    )
    .expect("a writable folder");
    std::fs::write(resource.join("main.lua"), script).expect("a writable folder");
    folder
}

fn run(folder: &Path, args: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_tickscope"))
        .arg("run")
        .arg(folder)
        .args(["--virtual-time", "--seed", "7", "--tick-limit", "20s"])
        .args(args)
        .arg("-o")
        .arg(folder.join("run.perfetto-trace"))
        .stdin(Stdio::null())
        .output()
        .expect("the command runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

#[test]
fn an_anomaly_stands_in_the_report_of_the_run_and_of_its_capture() {
    let server = server(
        "CreateThread(function()
           Wait(100)
           Profiler.ReportAnomaly('slow_query', { ms = 812, table = 'users' })
         end)",
    );
    let live = run(server.path(), &["--ticks", "5", "--format", "json", "--budget", "1us"]);
    let live: Value = serde_json::from_slice(&live.stdout).expect("JSON");
    let expected = serde_json::json!([{
        "tick": 3, "kind": "slow_query", "resource": "shop", "file": "main.lua", "line": 3,
        "details": "ms=812, table=users",
    }]);
    assert_eq!(live["anomalies"], expected);
    let report = |format: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_tickscope"))
            .arg("report")
            .arg(server.path().join("run.perfetto-trace"))
            .args(["--format", format])
            .output()
            .expect("the command runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    let read: Value = serde_json::from_str(&report("json")).expect("JSON");
    assert_eq!(read["anomalies"], expected);
    // no tick is as short as its budget, so that each is late
    let text = report("text");
    let said = "tick 3, shop: anomaly slow_query main.lua:3  ms=812, table=users";
    assert!(text.contains(said), "{text}");
    assert!(text.contains("reported in it: anomaly slow_query main.lua:3 of shop"), "{text}");
}

/// A callback that calls functions of its own and prints what it is told of functions.
const LISTENS: &str = "
    local function tell(counts)
        local names = {}
        for name in pairs(counts) do names[#names + 1] = name end
        table.sort(names)
        for at, name in ipairs(names) do names[at] = name .. '=' .. counts[name] end
        print(table.concat(names, ' '))
    end
    Profiler.SetFlushInterval(200)
    Profiler.SetLuaCallback(function(samples)
        local counts, last = { dropped = samples.dropped }, 0
        for _, sample in ipairs(samples) do
            local name = sample.category .. ' ' .. sample.function_name
            counts[name] = (counts[name] or 0) + 1
            assert(sample.start_us <= sample.end_us and sample.span_id > 0)
            assert(sample.resource_name == 'shop' or sample.category == 'tick')
            last = math.max(last, sample.span_id)
        end
        counts.last = last
        tell(counts)
    end)
    local function work() return 1 end
    CreateThread(function() while true do Wait(0) for _ = 1, 10 do work() end end end)";

#[test]
fn samples_are_given_in_ticks_the_same_in_each_run_and_do_not_feed_themselves() {
    let server = server(LISTENS);
    let printed = check_directory(server.path(), &["--depth", "trace", "--ticks", "60"]);
    let lines: Vec<_> = printed.lines().collect();
    // at once, and then every fourth tick
    assert_eq!(lines.len(), 15, "{printed}");
    let steady = &lines[2..];
    for line in steady {
        assert!(line.contains("function work=40 ") && line.contains("tick tick=4"), "{printed}");
        assert!(
            line.contains("dropped=0") && !line.contains("tell") && !line.contains("profiler"),
            "{printed}"
        );
    }
}

#[test]
fn there_is_an_end_to_what_is_given_at_a_time() {
    let server = server(
        "local function work() return 1 end
         local batches = 0
         Profiler.SetLuaCallback(function(samples)
             batches = batches + 1
             if batches == 3 then print('given', #samples, samples.dropped > 10000, samples[1].start_us > 0) end
         end)
         CreateThread(function() while true do Wait(0) for _ = 1, 20000 do work() end end end)",
    );
    let output = run(server.path(), &["--depth", "trace", "--ticks", "5"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("given\t1000\ttrue\ttrue"), "{text}");
}

#[test]
fn exports_hold_what_was_recorded_so_far_and_are_files_of_their_formats() {
    let server = server(
        "local function before_it() local sum = 0 for i = 1, 100000 do sum = sum + i end return sum end
         local function after_it() return before_it() end
         CreateThread(function()
             before_it()
             Wait(0)
             print('speedscope', Profiler.ExportSpeedscope('profile.speedscope.json'))
             print('graph', Profiler.ExportFlameGraph('graph.svg'))
             print('csv', Profiler.ExportCSV('all.csv'))
             after_it()
             print(pcall(Profiler.ExportCSV, '../all.csv'))
         end)",
    );
    let output = run(server.path(), &["--depth", "trace", "--ticks", "4"]);
    let text = String::from_utf8_lossy(&output.stdout);
    for format in ["speedscope", "graph", "csv"] {
        assert!(text.contains(&format!("{format}\ttrue")), "{text}");
    }
    assert!(text.contains("bad argument #1 to 'Profiler.ExportCSV'"), "{text}");
    let resource = server.path().join("resources/shop");
    let read = |name: &str| std::fs::read_to_string(resource.join(name)).expect("was written");

    let profile: Value = serde_json::from_str(&read("profile.speedscope.json")).expect("JSON");
    let frames = profile["shared"]["frames"].as_array().expect("frames");
    let named = |name: &str| {
        frames.iter().any(|frame| frame["name"].as_str().is_some_and(|frame| frame.contains(name)))
    };
    assert!(named("before_it") && !named("after_it"), "{profile}");

    let graph = read("graph.svg");
    assert!(graph.starts_with("<?xml") && graph.trim_end().ends_with("</svg>"), "{graph}");
    assert!(graph.contains("before_it") && !graph.contains("after_it"), "{graph}");

    let table = read("all.csv");
    let columns = table.lines().next().expect("a line of names").split(',').count();
    assert!(
        table.lines().count() > 10 && table.contains(",before_it,") && !table.contains(",after_it,"),
        "{table}"
    );
    // no cell before the last holds a comma or a line end here
    assert!(table.lines().all(|line| line.splitn(columns, ',').count() == columns), "{table}");
}

#[test]
fn functions_of_one_resource_are_recorded_at_the_depth_of_the_run() {
    let server = server(
        "Profiler.EnableForResource('shop')
         local function work() return 1 end
         CreateThread(function() while true do Wait(0) work() end end)",
    );
    let other = server.path().join("resources/bank");
    std::fs::create_dir_all(&other).expect("a writable folder");
    let shop = server.path().join("resources/shop");
    std::fs::copy(shop.join("fxmanifest.lua"), other.join("fxmanifest.lua")).expect("a writable folder");
    let script = "local function count() end CreateThread(function() while true do Wait(0) count() end end)";
    std::fs::write(other.join("main.lua"), script).expect("a writable folder");
    let calls = |depth: &str| {
        let output = run(server.path(), &["--ticks", "5", "--format", "json", "--depth", depth]);
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let symbols = report["symbols"].as_array().expect("symbols").clone();
        let count = |resource: &str, function: &str| {
            let found = symbols.iter().find(|symbol| {
                symbol["resource"] == resource
                    && symbol["function"] == function
                    && symbol["kind"] == "function"
            });
            found.map_or(0, |symbol| symbol["calls"].as_u64().unwrap_or(0))
        };
        let threads = symbols.iter().filter(|symbol| symbol["kind"] == "thread").count();
        (count("shop", "work"), count("bank", "count"), threads)
    };
    assert_eq!(calls("trace"), (4, 0, 2), "threads are recorded all the same");
    assert_eq!(calls("boundary"), (0, 0, 2));
}

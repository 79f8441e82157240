//! A server of a hundred resources: how long its start takes, and what it costs when nobody is there.
//!
//! The resources are made here, of the kind servers have: a shared configuration, a thread that looks every tick, slower
//! ones, net events, an export that the next one calls, commands, state, a convar.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::cargo::cargo;
use crate::metadata;
use crate::oracles::tickscope;
use crate::process;

const RESOURCES: usize = 100;
/// How many of them have a thread that looks every tick.
const BUSY: usize = 20;
const STARTS: usize = 5;
/// How long it is left idle before and while it is measured.
const SETTLE: Duration = Duration::from_secs(3);
const IDLE: Duration = Duration::from_secs(20);
/// What the last resource prints when it has loaded.
const READY: &str = "the last of a hundred";

/// Measures both and prints them, with the load of the machine before.
pub(super) fn run() -> Result<()> {
    process::show(&mut cargo(["build", "--release", "--package", "tickscope-cli"]))?;
    let server = metadata::target_dir().join("hundred");
    make(&server)?;
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("{RESOURCES} resources, {BUSY} of them look every tick; load average {}", load.trim());
    let mut starts = Vec::new();
    for _ in 0..STARTS {
        let (mut child, took) = start(&server, &["--depth", "boundary"])?;
        child.kill()?;
        child.wait()?;
        starts.push(took.as_secs_f64());
    }
    starts.sort_by(f64::total_cmp);
    println!(
        "start, from the command to the last script: median {:.2} s of {STARTS}, {:.2} s to {:.2} s",
        starts[STARTS / 2],
        starts[0],
        starts[STARTS - 1],
    );
    for depth in ["boundary", "sample"] {
        let (mut child, _) = start(&server, &["--depth", depth])?;
        std::thread::sleep(SETTLE);
        let (before, began) = (cpu(&child)?, Instant::now());
        std::thread::sleep(IDLE);
        let used = cpu(&child)?.saturating_sub(before);
        let percent = used.as_secs_f64() / began.elapsed().as_secs_f64() * 100.0;
        child.kill()?;
        child.wait()?;
        println!(
            "idle at 20 Hz, depth {depth}: {percent:.1} % of a core, all threads, over {} s",
            IDLE.as_secs()
        );
    }
    Ok(())
}

/// Starts the server in real time; answers when its last resource has loaded.
fn start(server: &Path, options: &[&str]) -> Result<(Child, Duration)> {
    let mut command = Command::new(tickscope());
    command.arg("run").arg(server).args(["--ticks", "0", "-o"]).arg(capture()).args(options);
    let began = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start the release build")?;
    let mut out = BufReader::new(child.stdout.take().context("it has no standard output")?);
    let mut line = String::new();
    while out.read_line(&mut line)? > 0 {
        if line.contains(READY) {
            let took = began.elapsed();
            // it goes on printing, and would stop when nobody reads
            std::thread::spawn(move || std::io::copy(&mut out, &mut std::io::sink()));
            return Ok((child, took));
        }
        line.clear();
    }
    let _ = child.kill();
    let ended = child.wait()?;
    ensure!(false, "it ended with {ended} before its last resource had loaded");
    Ok((child, began.elapsed()))
}

fn capture() -> PathBuf {
    metadata::target_dir().join("hundred.perfetto-trace")
}

/// Processor time of all threads of a process up to now.
fn cpu(child: &Child) -> Result<Duration> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{}/task", child.id())).context("it is not running any more")? {
        // a thread may end between the two looks
        let stat = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        total += stat.split_whitespace().next().and_then(|ns| ns.parse().ok()).unwrap_or(0_u64);
    }
    Ok(Duration::from_nanos(total))
}

fn make(server: &Path) -> Result<()> {
    if server.exists() {
        fs::remove_dir_all(server)?;
    }
    let mut cfg = String::from("sv_hostname \"a hundred\"\nset onesync on\n");
    for at in 0..RESOURCES {
        let name = format!("res{at:02}");
        let folder = server.join(format!("resources/[group{}]/{name}", at % 10));
        fs::create_dir_all(folder.join("server"))?;
        fs::create_dir_all(folder.join("shared"))?;
        writeln!(cfg, "ensure {name}")?;
        let needs = if at % 10 == 0 { String::new() } else { format!("dependency 'res{:02}'\n", at - 1) };
        fs::write(
            folder.join("fxmanifest.lua"),
            format!(
                "fx_version 'cerulean'\ngame 'gta5'\nversion '1.0.{at}'\n{needs}\
                 shared_scripts {{ 'shared/*.lua' }}\nserver_scripts {{ 'server/*.lua' }}\n"
            ),
        )?;
        let mut config = String::from("Config = { items = {} }\n");
        for item in 0..200 {
            writeln!(
                config,
                "Config.items['item{item}'] = {{ label = 'Item {item}', weight = {item}, hash = `item{item}`, at = vec3({item}.0, 1.0, 2.0) }}"
            )?;
        }
        fs::write(folder.join("shared/config.lua"), config)?;
        fs::write(folder.join("server/main.lua"), main_script(at))?;
        for part in 0..4 {
            fs::write(folder.join(format!("server/part{part}.lua")), part_script(at, part)?)?;
        }
    }
    fs::write(server.join("server.cfg"), cfg)?;
    Ok(())
}

fn main_script(at: usize) -> String {
    let busy = if at < BUSY {
        "CreateThread(function()\n  while true do\n    Wait(0)\n    for _, player in ipairs(GetPlayers()) do Look(player) end\n  end\nend)\n"
    } else {
        ""
    };
    let ready = if at + 1 == RESOURCES { format!("print('{READY}')\n") } else { String::new() };
    let before = at.saturating_sub(1);
    format!(
        "local known = {{}}
function Look(player) known[player] = GetEntityCoords(GetPlayerPed(player)) end
exports('known', function(player) return known[player] end)
{busy}CreateThread(function()
  while true do
    Wait(1000)
    GlobalState.beat{at} = GetGameTimer()
    TriggerEvent('hundred:beat{at}', {{ at = {at}, names = {{ 'a', 'b' }} }})
  end
end)
CreateThread(function()
  while true do
    Wait(5000)
    if GetResourceState('res{before:02}') == 'started' then exports['res{before:02}']:known('1') end
  end
end)
AddEventHandler('hundred:beat{before}', function(beat) known.beat = beat.at end)
AddEventHandler('playerDropped', function() known[tostring(source)] = nil end)
RegisterNetEvent('res{at:02}:ask', function(what) TriggerClientEvent('res{at:02}:answer', source, known[what]) end)
RegisterCommand('res{at:02}', function(who, words) print(who, #words) end, true)
{ready}"
    )
}

/// A file of functions, as most of a resource is.
fn part_script(at: usize, part: usize) -> Result<String> {
    let mut script = String::new();
    for function in 0..30 {
        writeln!(
            script,
            "function Part{part}_{function}(player, item)
  local found = Config.items[item]
  if not found then return false, ('no %s'):format(item) end
  local state = Player(player)?.state
  local count = {at}
  count += found.weight
  for key, value in pairs(Config.items) do
    if value.weight > count and key ~= item then count += 1 end
  end
  return state ~= nil, count
end"
        )?;
    }
    Ok(script)
}

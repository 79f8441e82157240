//! `tickscope record`: C# programs under Debian's Mono.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::record::{conserved, finds_the_split, installed, record, report, same};

/// Recursion, exceptions, collections, threads, and an end inside managed code.
const WORK: &str = r#"
using System; using System.Collections.Generic; using System.Threading; using System.Runtime.CompilerServices;
namespace Shop {
  class Item { public int Price; }
  class Grumble : Exception { }
  static class Work {
    const MethodImplOptions Own = MethodImplOptions.NoInlining;
    [MethodImpl(Own)] static int Fib(int n) { return n < 2 ? n : Fib(n - 1) + Fib(n - 2); }
    [MethodImpl(Own)] static void Deep(int n) { if (n == 0) throw new Grumble(); Deep(n - 1); }
    [MethodImpl(Own)] static int Catching() { try { Deep(2); return 0; } catch (Grumble) { return 1; } }
    [MethodImpl(Own)] static Item[] Stock(int n) {
      var all = new Item[n]; for (int i = 0; i < n; i++) all[i] = new Item { Price = i }; return all; }
    static void Aside() { Fib(15); }
    static int Main(string[] words) {
      Console.WriteLine("fib {0}", Fib(16));
      int caught = 0;
      for (int i = 0; i < 10000; i++) caught += Catching();
      Console.WriteLine("caught {0}", caught);
      for (int i = 0; i < 5; i++) { Stock(1000); GC.Collect(); }
      var threads = new List<Thread>();
      for (int i = 0; i < 3; i++) { var t = new Thread(Aside); t.Start(); threads.Add(t); }
      foreach (var t in threads) t.Join();
      Console.Error.WriteLine("to standard error");
      Console.WriteLine(string.Join(" ", words));
      Environment.Exit(7);
      return 0;
    }
  }
}
"#;

const SPLIT: &str = r#"
using System; using System.Runtime.CompilerServices;
static class Split {
  const MethodImplOptions Own = MethodImplOptions.NoInlining;
  [MethodImpl(Own)] static long Hot(int n) { long s = 0; for (int i = 0; i < n * 17; i++) s += i % 7; return s; }
  [MethodImpl(Own)] static long Warm(int n) { long s = 0; for (int i = 0; i < n * 3; i++) s += i % 7; return s; }
  static void Main() { long s = 0; for (int i = 0; i < 60000; i++) s += Hot(1000) + Warm(1000); Console.WriteLine(s); }
}
"#;

/// Nearly always inside the allocator, and called by many methods that were compiled ahead of time.
const ALLOC: &str = r#"
using System; using System.Collections.Generic; using System.Runtime.InteropServices; using System.Threading;
static class Alloc {
  [DllImport("libc.so.6")] static extern IntPtr malloc(IntPtr size);
  [DllImport("libc.so.6")] static extern void free(IntPtr place);
  static bool Work(string word) {
    var places = new IntPtr[64];
    var from = Environment.TickCount;
    while (Environment.TickCount - from < 30) {
      for (int i = 0; i < places.Length; i++) places[i] = malloc((IntPtr)(2000 + 600 * i));
      for (int i = 0; i < places.Length; i += 2) free(places[i]);
      for (int i = 1; i < places.Length; i += 2) free(places[i]);
    }
    return word == null;
  }
  static void Main() {
    var words = new[] { "one", "two" };
    var list = new List<string>(words);
    // Methods of the framework, which Debian compiles ahead of time.
    Array.Exists(words, w => Work(w));
    Array.Find(words, w => Work(w));
    Array.FindAll(words, w => Work(w));
    Array.FindIndex(words, w => Work(w));
    Array.FindLast(words, w => Work(w));
    Array.ForEach(words, w => Work(w));
    Array.ConvertAll(words, w => { Work(w); return w; });
    Array.Sort(words, (a, b) => { Work(a); return 0; });
    list.ForEach(w => Work(w));
    list.Exists(w => Work(w));
    list.FindLast(w => Work(w));
    list.RemoveAll(w => Work(w));
    list.ConvertAll(w => { Work(w); return w; });
    list.Sort((a, b) => { Work(a); return 0; });
    new Lazy<string>(() => { Work(""); return ""; }).Value.ToString();
    var thread = new Thread(() => Work("")); thread.Start(); thread.Join();
    using (new Timer(_ => Work(""), null, 0, -1)) Thread.Sleep(60);
    ThreadPool.QueueUserWorkItem(_ => Work("")); Thread.Sleep(60);
    AppDomain.CurrentDomain.DoCallBack(() => Work(""));
    Console.WriteLine("done");
  }
}
"#;

/// Domains that come and go, children, and what is finalized at the end.
const LIFE: &str = r#"
using System; using System.Diagnostics; using System.Runtime.CompilerServices;
class Last {
  ~Last() { System.IO.File.WriteAllText("finalized", Environment.HasShutdownStarted.ToString()); }
}
class Guest : MarshalByRefObject {
  [MethodImpl(MethodImplOptions.NoInlining)] public int Twice(int n) { return n == 0 ? 0 : Twice(n - 1) + 2; }
  public int Throws() { throw new InvalidOperationException("across domains"); }
}
static class Life {
  internal static Last last = new Last();
  static void Domain(int number) {
    var domain = AppDomain.CreateDomain("guest " + number);
    var guest = (Guest)domain.CreateInstanceAndUnwrap(typeof(Guest).Assembly.FullName, "Guest");
    int sum = guest.Twice(number);
    try { guest.Throws(); } catch (InvalidOperationException error) { Console.WriteLine(error.Message); }
    AppDomain.Unload(domain);
    Console.WriteLine("{0} {1}", domain == AppDomain.CurrentDomain, sum);
  }
  static void Child(string word) {
    var start = new ProcessStartInfo("sh", "-c \"echo " + word + "; exit 3\"") { UseShellExecute = false, RedirectStandardOutput = true };
    using (var child = Process.Start(start)) {
      Console.Write(child.StandardOutput.ReadToEnd());
      child.WaitForExit();
      Console.WriteLine("ended with {0}", child.ExitCode);
    }
  }
  static void Main() {
    for (int i = 1; i <= 8; i++) Domain(i);
    for (int i = 0; i < 5; i++) Child("word" + i);
    Console.WriteLine("the end");
  }
}
"#;

/// Exceptions that pass through three methods, many times; leaves the most memory that it had, in KiB, in a file.
const THROWS: &str = r#"
using System; using System.IO; using System.Runtime.CompilerServices;
static class Throws {
  const MethodImplOptions Own = MethodImplOptions.NoInlining;
  static int cleaned;
  [MethodImpl(Own)] static void Deep(int n) {
    if (n == 0) throw new InvalidOperationException();
    try { Deep(n - 1); } finally { cleaned++; }
  }
  [MethodImpl(Own)] static int Catching() {
    try { Deep(2); return 0; } catch (InvalidOperationException) { return 1; }
  }
  static void Main() {
    int caught = 0;
    for (int i = 0; i < 100000; i++) caught += Catching();
    Console.WriteLine("{0} {1}", caught, cleaned);
    foreach (var line in File.ReadLines("/proc/self/status"))
      if (line.StartsWith("VmHWM:")) File.WriteAllText("peak", line.Split(new[] { ' ', '\t' }, StringSplitOptions.RemoveEmptyEntries)[1]);
  }
}
"#;

/// Threads that are ended from outside, where Mono and its own sampler do not bear each other.
const ABORTS: &str = r#"
using System; using System.Threading;
static class Aborts {
  static volatile int spun;
  static void Spin() { try { while (true) spun++; } catch (ThreadAbortException) { Thread.ResetAbort(); } }
  static void Main() {
    int ended = 0;
    for (int i = 0; i < 1500; i++) { var t = new Thread(Spin); t.Start(); Thread.Yield(); t.Abort(); t.Join(); ended++; }
    Console.WriteLine(ended);
  }
}
"#;

/// Whether there is a Mono here and it compiled the program.
fn compiled(folder: &Path, name: &str, source: &str) -> bool {
    if !installed("mcs") || !installed("mono") {
        return false;
    }
    std::fs::write(folder.join(format!("{name}.cs")), source).unwrap();
    let mut compiler = Command::new("mcs");
    compiler.arg(format!("-out:{name}.exe")).arg(format!("{name}.cs")).current_dir(folder);
    let output = compiler.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    true
}

/// The sum of a figure over what is called so.
fn sum(report: &Value, function: &str, kind: &str, figure: &str) -> f64 {
    let symbols = report["symbols"].as_array().unwrap();
    let own = symbols.iter().filter(|symbol| symbol["function"] == function && symbol["kind"] == kind);
    own.filter_map(|symbol| symbol[figure].as_f64()).sum()
}

#[test]
fn a_program_runs_as_without_and_its_methods_are_named() {
    let folder = tempfile::tempdir().unwrap();
    if !compiled(folder.path(), "work", WORK) {
        return;
    }
    let words = ["mono", "work.exe", "a", "b"];
    let plain = Command::new("mono").args(&words[1..]).current_dir(folder.path()).output().unwrap();
    assert_eq!(plain.status.code(), Some(7));
    for depth in ["boundary", "sample", "trace"] {
        let output = record(folder.path(), &["--depth", depth], &words).output().unwrap();
        same(&output, &plain);
        let report = report(&folder.path().join("run.perfetto-trace"));
        conserved(&report, 0);
        // What invokes it and the call itself have the same name, and are told as one.
        let (kind, calls) = if depth == "trace" { ("function", 2.0) } else { ("entry", 1.0) };
        assert_eq!(sum(&report, "Shop.Work:Main", kind, "calls"), calls, "at depth {depth}");
        assert!(sum(&report, "collect (measured)", "gc", "calls") >= 5.0, "at depth {depth}");
        if depth != "trace" {
            continue;
        }
        let calls = |name: &str| sum(&report, name, "function", "calls");
        // What the program does, counted: fib(16) has 3,193 calls, fib(15) 1,973.
        assert_eq!(calls("Shop.Work:Fib"), 3_193.0 + 3.0 * 1_973.0);
        assert_eq!(calls("Shop.Work:Catching"), 10_000.0);
        assert_eq!(calls("Shop.Work:Deep"), 30_000.0);
        // Each of them was left by the exception, and nothing else was.
        assert_eq!(sum(&report, "Shop.Work:Deep", "function", "errors"), 30_000.0);
        assert_eq!(sum(&report, "Shop.Work:Catching", "function", "errors"), 0.0);
        assert_eq!(calls("Shop.Work:Aside"), 3.0);
        // Arrays of 1,000 references of 8 bytes, and 1,000 items of 20 at least, five times.
        assert!(sum(&report, "Shop.Work:Stock", "function", "allocated_bytes") >= 5.0 * 28_000.0);
    }
}

#[test]
fn samples_find_the_methods_that_take_the_time() {
    let folder = tempfile::tempdir().unwrap();
    if !compiled(folder.path(), "split", SPLIT) {
        return;
    }
    finds_the_split("mono", 0.03, || {
        let output = record(folder.path(), &[], &["mono", "split.exe"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report = report(&folder.path().join("run.perfetto-trace"));
        conserved(&report, 0);
        let of = |name: &str| sum(&report, name, "function", "self_ms");
        of("Split:Hot") / (of("Split:Hot") + of("Split:Warm"))
    });
}

/// Mono's own walk of a stack allocates, and at the end it looks at the stacks of threads of a pool. Without the gate before
/// its handler such a program waits for itself in one run of six, and is ended by Mono in one of nine.
#[test]
fn a_thread_may_be_sampled_inside_the_allocator() {
    let folder = tempfile::tempdir().unwrap();
    if !compiled(folder.path(), "alloc", ALLOC) {
        return;
    }
    for _ in 0..3 {
        let output = record(folder.path(), &[], &["timeout", "60", "mono", "alloc.exe"]).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let report = report(&folder.path().join("run.perfetto-trace"));
        conserved(&report, 0);
        let name = "runtime and C library (callers not known)";
        assert!(sum(&report, name, "function", "self_ms") > 0.0, "{report:#}");
    }
}

#[test]
fn domains_children_and_finalizers_are_as_without() {
    let folder = tempfile::tempdir().unwrap();
    if !compiled(folder.path(), "life", LIFE) {
        return;
    }
    let words = ["mono", "life.exe"];
    let plain = Command::new("mono").arg("life.exe").current_dir(folder.path()).output().unwrap();
    assert!(plain.status.success(), "{}", String::from_utf8_lossy(&plain.stderr));
    let finalized = folder.path().join("finalized");
    assert_eq!(std::fs::read_to_string(&finalized).unwrap(), "True");
    for depth in ["boundary", "sample", "trace"] {
        std::fs::remove_file(&finalized).unwrap();
        let output = record(folder.path(), &["--depth", depth], &words).output().unwrap();
        same(&output, &plain);
        assert_eq!(std::fs::read_to_string(&finalized).unwrap(), "True");
        let report = report(&folder.path().join("run.perfetto-trace"));
        conserved(&report, 0);
        if depth == "trace" {
            // Domain n asks for n + 1 calls.
            assert_eq!(sum(&report, "Guest:Twice", "function", "calls"), 44.0);
            assert_eq!(sum(&report, "Guest:Throws", "function", "errors"), 8.0);
            assert_eq!(sum(&report, "Life:Child", "function", "calls"), 5.0);
        }
    }
}

#[test]
fn many_exceptions_cost_no_more_memory_than_few() {
    let folder = tempfile::tempdir().unwrap();
    if !compiled(folder.path(), "throws", THROWS) {
        return;
    }
    let peak = || -> u64 { std::fs::read_to_string(folder.path().join("peak")).unwrap().parse().unwrap() };
    let plain = Command::new("mono").arg("throws.exe").current_dir(folder.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&plain.stdout), "100000 200000\n");
    let without = peak();
    for depth in ["boundary", "sample", "trace"] {
        let output = record(folder.path(), &["--depth", depth], &["mono", "throws.exe"]).output().unwrap();
        same(&output, &plain);
        let report = report(&folder.path().join("run.perfetto-trace"));
        conserved(&report, 0);
        // A process is promised 80 MiB at most; the agent's own code and tables are on top.
        let more = peak().saturating_sub(without);
        assert!(more < 100 << 10, "{more} KiB more at depth {depth}");
    }
}

#[test]
fn threads_are_aborted_as_without() {
    let folder = tempfile::tempdir().unwrap();
    if !compiled(folder.path(), "aborts", ABORTS) {
        return;
    }
    for depth in ["boundary", "sample", "trace"] {
        let output = record(folder.path(), &["--depth", depth], &["mono", "aborts.exe"]).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(String::from_utf8_lossy(&output.stdout), "1500\n", "at depth {depth}: {errors}");
        assert!(!errors.contains("not sampled"), "at depth {depth}: {errors}");
        conserved(&report(&folder.path().join("run.perfetto-trace")), 0);
    }
}

//! Work on other threads, without a server around it.

use std::sync::mpsc::Sender;

use super::*;
use crate::{NoRecorder, Server, ServerConfig, Silent};

const ONE: Service = Service { name: "one", threads: 1 };
const MANY: Service = Service { name: "many", threads: 8 };

struct Bench {
    server: Server<NoRecorder>,
    told: Rc<RefCell<Vec<String>>>,
    _folder: tempfile::TempDir,
}

impl Bench {
    fn new(virtual_time: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a", "b"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("fxmanifest.lua"), "fx_version 'cerulean'").unwrap();
        }
        let mut config = ServerConfig::new(folder.path());
        config.virtual_time = virtual_time;
        config.tick_interval = Duration::from_millis(if virtual_time { 50 } else { 1 });
        let server = Server::start(config, NoRecorder::default(), Silent).unwrap();
        Self { server, told: Rc::default(), _folder: folder }
    }

    /// Asks for `work` on behalf of a resource; the answer is told with the tick it came in.
    fn ask(
        &self,
        (service, resource, latency_ms): (Service, &str, u64),
        work: impl FnOnce() -> &'static str + Send + 'static,
    ) -> Result<(), OutsideError> {
        let host = self.server.host();
        let told = Rc::clone(&self.told);
        let request = Request {
            service,
            resource: &host.find(resource).unwrap(),
            latency: Duration::from_millis(latency_ms),
            symbol: SymbolId::OTHER,
            category: CategoryId::SQL,
        };
        host.submit(&request, work, move |host, answer, _| {
            let text = match answer {
                Ok(text) => text.to_owned(),
                Err(error) => error.to_string(),
            };
            told.borrow_mut().push(format!("{}: {text}", host.tick.get()));
        })
    }

    fn told(&mut self, ticks: usize) -> Vec<String> {
        for _ in 0..ticks {
            self.server.tick();
        }
        self.told.take()
    }
}

/// Work that ends when it is told to.
fn held(text: &'static str) -> (Sender<()>, impl FnOnce() -> &'static str + Send) {
    let (go, wait) = channel();
    let work = move || {
        let _ = wait.recv();
        text
    };
    (go, work)
}

#[test]
fn in_virtual_time_answers_come_when_they_are_due_whoever_was_faster() {
    let mut bench = Bench::new(true);
    bench.ask((MANY, "a", 120), || "late").unwrap();
    let (go, slow) = held("slow");
    bench.ask((MANY, "a", 0), slow).unwrap();
    bench.ask((MANY, "a", 0), || "fast").unwrap();
    bench.ask((MANY, "b", 50), || "exact").unwrap();
    let other = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        go.send(()).unwrap();
    });
    assert_eq!(bench.told(4), ["1: slow", "1: fast", "1: exact", "3: late"]);
    other.join().unwrap();
}

#[test]
fn in_real_time_nothing_waits_for_an_answer_that_is_not_there() {
    let mut bench = Bench::new(false);
    let (go, slow) = held("slow");
    bench.ask((ONE, "a", 0), slow).unwrap();
    assert!(bench.told(20).is_empty());
    go.send(()).unwrap();
    let mut told = Vec::new();
    while told.is_empty() {
        told = bench.told(1);
    }
    assert!(told[0].ends_with("slow"), "{told:?}");
}

#[test]
fn the_answer_of_a_resource_that_stopped_is_dropped_and_the_work_is_done() {
    let mut bench = Bench::new(true);
    let (done, is_done) = channel();
    bench
        .ask((ONE, "a", 0), move || {
            done.send(()).unwrap();
            "a"
        })
        .unwrap();
    bench.ask((ONE, "b", 0), || "b").unwrap();
    let a = bench.server.host().find("a").unwrap();
    bench.server.host().stop_resource(&a);
    assert_eq!(bench.told(3), ["1: b"]);
    is_done.recv().unwrap();
}

#[test]
fn work_that_panics_is_an_error_of_its_own() {
    let mut bench = Bench::new(true);
    bench.ask((ONE, "a", 0), || std::panic::resume_unwind(Box::new(()))).unwrap();
    bench.ask((ONE, "a", 0), || "next").unwrap();
    let told = bench.told(1);
    assert!(told[0].contains("failed on its thread"), "{told:?}");
    assert_eq!(told[1..], ["1: next"]);
}

#[test]
fn a_queue_is_bounded() {
    let bench = Bench::new(false);
    let (go, slow) = held("slow");
    bench.ask((ONE, "a", 0), slow).unwrap();
    let refused = (0..=MAX_QUEUE + 1).find_map(|_| bench.ask((ONE, "a", 0), || "more").err());
    assert_eq!(refused, Some(OutsideError::Full { service: "one" }));
    drop(go);
}

#[test]
fn the_end_of_a_run_waits_for_work_but_not_for_ever() {
    let bench = Bench::new(true);
    let (done, is_done) = channel();
    bench
        .ask((ONE, "a", 0), move || {
            std::thread::sleep(Duration::from_millis(20));
            done.send(()).unwrap();
            "saved"
        })
        .unwrap();
    bench.server.stop();
    assert!(is_done.try_recv().is_ok());

    let bench = Bench::new(true);
    let (go, stuck) = held("stuck");
    bench.ask((ONE, "a", 0), stuck).unwrap();
    bench.server.stop();
    drop(go);
}

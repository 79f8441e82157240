//! Two coroutines take turns on one thread; a pump collects beside them, and the story is printed.
//!
//! ```console
//! $ cargo run -p tickscope-session --example coroutines
//! ```

use tickscope_core::{
    CategoryId, Event, Outcome, Recorder, RecordingSink, SwitchReason, SymbolRef, Track, TrackKind,
};
use tickscope_session::{Config, ConfigError, Pump, PumpConfig, Session};

fn main() -> Result<(), ConfigError> {
    let (session, collector) = Session::new(Config::default())?;
    let sinks = vec![("memory".to_owned(), RecordingSink::default())];
    let pump = Pump::start(collector, sinks, PumpConfig::default());

    let main = session.thread("main");
    let step = main.intern_symbol(SymbolRef::host("step"));
    let coroutine = |name: &str| {
        main.new_track(Track {
            kind: TrackKind::Coroutine,
            parent: main.thread_track(),
            os_id: 0,
            name: name.into(),
            resource: "".into(),
        })
    };
    let tracks = [coroutine("walk"), coroutine("talk")];
    let mut open = [None; 2];
    for round in 0..3 {
        for (track, span) in tracks.iter().zip(&mut open) {
            main.resume(main.now(), *track);
            // A span survives the suspensions of its coroutine: begun in the first round, ended in the last.
            match round {
                0 => *span = Some(main.enter(main.now(), step, CategoryId::COROUTINE)),
                2 => {
                    if let Some(span) = span.take() {
                        main.exit(main.now(), span, Outcome::Ok, 0);
                    }
                }
                _ => {}
            }
            main.suspend(main.now(), if round == 2 { SwitchReason::Return } else { SwitchReason::Yield });
        }
    }
    drop(main);

    let finished = pump.stop();
    for outcome in &finished.sinks {
        let (sink, names) = (&outcome.sink, &outcome.sink.dictionary);
        for sample in &sink.samples {
            let track = &names.track(sample.track).name;
            match sample.event {
                Event::Resume { .. } => println!("{track}: runs"),
                Event::Suspend { reason, .. } => println!("{track}: stops ({})", reason.name()),
                Event::Begin(begin) => println!("{track}: begins {}", names.symbol(begin.symbol).name),
                Event::End(end) => {
                    println!("{track}: ended after {} ns", sample.time_ns - end.begin_ns);
                }
                _ => {}
            }
        }
    }
    println!("{:?}", finished.account);
    Ok(())
}

//! The server: what a host starts, ticks and stops.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tickscope_core::{ArgInput, CategoryId, CounterValue, Depth, Outcome, Recorder};
use tickscope_hooks::lua::{InterruptHandle, TracerOptions};

use crate::cfg;
use crate::clock::GameClock;
use crate::convars::Convars;
use crate::database::{DatabaseHost, built_in_resource};
use crate::discovery::discover;
use crate::events::Source;
use crate::host::Host;
use crate::http::HttpHost;
use crate::msgpack::Packed;
use crate::mute::Mute;
use crate::probe::Probe;
use crate::references::Parcel;
use crate::registry::Registry;
use crate::report::{Console, ScriptError};
use crate::resource::{Resource, ResourceState};
use crate::samples::Listeners;
use crate::scenario::ScenarioOutcome;
use crate::store::Store;
use crate::thread_load::ThreadLoad;
use crate::world::{ClientEvent, Connection, PlayerSpec, PlayerView};
use crate::{Error, ServerConfig, vm};

/// Ticks from one writing of the key-value store to the next: half a minute.
const SAVE_TICKS: u64 = 600;

/// A server directory at work, on the thread that started it.
///
/// ```
/// use tickscope_citizen::{Server, ServerConfig, Silent};
/// # use tickscope_citizen::NoRecorder;
/// # let folder = tempfile::tempdir()?;
/// # std::fs::create_dir(folder.path().join("hello"))?;
/// # std::fs::write(folder.path().join("hello/fxmanifest.lua"), "fx_version 'cerulean' server_script 'main.lua'")?;
/// # std::fs::write(folder.path().join("hello/main.lua"), "CreateThread(function() while true do Wait(0) end end)")?;
/// # let root = folder.path();
/// let mut config = ServerConfig::new(root);
/// config.virtual_time = true;
/// let mut server = Server::start(config, NoRecorder::default(), Silent)?;
/// for _ in 0..100 {
///     server.tick();
/// }
/// let outcome = server.stop();
/// assert_eq!(outcome.ticks, 100);
/// assert!(outcome.errors.is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Server<R: Recorder + 'static> {
    host: Rc<Host<R>>,
    load: ThreadLoad,
    interval: Duration,
    next: Option<Instant>,
    handle: StopHandle,
    watch: Option<std::thread::JoinHandle<()>>,
}

/// What one tick did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TickReport {
    /// Its number, from 1.
    pub number: u64,
    /// Real time it took.
    pub took: Duration,
    /// Slices of coroutines that ran.
    pub slices: u64,
}

/// What a run came to.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct RunOutcome {
    /// Ticks played.
    pub ticks: u64,
    /// Resources that were running at the end.
    pub resources: usize,
    /// Resources that were to start and did not, by name, and why.
    pub not_started: Vec<(String, String)>,
    /// Slices of coroutines that ran.
    pub slices: u64,
    /// Events sent to clients, who are not there.
    pub client_events: u64,
    /// The first 1,000 errors.
    pub errors: Vec<ScriptError>,
    /// How many errors there were.
    pub error_count: u64,
    /// Natives that were called and do nothing here, by name, and how often.
    pub neutral_natives: Vec<(String, u64)>,
    /// Requests of scripts that were not made because HTTP is turned off, by resource, and how many.
    pub refused_requests: Vec<(String, u64)>,
    /// What the scenario came to, if there was one.
    pub scenario: Option<ScenarioOutcome>,
}

/// Ends a run from another thread.
#[derive(Clone)]
pub struct StopHandle {
    flag: Arc<StopFlag>,
    interrupt: InterruptHandle,
}

impl StopHandle {
    /// Asks the run to end: a script that runs is interrupted, no other starts, [`Server::tick`] returns, and
    /// [`Server::is_stopping`] tells.
    pub fn stop(&self) {
        self.flag.set();
        self.interrupt.interrupt("the run was ended");
    }
}

/// What the thread of a server shares with those that watch it.
#[derive(Default)]
pub(crate) struct StopFlag {
    stop: AtomicBool,
    watch: Mutex<Watch>,
    changed: Condvar,
}

#[derive(Default)]
struct Watch {
    deadline: Option<Instant>,
    limit: Option<Duration>,
    closed: bool,
}

impl StopFlag {
    pub(crate) fn is_set(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// The run is to end.
    pub(crate) fn set(&self) {
        self.stop.store(true, Ordering::Relaxed);
        self.changed.notify_all();
    }

    fn change(&self, change: impl FnOnce(&mut Watch)) {
        change(&mut self.watch.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
    }

    /// A tick begins, or the script that ran too long was stopped and the tick goes on.
    pub(crate) fn rearm(&self) {
        self.change(|watch| watch.deadline = watch.limit.map(|limit| Instant::now() + limit));
    }

    fn disarm(&self) {
        self.change(|watch| watch.deadline = None);
    }

    /// Sleeps until `until` or the end of the run.
    fn sleep(&self, until: Instant) {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.is_set() {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
            else {
                return;
            };
            watch = self.changed.wait_timeout(watch, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Interrupts what runs past its deadline, until closed.
    fn watch(&self, limit: Duration, interrupt: &InterruptHandle) {
        let message = format!("stopped: the tick took longer than {} ms", limit.as_millis());
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        while !watch.closed {
            let left = watch.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            watch = match left {
                None => self.changed.wait(watch).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => {
                    watch.deadline = None;
                    drop(watch);
                    interrupt.interrupt(&message);
                    self.watch.lock().unwrap_or_else(PoisonError::into_inner)
                }
                Some(left) => {
                    self.changed.wait_timeout(watch, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

impl<R: Recorder + 'static> Server<R> {
    /// Finds the resources of a server directory and starts them. Resources that are broken are told to `console` and
    /// left out; their errors are in [`Server::errors`].
    ///
    /// One server per thread; a recorder belongs to the thread too.
    ///
    /// # Errors
    /// When the directory cannot be run at all; see [`Error`].
    pub fn start(config: ServerConfig, recorder: R, console: impl Console + 'static) -> Result<Self, Error> {
        Self::begin(config, recorder, console, |_| {})
    }

    /// Finds out which resources would start, and how, without running anything of theirs.
    pub(crate) fn look(
        config: ServerConfig,
        recorder: R,
        console: impl Console + 'static,
    ) -> Result<Self, Error> {
        Self::begin(config, recorder, console, |host| host.lives.only_look())
    }

    fn begin(
        config: ServerConfig,
        recorder: R,
        console: impl Console + 'static,
        prepare: impl FnOnce(&Host<R>),
    ) -> Result<Self, Error> {
        // `refresh` looks there again, whatever the directory of the process is then
        let root = config.root.canonicalize().unwrap_or_else(|_| config.root.clone());
        let discovery = discover(&root)?;
        let cfg = cfg_file(&root, config.cfg.as_deref())?;
        if let Some(name) =
            config.resources.iter().flatten().find(|name| !discovery.resources.contains_key(*name))
        {
            let known = discovery.resources.keys().cloned().collect::<Vec<_>>().join(", ");
            return Err(Error::UnknownResource { name: name.clone(), known });
        }
        let options =
            TracerOptions { depth: config.depth, sample_hz: config.sample_hz, ..TracerOptions::default() };
        let tracer = Rc::new(vm::tracer(Mute::new(recorder), options)?);
        let interrupt = tracer.interrupt_handle();
        let probe = Probe::new(tracer);
        let flag = Arc::new(StopFlag::default());

        let (store, store_problem) = Store::open(config.data.as_deref());
        let resources = Registry::default();
        for (id, found) in discovery.resources.into_values().enumerate() {
            let symbols = probe.symbols(&found.name);
            resources.put(Rc::new(Resource::new(id, found, symbols)));
        }
        if resources.named("oxmysql").is_none() {
            let found = built_in_resource();
            let symbols = probe.symbols(&found.name);
            let resource = Resource::new(resources.len(), found, symbols);
            resource.state.set(ResourceState::Started);
            resources.put(Rc::new(resource));
        }
        resources.index_providers();
        let host = Rc::new(Host {
            probe,
            clock: GameClock::new(config.virtual_time, config.real_nanotime),
            tick: Cell::new(0),
            seed: config.seed,
            memory_limit: config.memory_limit,
            root,
            resources,
            lives: Default::default(),
            running: RefCell::default(),
            schedule: Default::default(),
            outside: Default::default(),
            jobs: Default::default(),
            profiler: Default::default(),
            listeners: Listeners::new(config.feedback, config.tick_interval),
            database: DatabaseHost::new(config.database, config.seed),
            http: HttpHost::new(config.http, config.http_listen),
            events: Default::default(),
            references: Default::default(),
            exports: Default::default(),
            convars: Convars::with(config.convars),
            commands: RefCell::default(),
            store: RefCell::new(store),
            console: RefCell::new(crate::console::Log::new(console)),
            passwords: Cell::new(0),
            reports: RefCell::default(),
            origin: Default::default(),
            client_events: Cell::new(0),
            access: Default::default(),
            latent: Default::default(),
            state_bags: Default::default(),
            world: Default::default(),
            neutral: RefCell::default(),
            known_natives: Default::default(),
            strict: config.strict,
            foreign_natives: config.native_names,
            scenario: Default::default(),
            interrupt_told: Cell::new(false),
            ending: Arc::clone(&flag),
        });
        prepare(&host);
        let handle = StopHandle { flag: Arc::clone(&flag), interrupt: interrupt.clone() };
        let watch = match config.tick_limit {
            None => None,
            Some(limit) => {
                flag.change(|watch| watch.limit = Some(limit));
                let flag = Arc::clone(&flag);
                let watch = std::thread::Builder::new()
                    .name("tick limit".into())
                    .spawn(move || flag.watch(limit, &interrupt));
                Some(watch.map_err(Error::Thread)?)
            }
        };
        let load = ThreadLoad::of_this_thread();
        let server = Self { host, load, interval: config.tick_interval, next: None, handle, watch };
        if let Some(problem) = store_problem {
            server.host.report(&ScriptError::of_resource("server", &problem));
        }
        for error in &discovery.errors {
            server.host.report(error);
        }
        server.configure(cfg.as_deref(), config.resources);
        if let Some(scenario) = &config.scenario
            && !server.is_stopping()
        {
            server.host.start_scenario(scenario)?;
        }
        server.handle.flag.disarm();
        Ok(server)
    }

    /// Starts what is to run: what the file of commands says, or without one every resource, by name.
    fn configure(&self, cfg: Option<&Path>, only: Option<Vec<String>>) {
        let host = &self.host;
        host.origin.only.borrow_mut().clone_from(&only);
        host.access.set_open(cfg.is_none());
        if let Some(cfg) = cfg {
            host.exec_path(cfg);
        }
        let rest = match (only, cfg) {
            (Some(only), _) => only.iter().filter_map(|name| host.resources.named(name)).collect(),
            (None, Some(_)) => Vec::new(),
            (None, None) => host.resources.by_name(),
        };
        for resource in rest {
            if self.is_stopping() {
                break;
            }
            self.handle.flag.rearm();
            if resource.failed.borrow().is_none() {
                host.start_resource(&resource);
            }
        }
        host.origin.only.take();
        host.convars.configured();
        host.lives.set_configured(true);
        if let Some(cfg) = cfg
            && host.lives.started().is_empty()
        {
            let name = cfg.file_name().unwrap_or_default().to_string_lossy();
            host.say(&format!(
                "no resource runs: {name} has no line such as `ensure name` that could be followed"
            ));
        }
    }

    /// Plays a tick. In real time it first sleeps until the tick is due; a tick that is late is played at once, and
    /// the ones after it are counted from there.
    pub fn tick(&mut self) -> TickReport {
        let host = &self.host;
        if !host.clock.is_virtual() {
            let now = Instant::now();
            if let Some(next) = self.next
                && next > now
            {
                host.probe.tracer().unsampled(|| self.handle.flag.sleep(next));
            }
            let due = self.next.unwrap_or(now).max(now.checked_sub(self.interval).unwrap_or(now));
            self.next = Some(due + self.interval);
        }
        if self.is_stopping() {
            return TickReport { number: host.tick.get(), ..TickReport::default() };
        }
        host.clock.advance(self.interval);
        let number = host.tick.get() + 1;
        host.tick.set(number);
        if host.clock.is_virtual() {
            host.await_outside(host.clock.elapsed());
        }
        let slices = host.schedule.slices();
        self.handle.flag.rearm();

        let before = self.load.read();
        let started = Instant::now();
        let keys = host.probe.keys;
        let args = [(keys.tick, ArgInput::Uint(number))];
        let span = host.probe.begin(host.probe.tick, CategoryId::TICK, None, &args);
        host.references.sweep();
        host.grant_wishes();
        host.tell_convars();
        host.deliver_outside(host.clock.elapsed());
        host.serve_http();
        host.settle_connections();
        host.deliver_latent(host.clock.millis());
        host.tell_news();
        host.tell_unheard();
        host.run_due(host.clock.millis());
        host.give_samples();
        host.tell_listeners();
        self.record_heaps();
        if number.is_multiple_of(SAVE_TICKS) {
            host.save_store();
        }
        let load = self.load.read().since(before);
        if let Some(span) = span {
            let recorder = self.host.probe.recorder();
            recorder.arg(keys.run_delay_ns, ArgInput::Uint(load.run_delay_ns));
            recorder.arg(keys.involuntary, ArgInput::Uint(load.involuntary));
            self.host.probe.end(span, Outcome::Ok);
        }
        self.handle.flag.disarm();
        TickReport { number, took: started.elapsed(), slices: self.host.schedule.slices() - slices }
    }

    /// Records the heap of each resource whose size changed by more than one percent.
    fn record_heaps(&self) {
        let recorder = self.host.probe.recorder();
        if !recorder.enabled(CategoryId::METRIC) {
            return;
        }
        for id in self.host.lives.started() {
            let Some(resource) = self.host.resources.get(id) else { continue };
            let Some(machine) = resource.machine() else { continue };
            let bytes = machine.vm.memory().live_bytes as usize;
            if bytes.abs_diff(resource.heap.get()) * 100 > resource.heap.get() {
                resource.heap.set(bytes);
                let value = CounterValue::Int(bytes as i64);
                recorder.counter(recorder.now(), resource.symbols.heap_bytes, value);
            }
        }
    }

    /// Whether [`StopHandle::stop`] was called.
    pub fn is_stopping(&self) -> bool {
        self.handle.flag.is_set()
    }

    /// Whether the scenario said that the run is over.
    pub fn is_finished(&self) -> bool {
        self.host.scenario.finished.get()
    }

    /// How much is recorded from now on.
    ///
    /// # Errors
    /// When the system refuses the timer that sampling needs; then nothing changes.
    pub fn set_depth(&self, depth: Depth) -> Result<(), Error> {
        self.host.probe.tracer().set_depth(depth).map_err(Error::from)
    }

    /// Ends the run from another thread, a signal's for example.
    pub fn stop_handle(&self) -> StopHandle {
        self.handle.clone()
    }

    /// The first 1,000 errors so far.
    pub fn errors(&self) -> Vec<ScriptError> {
        self.host.reports.borrow().errors.clone()
    }

    /// Names of the resources, sorted, and what they are doing.
    pub fn resources(&self) -> impl Iterator<Item = (String, ResourceState)> {
        let all = self.host.resources.by_name();
        all.into_iter().map(|resource| (resource.name.to_string(), resource.state.get()))
    }

    /// Resources that were to start and did not run up to now, by name, and why.
    pub fn not_started(&self) -> Vec<(String, String)> {
        self.host.not_started()
    }

    /// What of FXServer is here and how true it is, as a page in Markdown. Known once a resource has started.
    ///
    /// # Errors
    /// What the list of exceptions says that the code contradicts.
    pub fn compatibility(&self) -> Result<String, String> {
        crate::natives::fidelity::page(self.host.known_natives.get().ok_or("no resource has started")?)
    }

    /// Functions that are known to other VMs: a number that grows with each tick is a leak.
    pub fn function_references(&self) -> usize {
        self.host.references.len()
    }

    /// Where handlers of scripts are reached by HTTP, once one is set.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.host.http.address()
    }

    /// Runs a line of console commands, as if it was typed; `false` when one is unknown, which the console is told.
    pub fn execute(&mut self, line: &str) -> bool {
        let known = |host: &Rc<Host<R>>| {
            // each runs, also behind an unknown one
            cfg::split(line).into_iter().filter(|one| !host.execute(one)).count() == 0
        };
        self.scripts(known)
    }

    /// A player asks to connect. Without a handler of `playerConnecting` that defers, it is decided at once.
    ///
    /// ```
    /// use tickscope_citizen::{Connection, NoRecorder, PlayerSpec, Server, ServerConfig, Silent};
    /// # let folder = tempfile::tempdir()?;
    /// # std::fs::create_dir(folder.path().join("door"))?;
    /// # std::fs::write(folder.path().join("door/fxmanifest.lua"), "fx_version 'cerulean' server_script 'main.lua'")?;
    /// # std::fs::write(folder.path().join("door/main.lua"), "")?;
    /// let mut config = ServerConfig::new(folder.path());
    /// config.virtual_time = true;
    /// let mut server = Server::start(config, NoRecorder::default(), Silent)?;
    /// assert_eq!(server.connect(PlayerSpec::new("Ada")), Connection::Joined { source: 1 });
    /// assert_eq!(server.players()[0].name, "Ada");
    /// server.drop_player(1, "Exiting");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn connect(&mut self, player: PlayerSpec) -> Connection {
        self.scripts(|host| host.connect(player))
    }

    /// How far a player is that had to wait. An end is told once, then `None`.
    pub fn connection(&self, ticket: u32) -> Option<Connection> {
        self.host.connection(ticket)
    }

    /// The next card that a resource shows a player who waits (`deferrals.presentCard`), once: as JSON, and the name of
    /// the resource.
    pub fn next_card(&self, ticket: u32) -> Option<(String, String)> {
        self.host.next_card(ticket)
    }

    /// The player fills in the card of `resource`: `answers` is JSON. `false` when nobody waits for answers.
    ///
    /// # Errors
    /// What is wrong with the JSON.
    pub fn answer_card(&mut self, ticket: u32, resource: &str, answers: &str) -> Result<bool, String> {
        self.scripts(|host| host.answer_card(ticket, resource, answers))
    }

    /// A player who waits goes away; `false` when nobody waits with that ticket.
    pub fn give_up(&mut self, ticket: u32) -> bool {
        self.host.give_up(ticket)
    }

    /// A player leaves: `playerDropped`. `false` when there is none of that number in the game.
    pub fn drop_player(&mut self, source: u32, reason: &str) -> bool {
        self.scripts(|host| host.drop_player(source, reason, None))
    }

    /// A player's ped is somewhere else now, with the vehicle it drives. `false` when there is no such player in the
    /// game, or it has no ped.
    pub fn move_player(&mut self, source: u32, position: [f32; 3], heading: f32) -> bool {
        let ped = self.host.world.players.borrow().get(source).map_or(0, |player| player.ped);
        self.host.world.entities.borrow_mut().move_ped(ped, position, heading)
    }

    /// Sets the health of a player's ped, from 0 to 200. `false` when there is none.
    pub fn set_player_health(&mut self, source: u32, health: i32) -> bool {
        let ped = self.host.world.players.borrow().get(source).map_or(0, |player| player.ped);
        match self.host.world.entities.borrow_mut().get_mut(ped) {
            Some(ped) => {
                ped.health = health.clamp(0, ped.max_health);
                true
            }
            None => false,
        }
    }

    /// The players in the game, by number.
    pub fn players(&self) -> Vec<PlayerView> {
        let entities = self.host.world.entities.borrow();
        self.host.world.players.borrow().in_game().map(|player| player.view(&entities)).collect()
    }

    /// The events that were sent to a player's client since this was asked last; of those that were left lying for
    /// long, the newest.
    pub fn take_client_events(&mut self, source: u32) -> Vec<ClientEvent> {
        let mut players = self.host.world.players.borrow_mut();
        players.get_mut(source).map_or_else(Vec::new, |player| player.inbox.take())
    }

    /// A player's client triggers an event; `payload` holds its `count` arguments in MessagePack, one behind the other.
    /// Only resources that registered the event get it. `false` when a handler cancelled it, or there is no such player.
    pub fn trigger_net(&mut self, source: u32, event: &str, payload: &[u8], count: usize) -> bool {
        if self.host.world.players.borrow().get(source).is_none() {
            return false;
        }
        let packed = Packed { bytes: payload.to_vec(), count };
        let parcel = Parcel::new(packed, Vec::new(), &self.host.references);
        self.scripts(|host| host.trigger(event, &parcel, Source::Client(source)))
    }

    /// A player runs a command: what is typed into the chat behind a slash. `false` when there is no such command; one
    /// that the player may not run is told to the console.
    pub fn execute_as(&mut self, source: u32, line: &str) -> bool {
        self.scripts(|host| host.execute_for(source, line))
    }

    /// Like [`Server::trigger_net`], for an event that travels at `rate` bytes a second (`TriggerLatentServerEvent`): it
    /// arrives with a later tick. `false` when there is no such player.
    pub fn trigger_net_latent(
        &mut self,
        source: u32,
        event: &str,
        rate: f64,
        payload: &[u8],
        count: usize,
    ) -> bool {
        let known = self.host.world.players.borrow().get(source).is_some();
        if known {
            let packed = Packed { bytes: payload.to_vec(), count };
            self.host.receive_latent(source, event, rate, packed);
        }
        known
    }

    /// A player's client sets a key of a state bag; `value` is one value in MessagePack. `false` when it may not: when
    /// the bag is not its own, or the convar `sv_stateBagStrictMode` is on.
    pub fn set_state(&mut self, source: u32, bag: &str, key: &str, value: &[u8]) -> bool {
        let value = Packed { bytes: value.to_vec(), count: 1 };
        self.scripts(|host| host.set_state_from(source, bag, key, value))
    }

    /// The value of a key of a state bag, in MessagePack: what clients would be told.
    pub fn state(&self, bag: &str, key: &str) -> Option<Vec<u8>> {
        Some(self.host.state_bags.get(bag, key)?.packed().bytes.clone())
    }

    /// Lets scripts run outside of a tick, under the limit of one.
    fn scripts<T>(&self, run: impl FnOnce(&Rc<Host<R>>) -> T) -> T {
        self.handle.flag.rearm();
        let result = run(&self.host);
        self.handle.flag.disarm();
        result
    }

    /// The recorder the server records into.
    pub fn recorder(&self) -> &R {
        self.host.probe.recorder().inner()
    }

    /// Stops every resource, last started first, and tells what the run came to.
    pub fn stop(mut self) -> RunOutcome {
        let resources = self.host.lives.started().len();
        let not_started = self.host.not_started();
        self.host.lives.set_configured(false);
        if self.is_stopping() {
            // an interrupted run says goodbye to its scripts too, but they get no more than a moment
            self.host.probe.tracer().clear_interrupt();
            self.host.interrupt_told.set(false);
            self.handle.flag.stop.store(false, Ordering::Relaxed);
        }
        self.handle.flag.rearm();
        let scenario = self.host.scenario.resource.borrow().is_some();
        self.host.end_scenario();
        let scenario = scenario.then(|| self.host.scenario.outcome.borrow().clone());
        for id in self.host.lives.started().into_iter().rev() {
            if let Some(resource) = self.host.resources.get(id) {
                self.host.stop_resource(&resource);
            }
        }
        self.handle.flag.disarm();
        self.close();
        let reports = self.host.reports.borrow();
        RunOutcome {
            ticks: self.host.tick.get(),
            resources,
            not_started,
            slices: self.host.schedule.slices(),
            client_events: self.host.client_events.get(),
            errors: reports.errors.clone(),
            error_count: reports.count,
            neutral_natives: self
                .host
                .neutral
                .borrow()
                .iter()
                .map(|(name, count)| ((*name).to_owned(), *count))
                .collect(),
            refused_requests: self.host.http.refused(),
            scenario,
        }
    }

    pub(crate) fn host(&self) -> &Rc<Host<R>> {
        &self.host
    }

    fn close(&mut self) {
        self.handle.flag.change(|watch| watch.closed = true);
        if let Some(watch) = self.watch.take() {
            let _ = watch.join(); // it cannot panic, and there would be nothing to do about it
        }
        self.host.close_http();
        if !self.host.close_outside() {
            self.host
                .console
                .borrow_mut()
                .print("", "the end of the run did not wait for work that was still going on");
        }
        self.host.close_all();
        self.host.save_store();
    }
}

/// The file of commands to run: the one chosen, or the `server.cfg` of the directory if there is one.
pub(crate) fn cfg_file(root: &Path, chosen: Option<&Path>) -> Result<Option<PathBuf>, Error> {
    let Some(chosen) = chosen else {
        return Ok(root.join("server.cfg").canonicalize().ok().filter(|path| path.is_file()));
    };
    // as it was written, or as seen from the server directory, which is where FXServer looks
    let below = root.join(chosen);
    let path = if chosen.is_file() { chosen } else { &below };
    match path.canonicalize() {
        Ok(path) if path.is_file() => Ok(Some(path)),
        _ => Err(Error::NoCfg { path: chosen.to_owned(), root: root.to_owned() }),
    }
}

impl<R: Recorder + 'static> Drop for Server<R> {
    fn drop(&mut self) {
        self.close();
    }
}

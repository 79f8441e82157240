//! The database of a server: which one, and who may use it when.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tickscope_core::{CategoryId, LinkPoint, Recorder};
use tickscope_sql::{Answer, Database, SqlError, SqlValue};

use crate::host::Host;
use crate::outside::{Request, Service};
use crate::resource::Resource;

/// One thread: statements are done in the order they were asked for.
const SERVICE: Service = Service { name: "database", threads: 1 };

/// What answers the queries of scripts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DatabaseConfig {
    /// The file of the embedded database, which is made when it is not there; without one it is in memory. Of no
    /// consequence when the convar `mysql_connection_string` names a server.
    pub file: Option<PathBuf>,
    /// Time added to every answer, from and to: random within by the run's seed.
    pub latency: (Duration, Duration),
}

/// A statement with its values.
pub(super) type Bound = (String, Vec<SqlValue>);

/// What is to be done on the database's thread.
pub(super) enum Task {
    /// One statement after the other; the first error ends it.
    Each(Vec<Bound>),
    /// All of them, or none.
    Transaction(Vec<Bound>),
    /// Statements of a resource's files, unless the database had them already: errors do not end it.
    Schema { name: String, statements: Vec<String> },
}

/// What came of it, and which statement failed.
pub(super) enum Done {
    Answers(Vec<Answer>),
    /// How many statements were run, and what was wrong with others.
    Schema {
        run: usize,
        problems: Vec<(String, SqlError)>,
    },
    Skipped,
}

pub(super) type TaskResult = Result<Done, (String, SqlError)>;

type Slot = Option<Result<Box<dyn Database>, SqlError>>;

/// Shared with the database's thread.
struct Shared {
    file: Option<PathBuf>,
    seed: u64,
    database: Mutex<Slot>,
}

impl Shared {
    fn run(&self, connection: Option<&str>, task: Task, now: Duration) -> TaskResult {
        let mut slot = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let opened =
            slot.get_or_insert_with(|| tickscope_sql::open(self.file.as_deref(), connection, self.seed));
        let database = match opened {
            Ok(database) => database,
            Err(error) => {
                let error = error.clone();
                *slot = None; // the next one tries again
                return Err((String::new(), error));
            }
        };
        match task {
            Task::Each(statements) => each(&mut **database, statements, now).map(Done::Answers),
            Task::Transaction(statements) => {
                let mut plain =
                    |text: &str| database.run(text, &[], now).map_err(|error| (text.to_owned(), error));
                plain("START TRANSACTION")?;
                match each(&mut **database, statements, now) {
                    Ok(answers) => {
                        let mut plain = |text: &str| {
                            database.run(text, &[], now).map_err(|error| (text.to_owned(), error))
                        };
                        plain("COMMIT")?;
                        Ok(Done::Answers(answers))
                    }
                    Err(error) => {
                        // the first error is the one to tell
                        let _ = database.run("ROLLBACK", &[], now);
                        Err(error)
                    }
                }
            }
            Task::Schema { name, statements } => {
                if !database.takes_schema(&name).map_err(|error| (String::new(), error))? {
                    return Ok(Done::Skipped);
                }
                let (mut run, mut problems) = (0, Vec::new());
                for statement in statements {
                    match database.run(&statement, &[], now) {
                        Ok(_) => run += 1,
                        Err(error) => problems.push((statement, error)),
                    }
                }
                Ok(Done::Schema { run, problems })
            }
        }
    }
}

fn each(
    database: &mut dyn Database,
    statements: Vec<Bound>,
    now: Duration,
) -> Result<Vec<Answer>, (String, SqlError)> {
    let mut answers = Vec::with_capacity(statements.len());
    for (text, values) in statements {
        match database.run(&text, &values, now) {
            Ok(answer) => answers.push(answer),
            Err(error) => return Err((text, error)),
        }
    }
    Ok(answers)
}

type Parked<R> = Box<dyn FnOnce(&Rc<Host<R>>)>;

/// The database as the server's thread has it.
pub(crate) struct DatabaseHost<R: Recorder + 'static> {
    shared: Arc<Shared>,
    latency: (Duration, Duration),
    random: Cell<u64>,
    numbers: Cell<u64>,
    /// The transaction that has the database to itself, and the resource it is of.
    open: Cell<Option<(u64, usize)>>,
    /// What waits for its end.
    parked: RefCell<VecDeque<(usize, Parked<R>)>>,
}

impl<R: Recorder + 'static> DatabaseHost<R> {
    pub(crate) fn new(config: DatabaseConfig, seed: u64) -> Self {
        Self {
            shared: Arc::new(Shared { file: config.file, seed, database: Mutex::new(None) }),
            latency: config.latency,
            random: Cell::new(seed ^ 0x5351_4c5f_6c61_7465),
            numbers: Cell::new(0),
            open: Cell::new(None),
            parked: RefCell::default(),
        }
    }

    /// The added latency of the next answer.
    fn latency(&self) -> Duration {
        let (from, to) = self.latency;
        let state =
            self.random.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random.set(state);
        let span = to.saturating_sub(from).as_micros() as u64;
        from + Duration::from_micros(if span == 0 { 0 } else { (state >> 33) % (span + 1) })
    }
}

impl<R: Recorder + 'static> Host<R> {
    /// Has a task done by the database. `transaction` is the open one it belongs to.
    pub(super) fn query(
        self: &Rc<Self>,
        resource: &Rc<Resource>,
        transaction: Option<u64>,
        (shape, task): (String, Task),
        done: impl FnOnce(&Rc<Self>, TaskResult, LinkPoint) + 'static,
    ) {
        let open = self.database.open.get();
        if open.is_some() && open.map(|(id, _)| id) != transaction {
            let (resource, id) = (Rc::clone(resource), resource.id);
            let again: Parked<R> =
                Box::new(move |host: &Rc<Self>| host.query(&resource, transaction, (shape, task), done));
            self.database.parked.borrow_mut().push_back((id, again));
            return;
        }
        let request = Request {
            service: SERVICE,
            resource,
            latency: self.database.latency(),
            symbol: self.probe.native(&resource.name, &shape),
            category: CategoryId::SQL,
        };
        let shared = Arc::clone(&self.database.shared);
        let connection = self.convars.get("mysql_connection_string").filter(|text| !text.trim().is_empty());
        let now = self.clock.unix();
        let done = Rc::new(Cell::new(Some(done)));
        let later = Rc::clone(&done);
        let submitted = self.submit(
            &request,
            move || shared.run(connection.as_deref(), task, now),
            move |host, answer, cause| {
                let result = answer.unwrap_or_else(|error| Err((String::new(), SqlError(error.to_string()))));
                if let Some(done) = later.take() {
                    done(host, result, cause);
                }
            },
        );
        if let Err(error) = submitted
            && let Some(done) = done.take()
        {
            done(self, Err((String::new(), SqlError(error.to_string()))), None);
        }
    }

    /// Gives the database to one transaction; its number.
    pub(super) fn open_transaction(
        self: &Rc<Self>,
        resource: &Rc<Resource>,
        done: impl FnOnce(&Rc<Self>, Result<u64, String>, LinkPoint) + 'static,
    ) {
        if self.database.open.get().is_some() {
            let (of, id) = (Rc::clone(resource), resource.id);
            let again: Parked<R> = Box::new(move |host: &Rc<Self>| host.open_transaction(&of, done));
            self.database.parked.borrow_mut().push_back((id, again));
            return;
        }
        let number = self.database.numbers.get() + 1;
        self.database.numbers.set(number);
        self.database.open.set(Some((number, resource.id)));
        let task = Task::Each(vec![("START TRANSACTION".into(), Vec::new())]);
        self.query(
            resource,
            Some(number),
            ("sql START TRANSACTION".into(), task),
            move |host, result, cause| {
                let result = match result {
                    Ok(_) => Ok(number),
                    Err((_, error)) => {
                        host.free_database();
                        Err(error.0)
                    }
                };
                done(host, result, cause);
            },
        );
    }

    /// Ends a transaction and lets those that waited go on.
    pub(super) fn close_transaction(
        self: &Rc<Self>,
        resource: &Rc<Resource>,
        (number, commit): (u64, bool),
        done: impl FnOnce(&Rc<Self>, Result<(), String>, LinkPoint) + 'static,
    ) {
        let text = if commit { "COMMIT" } else { "ROLLBACK" };
        let task = Task::Each(vec![(text.into(), Vec::new())]);
        self.query(resource, Some(number), (format!("sql {text}"), task), move |host, result, cause| {
            done(host, result.map(|_| ()).map_err(|(_, error)| error.0), cause);
        });
        // what is asked for from here on comes behind the end on the database's thread
        self.free_database();
    }

    fn free_database(self: &Rc<Self>) {
        self.database.open.set(None);
        while self.database.open.get().is_none() {
            let Some((_, next)) = self.database.parked.borrow_mut().pop_front() else { break };
            next(self);
        }
    }

    /// A resource stops: what it waits for is dropped, and a transaction of its own is taken back.
    pub(crate) fn forget_queries(self: &Rc<Self>, resource: usize) {
        let parked = std::mem::take(&mut *self.database.parked.borrow_mut());
        let (gone, kept): (VecDeque<_>, VecDeque<_>) =
            parked.into_iter().partition(|(of, _)| *of == resource);
        *self.database.parked.borrow_mut() = kept;
        drop(gone);
        if let Some((number, of)) = self.database.open.get()
            && of == resource
            && let Some(of) = self.resources.get(of)
        {
            self.close_transaction(&of, (number, false), |_, _, _| {});
        }
    }
}

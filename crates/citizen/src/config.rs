//! What a host chooses about a server.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tickscope_core::Depth;

use crate::{DatabaseConfig, FeedbackHandle, ScenarioConfig};

/// How a server runs. [`ServerConfig::new`] gives what FXServer does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerConfig {
    /// The server directory, or the folder of one resource.
    pub root: PathBuf,
    /// Run only these and what they depend on.
    pub resources: Option<Vec<String>>,
    /// Time from tick to tick: 50 ms.
    pub tick_interval: Duration,
    /// The clock advances by exactly one interval per tick, nothing sleeps, and `os.time` starts at a fixed date.
    pub virtual_time: bool,
    /// `os.nanotime`, `os.microtime` and `os.rdtsc` tell the machine's time although time is virtual: for scripts that
    /// measure what they do, which takes no virtual time.
    pub real_nanotime: bool,
    /// Seed of the scripts' random numbers.
    pub seed: u64,
    /// A tick that takes longer is stopped with an error.
    pub tick_limit: Option<Duration>,
    /// Bytes each resource may have allocated at a time.
    pub memory_limit: usize,
    /// How much is recorded.
    pub depth: Depth,
    /// Stack samples a second, at depth sample.
    pub sample_hz: u32,
    /// A call of a native that does nothing here is an error.
    pub strict: bool,
    /// Names of natives by hash, for errors about natives that are not known here.
    pub native_names: BTreeMap<u64, String>,
    /// The file of commands to run at the start. `None`: the `server.cfg` of the directory, if there is one. Without
    /// either, every resource starts.
    pub cfg: Option<PathBuf>,
    /// The folder in which what outlives a run is kept, the key-value store for one; made when there is something to
    /// keep. `None`: nothing is kept.
    pub data: Option<PathBuf>,
    /// Convars that are set before anything else; the server's files do not change them.
    pub convars: Vec<(String, String)>,
    /// What answers the queries of scripts.
    pub database: DatabaseConfig,
    /// Scripts reach other servers by HTTP; without, each request fails and says so.
    pub http: bool,
    /// Where handlers of scripts (`SetHttpHandler`) are reached, from the first one on; port 0 takes a free one. `None`:
    /// nowhere.
    pub http_listen: Option<SocketAddr>,
    /// Gives scripts what was recorded of them (`Profiler.SetLuaCallback`, `ExportCSV` and its kin); without one those
    /// answer that nothing is recorded.
    pub feedback: Option<FeedbackHandle>,
    /// Who plays the players; without one nobody comes.
    pub scenario: Option<ScenarioConfig>,
}

impl ServerConfig {
    /// The server in `root`, in real time, with 512 MiB for each resource and no tick limit.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self {
            root: root.into(),
            resources: None,
            tick_interval: Duration::from_millis(50),
            virtual_time: false,
            real_nanotime: false,
            seed: 0,
            tick_limit: None,
            memory_limit: 512 << 20,
            depth: Depth::Sample,
            sample_hz: 1000,
            strict: false,
            native_names: BTreeMap::new(),
            cfg: None,
            data: None,
            convars: Vec::new(),
            database: DatabaseConfig::default(),
            http: true,
            http_listen: None,
            feedback: None,
            scenario: None,
        }
    }
}

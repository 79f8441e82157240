//! SQL for scripts: what `oxmysql`, `mysql-async` and `ghmattimysql` export, over SQLite, MySQL or MariaDB.
//!
//! The real resources are JavaScript. Where the server directory has none of them, or has them as they are, the host
//! answers in their place. Statements run on a thread of their own, one after the other, and are answered on a later
//! tick; see [`outside`](crate::outside).

mod exports;
mod parameters;
mod schema;
mod service;

use std::path::{Path, PathBuf};

use crate::discovery::Found;
use crate::manifest::Manifest;
use crate::resource::Resource;

pub(crate) use exports::is_export;
pub use service::DatabaseConfig;
pub(crate) use service::DatabaseHost;

/// The resources whose exports the host has.
const FAMILIES: [&str; 3] = ["oxmysql", "mysql-async", "ghmattimysql"];

/// Where the files of the resource the host has itself are: nowhere on disk.
const BUILT_IN: &str = "citizen:/oxmysql";

const MANIFEST: &str = "
fx_version 'cerulean' game 'common' name 'oxmysql' author 'tickscope' version '2.13.0'
provide 'mysql-async' provide 'ghmattimysql'
";

const LIBRARY: &str = include_str!("lua/mysql.lua");

/// `oxmysql` as the host has it, for server directories without it.
pub(crate) fn built_in_resource() -> Found {
    Found {
        name: FAMILIES[0].into(),
        path: BUILT_IN.into(),
        categories: Vec::new(),
        manifest: Manifest::parse("fxmanifest.lua", MANIFEST.as_bytes()),
    }
}

/// Whether a folder is that of the host's own `oxmysql`.
pub(crate) fn is_built_in(folder: &Path) -> bool {
    folder.starts_with(BUILT_IN)
}

/// Whether the host answers for a resource: one of the family, without scripts of its own that could.
pub(crate) fn stands_in_for(resource: &Resource) -> bool {
    let own = !is_built_in(&resource.path)
        && resource.manifest().server_scripts().any(|script| script.ends_with(".lua"));
    FAMILIES.contains(&&*resource.name) && !own
}

/// The text of a file of the host's own `oxmysql`.
pub(crate) fn built_in_file(path: &Path) -> Option<&'static [u8]> {
    (path == PathBuf::from(BUILT_IN).join("lib/MySQL.lua")).then_some(LIBRARY.as_bytes())
}

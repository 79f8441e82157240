//! `tickscope ctl`: asks a recording that goes on elsewhere for something.

use std::process::ExitCode;

use anyhow::Result;
use tickscope_core::Depth;

use super::socket::Client;
use crate::cli;
use crate::present::tell;
use crate::present::text::time;

pub(crate) fn run(options: &cli::Ctl) -> Result<ExitCode> {
    let mut recording = Client::find(options.pid)?;
    match options.command {
        cli::CtlCommand::Depth { depth, for_ } => {
            let depth: Depth = depth.into();
            recording.choose_depth(depth, for_)?;
            match for_ {
                Some(for_) => tell!("depth {} for {}", depth.name(), time(for_.as_nanos() as u64)),
                None => tell!("depth {}", depth.name()),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

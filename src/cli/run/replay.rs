//! A run of a trace: one entry, in virtual time.

use super::{Arguments, Backend, Ending, end, ending, header, kept, show, unwritable, writable};
use crate::{
    device::Trace,
    record::{Document, Line, Node, Writer},
    runner, store,
};
use anyhow::{Result, bail};
use std::path::Path;

/// # Errors
/// A trace that cannot be replayed, before anything is written.
pub fn run(arguments: &Arguments, trace: &Path) -> Result<Ending> {
    if arguments.backend != Backend::Replay {
        bail!("--trace is for --backend replay; add it, or leave --trace out");
    }
    if let Some(path) = &arguments.output {
        writable(path, arguments.force)?;
    }
    let trace = Trace::read(trace)?;
    // Where it was taken is not told: this machine is not that node.
    let header = header("replay", Node::default(), vec![trace.device.clone()]);
    let entry = runner::replay(trace, arguments.precision);
    let path = arguments.output.clone().map_or_else(|| store::new_record(&header.started_at, &header.id), Ok)?;
    let mut writer = Writer::create(&path, arguments.force, header.clone()).map_err(|error| unwritable(&path, &error))?;
    let mut document = Document { header, end: None, entries: Vec::new(), warnings: Vec::new() };
    let failed = |entries, error| kept(&path, entries, &error);
    writer.line(&Line::Entry(Box::new(entry.clone()))).map_err(|error| failed(0, error))?;
    document.entries.push(entry);
    let end = end(&document.entries);
    writer.line(&Line::End(end.clone())).map_err(|error| failed(1, error))?;
    document.end = Some(end);
    show(arguments, &document, &path)?;
    Ok(ending(&document.entries))
}

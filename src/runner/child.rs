//! A worker process as the parent sees it: lines come out, orders go in, and it can always be got rid of.

use super::{
    event::{Event, Order},
    listing::Environment,
};
use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::Serialize;
use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child as Process, ChildStdin, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Grace between asking a worker to end and ending it.
const GRACE: Duration = Duration::from_secs(2);
/// Of what a worker writes to stderr this much is kept for the message about its end.
const KEPT: usize = 4096;

/// What the parent heard.
pub enum Heard {
    Event(Event),
    /// Nothing within the time.
    Silence,
    /// The worker is gone; how, in words.
    Gone(String),
}

pub struct Child {
    process: Process,
    orders: Option<ChildStdin>,
    lines: Receiver<String>,
    complaints: Option<JoinHandle<String>>,
}

impl Child {
    /// Starts `assay worker` with a first line of input, and with variables of the environment set. It has a process group of its own, so
    /// that Ctrl-C reaches the parent alone.
    ///
    /// # Errors
    /// When the program cannot be started a second time.
    pub fn start_with(task: &str, job: &impl Serialize, environment: Environment) -> Result<Self> {
        let program = std::env::current_exe().context("finding this program to start a worker")?;
        let mut process = Command::new(&program)
            .args(["worker", task])
            // Mesa's layer that picks a default device asks for a display and complains when there is none.
            .env("NODEVICE_SELECT", "1")
            .envs(environment)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let (sender, lines) = channel();
        if let Some(output) = process.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        let complaints = process.stderr.take().map(|errors| std::thread::spawn(move || tail(errors)));
        let mut child = Self { orders: process.stdin.take(), process, lines, complaints };
        child.say(job);
        Ok(child)
    }

    /// Writes a line to the worker. A worker that is gone is noticed when it is listened to.
    pub fn say(&mut self, line: &impl Serialize) {
        if let (Some(input), Ok(mut text)) = (self.orders.as_mut(), serde_json::to_string(line)) {
            text.push('\n');
            let _ = input.write_all(text.as_bytes()).and_then(|()| input.flush());
        }
    }

    /// Asks for an end with what there is.
    pub fn stop(&mut self) {
        self.say(&Order::Stop);
    }

    pub fn listen(&mut self, within: Duration) -> Heard {
        match self.lines.recv_timeout(within) {
            Ok(line) => match serde_json::from_str(&line) {
                Ok(event) => Heard::Event(event),
                // A driver that prints to stdout is none of ours.
                Err(_) => Heard::Silence,
            },
            Err(RecvTimeoutError::Timeout) => Heard::Silence,
            Err(RecvTimeoutError::Disconnected) => Heard::Gone(self.end()),
        }
    }

    /// Waits for a worker that is ending; ends one that does not. Tells how it went.
    pub fn end(&mut self) -> String {
        self.orders = None;
        let asked = Instant::now();
        let mut signalled = false;
        let status = loop {
            match self.process.try_wait() {
                Ok(Some(status)) => break Some(status),
                Ok(None) if asked.elapsed() > 2 * GRACE => {
                    let _ = self.process.kill();
                    break self.process.wait().ok();
                }
                Ok(None) if asked.elapsed() > GRACE && !signalled => {
                    signalled = true;
                    self.signal(Signal::SIGTERM);
                }
                Ok(None) => std::thread::sleep(Duration::from_millis(5)),
                Err(_) => break None,
            }
        };
        let said = self.complaints.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        describe(status, said.trim())
    }

    /// Ends a worker that hangs: SIGTERM, then SIGKILL. A stopped one is continued first, or it could not hear.
    pub fn kill(&mut self) -> String {
        self.signal(Signal::SIGTERM);
        self.signal(Signal::SIGCONT);
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline && matches!(self.process.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.process.kill();
        self.end()
    }

    fn signal(&self, signal: Signal) {
        if let Ok(id) = i32::try_from(self.process.id()) {
            let _ = kill(Pid::from_raw(id), signal);
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

/// The end of what is written, for a message.
fn tail(mut from: impl Read) -> String {
    let (mut kept, mut buffer) = (Vec::new(), [0_u8; 1024]);
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        kept.extend_from_slice(&buffer[..read]);
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

fn describe(status: Option<ExitStatus>, said: &str) -> String {
    let how = match status {
        Some(status) if status.success() => "the worker ended early".to_owned(),
        Some(status) => status.signal().map_or_else(
            || format!("the worker ended with {status}"),
            |signal| format!("the worker was ended by {}", Signal::try_from(signal).map_or("a signal", Signal::as_str)),
        ),
        None => "the worker is gone".to_owned(),
    };
    let last = said.lines().last().unwrap_or_default();
    if last.is_empty() { how } else { format!("{how}: {last}") }
}

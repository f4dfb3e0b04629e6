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
    complaints: Receiver<String>,
}

impl Child {
    /// Starts `assay worker` with a first line of input, and with variables of the environment set. It has a process group of its own, so
    /// that Ctrl-C reaches the parent alone.
    ///
    /// # Errors
    /// When the program cannot be started a second time.
    pub fn start_with(task: &str, job: &impl Serialize, environment: Environment) -> Result<Self> {
        let program = std::env::current_exe().context("finding this program to start a worker")?;
        let mut process = Command::new(&program);
        // Mesa's layer that picks a default device asks for a display and complains when there is none.
        process.args(["worker", task]).env("NODEVICE_SELECT", "1").envs(environment);
        let mut child = Self::started(process).with_context(|| format!("starting {}", program.display()))?;
        child.say(job);
        Ok(child)
    }

    fn started(mut process: Command) -> std::io::Result<Self> {
        let pipes = process.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = pipes.spawn()?;
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
        let (sends, complaints) = channel();
        if let Some(errors) = process.stderr.take() {
            // Nobody need hear it: a worker that cannot be ended is not waited for.
            std::thread::spawn(move || sends.send(tail(errors)));
        }
        Ok(Self { orders: process.stdin.take(), process, lines, complaints })
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
        let ended = self.ended_within(GRACE).or_else(|| {
            self.signal(Signal::SIGTERM);
            self.ended_within(GRACE)
        });
        let status = ended.or_else(|| self.killed());
        // Whoever it left behind may hold its output open.
        let said = self.complaints.recv_timeout(GRACE).unwrap_or_default();
        describe(status, said.trim())
    }

    /// How it ended, if it does within a time.
    fn ended_within(&mut self, time: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + time;
        loop {
            match self.process.try_wait() {
                Ok(None) if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
                Ok(status) => return status,
                Err(_) => return None,
            }
        }
    }

    /// Kills it. One that stands within the system's part of a driver does not end before the driver lets it go, which may be never: it
    /// is left there.
    fn killed(&mut self) -> Option<ExitStatus> {
        let _ = self.process.kill();
        self.ended_within(GRACE)
    }

    /// Ends a worker that hangs: SIGTERM, then SIGKILL. A stopped one is continued first, or it could not hear. Tells what became of it, in
    /// words.
    pub fn kill(&mut self) -> &'static str {
        self.signal(Signal::SIGTERM);
        self.signal(Signal::SIGCONT);
        let ended = self.ended_within(GRACE).or_else(|| self.killed());
        if ended.is_some() { "was ended" } else { "cannot be ended" }
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
            self.killed();
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
        None => "the worker cannot be ended".to_owned(),
    };
    let last = said.lines().last().unwrap_or_default();
    if last.is_empty() { how } else { format!("{how}: {last}") }
}

#[test]
fn a_worker_is_not_waited_for_beyond_its_end_nor_for_what_it_leaves_behind() {
    let begin = Instant::now();
    let started = |line: &str| {
        let mut shell = Command::new("sh");
        shell.args(["-c", line]);
        Child::started(shell).expect("a shell")
    };
    let mut leaves = started("sleep 20 & echo last words >&2; exit 5");
    assert_eq!(leaves.end(), "the worker ended with exit status: 5", "what it said last is still open");
    assert_eq!(started("echo why >&2; exit 5").end(), "the worker ended with exit status: 5: why");
    assert_eq!(started("trap '' TERM; sleep 20 & wait; wait").kill(), "was ended");
    assert!(begin.elapsed() < Duration::from_secs(30));
}

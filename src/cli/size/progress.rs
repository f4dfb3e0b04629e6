//! What a person sees while a plan is sought: a bar on a terminal, and only where it takes more than a second.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::{io::IsTerminal, thread, time::Duration};

/// What is done within this is not worth a bar.
const PATIENCE: Duration = Duration::from_secs(1);

/// A bar on stderr that appears late, or never.
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// `most` is how many steps there will be at most; zero where nobody knows.
    #[must_use]
    pub fn new(what: &'static str, most: u64, wanted: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(most).filter(|most| *most > 0), ProgressDrawTarget::hidden());
        let template = if most > 0 { "{msg} {pos} {elapsed}" } else { "{spinner} {msg} {elapsed}" };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        if wanted && std::io::stderr().is_terminal() {
            let late = bar.clone();
            thread::spawn(move || {
                thread::sleep(PATIENCE);
                if !late.is_finished() {
                    late.set_draw_target(ProgressDrawTarget::stderr());
                    late.enable_steady_tick(Duration::from_millis(200));
                }
            });
        }
        Self { bar }
    }

    /// A step more is done.
    pub fn step(&self) {
        self.bar.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

//! Looks at devices, again and again, in a worker: a driver that hangs or crashes costs a look and no more.

use super::{
    child::{Child, Heard},
    event::{Event, Look, Seen},
    vigil::Vigil,
};
use crate::record::Vitals;
use anyhow::{Result, bail};
use std::time::{Duration, Instant};

/// How often it is seen whether the worker still answers.
const LOOK: Duration = Duration::from_millis(100);
/// The first look takes this long at the most: drivers load slowly.
const FIRST: Duration = Duration::from_secs(30);
/// Workers in a row that may be lost.
const PATIENCE: u32 = 3;

/// Tells `news` of each look, as it comes. When a worker is lost, one look says so of every device, and a new one goes on.
///
/// # Errors
/// Those of `news`, which end it; when no worker can be started, or when one after another is lost.
pub fn watch(look: &Look, news: &mut dyn FnMut(Vec<Seen>) -> Result<()>) -> Result<()> {
    let (mut left, mut lost) = (look.count, 0);
    while left != Some(0) {
        let before = left;
        let mut seen = |looked: Vec<Seen>| {
            lost = 0;
            left = left.map(|left| left.saturating_sub(1));
            news(looked)
        };
        let rest = Look { count: before, ..look.clone() };
        let how = attend(&rest, &mut seen)?;
        let Some(how) = how else { break };
        lost += 1;
        if lost == PATIENCE {
            bail!("the driver was lost {PATIENCE} times in a row, at last so: {how}");
        }
        left = left.map(|left| left.saturating_sub(1));
        let absent =
            |device: &crate::record::Device| Seen { id: device.id.clone(), vitals: Vitals::new(), absent: Some(how.clone()) };
        news(look.devices.iter().map(absent).collect())?;
    }
    Ok(())
}

/// One worker's life; how it was lost, if it was.
fn attend(look: &Look, news: &mut dyn FnMut(Vec<Seen>) -> Result<()>) -> Result<Option<String>> {
    let mut child = Child::start_with("watch", look, Vec::new())?;
    let mut vigil = Vigil::new(Instant::now(), FIRST);
    loop {
        let heard = child.listen(LOOK);
        vigil.look(Instant::now(), matches!(heard, Heard::Event(_)));
        match heard {
            Heard::Event(Event::Looked { seen }) => {
                vigil.expect(Instant::now(), Duration::from(look.interval) + FIRST);
                news(seen)?;
            }
            Heard::Event(Event::Broken { why }) => bail!("{why}"),
            Heard::Event(Event::Done) => return Ok(None),
            Heard::Event(_) => {}
            Heard::Silence => {
                if let Some(why) = vigil.lost(Instant::now()) {
                    let end = child.kill();
                    return Ok(Some(format!("the worker {why}, and {end}")));
                }
            }
            Heard::Gone(how) => return Ok(Some(how)),
        }
    }
}

//! Workers that measure nothing: one lists devices, one looks at them again and again.

use super::{
    event::{Event, Look, Seen},
    listing,
    worker::{BEAT, STOP, backend, die_with_parent, receive, show_life, tell},
};
use crate::{
    contract::{Clock, Listing, Monotonic},
    record::Vitals,
    telemetry::{Monitor, Pace, Sources},
};
use std::{path::Path, sync::atomic::Ordering, time::Duration};

/// A driver has at least this long to answer a look.
const SHORTEST: Duration = Duration::from_millis(200);

/// Lists the devices of the backend named on standard input.
pub fn list() {
    die_with_parent();
    let (listing, units) = match receive::<String>().map(|name| (backend(&name), name)) {
        Ok((Some(backend), _)) => listing::described((backend.probe)()),
        Ok((None, name)) => (absent(&name, "not built into this program"), Vec::new()),
        Err(why) => (absent("", &why), Vec::new()),
    };
    tell(&Event::Listed { listing, units });
    tell(&Event::Done);
}

fn absent(backend: &str, why: &str) -> Listing {
    Listing { backend: backend.into(), absent: Some(why.into()), ..Listing::default() }
}

/// Looks at the devices named on standard input.
pub fn look() {
    show_life();
    match receive::<Look>() {
        Ok(look) => look_on(&look),
        Err(why) => tell(&Event::Broken { why }),
    }
    tell(&Event::Done);
}

fn look_on(look: &Look) {
    let sources = Sources::open(look.nvml_library.as_deref().map(Path::new));
    let mut monitors: Vec<_> = look.devices.iter().map(|device| (&device.id, sources.monitor(device))).collect();
    let (pace, within) = (if look.all { Pace::All } else { Pace::Often }, Duration::from(look.interval).clamp(SHORTEST, BEAT));
    let clock = Monotonic::default();
    for count in 1.. {
        let begin = clock.now();
        let see = |(id, monitor): &mut (&String, Result<Monitor, String>)| match monitor {
            Ok(monitor) => Seen { id: id.clone(), vitals: monitor.read(pace, within), absent: None },
            Err(why) => Seen { id: id.clone(), vitals: Vitals::new(), absent: Some(why.clone()) },
        };
        tell(&Event::Looked { seen: monitors.iter_mut().map(see).collect() });
        if look.count == Some(count) || STOP.load(Ordering::Relaxed) {
            break;
        }
        clock.wait_until(begin + look.interval);
    }
}

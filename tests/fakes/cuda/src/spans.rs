//! Which calls a program makes in timed spans: between an event and the next one on whose way something was launched.

use std::collections::BTreeSet;

/// Calls that give the device work.
const WORK: &[&str] = &["cuLaunchKernel", "cuLaunchKernelEx", "cuGraphLaunch", "assayFakeProduct"];
/// Calls by which a program waits: what comes after them is in no span.
const WAITS: &[&str] = &["cuEventQuery", "cuEventSynchronize", "cuStreamQuery", "cuStreamSynchronize", "cuCtxSynchronize"];

/// Spans as the calls come in.
#[derive(Default)]
pub struct Spans {
    /// Calls since an event was recorded, if one was.
    open: Option<BTreeSet<&'static str>>,
    /// Calls of all spans.
    pub within: BTreeSet<&'static str>,
}

impl Spans {
    pub fn pass(&mut self, call: &'static str) {
        if WAITS.contains(&call) {
            self.open = None;
        } else if call == "cuEventRecord" {
            let since = self.open.take().unwrap_or_default();
            if since.iter().any(|call| WORK.contains(call)) {
                self.within.extend(since);
            } else {
                self.open = Some(BTreeSet::new());
            }
        } else if let Some(since) = &mut self.open {
            since.insert(call);
        }
    }
}

#[test]
fn only_calls_between_two_events_around_work_count() {
    let mut spans = Spans::default();
    for call in ["cuMemAlloc_v2", "cuEventRecord", "cuEventRecord", "cuEventSynchronize", "cuMemFree_v2", "cuLaunchKernel"] {
        spans.pass(call);
    }
    for call in ["cuEventRecord", "cuLaunchKernel", "cuCtxGetCurrent", "cuEventRecord", "cuEventCreate", "cuEventQuery"] {
        spans.pass(call);
    }
    assert_eq!(spans.within.iter().copied().collect::<Vec<_>>(), ["cuCtxGetCurrent", "cuLaunchKernel"]);
}

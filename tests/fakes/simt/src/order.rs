//! Which accesses to shared memory are ordered by synchronisation, by vector clocks.
//!
//! An actor is a warp, or the asynchronous operations that a warp started. A warp's clock says, for each actor, up to which of its
//! steps everything is known to have happened. Barriers and mbarriers carry clocks from warp to warp. Two accesses to a word conflict
//! when one of them writes and neither actor's clock covers the other (the idea of FastTrack, Flanagan and Freund 2009). So a missing
//! barrier is seen under every schedule, not only where it changes the result.

/// For each actor, the last step that is known to have happened.
pub(crate) type Clock = Vec<u32>;

/// The clocks of a cluster's warps.
pub(crate) struct Order {
    warps: usize,
    clocks: Vec<Clock>,
    /// Asynchronous operations that each warp started.
    started: Vec<u32>,
}

/// Who accesses, at which of its steps, knowing what.
pub(crate) struct Actor<'a> {
    pub number: usize,
    pub step: u32,
    pub knows: &'a [u32],
}

/// An asynchronous operation's place in the order.
#[derive(Clone, Debug)]
pub(crate) struct Started {
    pub actor: usize,
    pub step: u32,
    /// What its warp knew.
    pub knows: Clock,
}

impl Started {
    pub(crate) fn actor(&self) -> Actor<'_> {
        Actor { number: self.actor, step: self.step, knows: &self.knows }
    }

    /// What one knows who has seen it end.
    pub(crate) fn end(&self) -> Clock {
        let mut clock = self.knows.clone();
        clock[self.actor] = clock[self.actor].max(self.step);
        clock
    }
}

pub(crate) fn join(into: &mut [u32], from: &[u32]) {
    for (into, from) in into.iter_mut().zip(from) {
        *into = (*into).max(*from);
    }
}

impl Order {
    pub(crate) fn new(warps: usize) -> Self {
        let clock = |warp: usize| (0..2 * warps).map(|actor| u32::from(actor == warp)).collect();
        Self { warps, clocks: (0..warps).map(clock).collect(), started: vec![0; warps] }
    }

    pub(crate) fn actors(&self) -> usize {
        2 * self.warps
    }

    pub(crate) fn actor(&self, warp: usize) -> Actor<'_> {
        Actor { number: warp, step: self.clocks[warp][warp], knows: &self.clocks[warp] }
    }

    /// What a warp knows, to be handed to others; its later steps are not part of it.
    pub(crate) fn release(&mut self, warp: usize) -> Clock {
        let known = self.clocks[warp].clone();
        self.clocks[warp][warp] += 1;
        known
    }

    pub(crate) fn acquire(&mut self, warp: usize, known: &[u32]) {
        join(&mut self.clocks[warp], known);
    }

    /// An asynchronous operation starts.
    pub(crate) fn start(&mut self, warp: usize) -> Started {
        self.started[warp] += 1;
        Started { actor: self.warps + warp, step: self.started[warp], knows: self.release(warp) }
    }

    /// The actor that a warp's asynchronous operations are.
    pub(crate) fn asynchronous(&self, warp: usize) -> usize {
        self.warps + warp
    }

    /// A warp waited for its own asynchronous operations up to one.
    pub(crate) fn waited(&mut self, warp: usize, step: u32) {
        let known = &mut self.clocks[warp][self.warps + warp];
        *known = (*known).max(step);
    }

    /// In words.
    pub(crate) fn name(&self, actor: usize) -> String {
        if actor < self.warps {
            format!("warp {actor}")
        } else {
            format!("an asynchronous operation of warp {}", actor - self.warps)
        }
    }
}

/// The last accesses to each 4-byte word of a block's shared memory.
pub(crate) struct Shadow {
    actors: usize,
    writes: Vec<(u16, u32)>,
    /// By word, then actor.
    reads: Vec<u32>,
}

/// The other side of a conflict, and whether it wrote.
pub(crate) struct Conflict {
    pub other: usize,
    pub wrote: bool,
}

impl Shadow {
    pub(crate) fn new(bytes: usize, actors: usize) -> Self {
        let words = bytes.div_ceil(4);
        Self { actors, writes: vec![(0, 0); words], reads: vec![0; words * actors] }
    }

    fn unordered_write(&self, word: usize, actor: &Actor<'_>) -> Option<Conflict> {
        let (other, step) = self.writes[word];
        let other = usize::from(other);
        (other != actor.number && step > actor.knows[other]).then_some(Conflict { other, wrote: true })
    }

    pub(crate) fn read(&mut self, word: usize, actor: &Actor<'_>) -> Option<Conflict> {
        self.reads[word * self.actors + actor.number] = actor.step;
        self.unordered_write(word, actor)
    }

    pub(crate) fn write(&mut self, word: usize, actor: &Actor<'_>) -> Option<Conflict> {
        let reads = &self.reads[word * self.actors..][..self.actors];
        let unordered =
            reads.iter().zip(actor.knows).enumerate().find(|(other, (step, known))| step > known && *other != actor.number);
        let conflict = unordered.map(|(other, _)| Conflict { other, wrote: false }).or_else(|| self.unordered_write(word, actor));
        self.writes[word] = (actor.number as u16, actor.step);
        conflict
    }
}

#[test]
fn a_barrier_orders_and_its_absence_shows() {
    let mut order = Order::new(2);
    let mut shadow = Shadow::new(8, order.actors());
    assert!(shadow.write(0, &order.actor(0)).is_none());
    assert!(shadow.read(0, &order.actor(1)).is_some_and(|conflict| conflict.other == 0 && conflict.wrote));
    let known = order.release(0);
    order.acquire(1, &known);
    assert!(shadow.read(0, &order.actor(1)).is_none());
    assert!(shadow.write(0, &order.actor(0)).is_some_and(|conflict| conflict.other == 1 && !conflict.wrote));
}

#[test]
fn an_asynchronous_copy_is_ordered_by_its_wait() {
    let mut order = Order::new(1);
    let mut shadow = Shadow::new(4, order.actors());
    let copy = order.start(0);
    assert!(shadow.write(0, &copy.actor()).is_none());
    assert!(shadow.read(0, &order.actor(0)).is_some());
    order.waited(0, copy.step);
    assert!(shadow.read(0, &order.actor(0)).is_none());
}

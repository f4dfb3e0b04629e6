//! A machine of which every launch is written down beforehand: how long it takes and what it leaves behind. Its time is virtual.

use assay::{
    contract::{Clock, Fault, Machine, Prepared, Span, Timer, Unsupported},
    plan::{COLUMN, Fold, Pass, Plan, ROW, Variant, VariantKind, weight},
    record::{Device, Kind},
    units::Nanos,
};
use std::cell::{Cell, RefCell};

/// Virtual time, moved by waiting and by launches.
#[derive(Default)]
pub struct VirtualClock(Cell<u64>);

impl Clock for VirtualClock {
    fn now(&self) -> Nanos {
        Nanos(self.0.get())
    }

    fn wait_until(&self, when: Nanos) {
        self.0.set(self.0.get().max(when.0));
    }
}

/// What goes wrong, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Script {
    Sound,
    /// A bit of the output turns over after this many launches.
    Flip(u64),
    /// The kernel is wrong from the first launch: element 0 is off by one.
    Wrong,
    /// One element is never written.
    Unwritten(u64),
    /// The launch after this many never ends.
    Hang(u64),
    /// The device is lost after this many launches.
    Lost(u64),
    OutOfMemory,
    Unsupported,
}

pub struct Scripted {
    pub devices: Vec<Device>,
    pub clock: VirtualClock,
    /// Time of launch `index` of a variant.
    pub times: fn(variant: usize, index: u64) -> u64,
    /// Launches told as one span.
    pub batch: u32,
    pub script: Script,
    /// What was called, in order.
    pub calls: RefCell<Vec<String>>,
}

impl Scripted {
    pub fn new(times: fn(usize, u64) -> u64) -> Self {
        Self {
            devices: (0..2).map(|i| Device::new(&format!("scripted:{i}"), "scripted", Kind::Fake, "scripted")).collect(),
            clock: VirtualClock::default(),
            times,
            batch: 1,
            script: Script::Sound,
            calls: RefCell::default(),
        }
    }
}

impl Machine for Scripted {
    fn devices(&self) -> &[Device] {
        &self.devices
    }

    fn supports(&self, plan: &Plan) -> Result<(), Unsupported> {
        let known = plan.places.iter().all(|place| self.devices.iter().any(|device| device.id == *place));
        match self.script {
            Script::Unsupported => Err(Unsupported::Memory { needed: plan.bytes_allocated(), free: 1 }),
            _ if !known => Err(Unsupported::Other(format!("opened on {:?} only", self.devices.len()))),
            _ => Ok(()),
        }
    }

    fn variants(&self, _: &Plan) -> Vec<Variant> {
        vec![Variant::own("a"), Variant { name: "library".into(), kind: VariantKind::Vendor }, Variant::slow("slow")]
    }

    fn prepare(&self, plan: &Plan, variants: &[Variant]) -> Result<Box<dyn Prepared + '_>, Fault> {
        if self.script == Script::OutOfMemory {
            return Err(Fault::OutOfMemory { needed: plan.bytes_allocated(), free: Some(7) });
        }
        self.calls.borrow_mut().push(format!("prepare {}", variants.len()));
        Ok(Box::new(Run {
            machine: self,
            plan: plan.clone(),
            pass: Pass::Zeros,
            output: Vec::new(),
            launches: 0,
            spans: Vec::new(),
        }))
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }
}

/// Carries out whatever the plan's own oracle says; so it is measuring that is under test here, not kernels.
struct Run<'a> {
    machine: &'a Scripted,
    plan: Plan,
    pass: Pass,
    output: Vec<f64>,
    launches: u64,
    spans: Vec<Span>,
}

impl Run<'_> {
    fn carry_out(&mut self) {
        let elements = self.plan.buffers[self.plan.check.output].elements;
        self.output = (0..elements).map(|e| (self.plan.check.element)(&self.plan, self.pass, e)).collect();
        match self.machine.script {
            Script::Wrong => self.output[0] += 1.0,
            Script::Unwritten(element) => self.output[element as usize] = f64::NAN,
            Script::Flip(after) if self.launches >= after => self.flip_bit(64 * 3 + 17),
            _ => {}
        }
    }

    fn flip_bit(&mut self, bit: u64) {
        let element = &mut self.output[bit as usize / 64];
        *element = f64::from_bits(element.to_bits() ^ 1 << (bit % 64));
    }
}

impl Prepared for Run<'_> {
    fn fill(&mut self, pass: Pass) -> Result<(), Fault> {
        self.machine.calls.borrow_mut().push(format!("fill {pass:?}"));
        self.pass = pass;
        self.output.clear();
        Ok(())
    }

    fn start(&mut self, variant: usize, launches: u32) -> Result<(), Fault> {
        self.machine.calls.borrow_mut().push(format!("start {variant}"));
        let mut begin = self.machine.clock.now();
        for index in (0..launches).step_by(self.machine.batch as usize) {
            let together = self.machine.batch.min(launches - index);
            let took = Nanos((0..together).map(|i| (self.machine.times)(variant, self.launches + u64::from(i))).sum());
            self.spans.push(Span { begin, took, launches: together, intended: None });
            self.launches += u64::from(together);
            begin += took;
        }
        self.machine.clock.wait_until(begin);
        self.carry_out();
        Ok(())
    }

    fn finished(&mut self) -> Result<bool, Fault> {
        match self.machine.script {
            Script::Hang(after) if self.launches > after => Ok(false),
            Script::Lost(after) if self.launches > after => Err(Fault::Lost("scripted".into())),
            _ => Ok(true),
        }
    }

    fn spans(&mut self) -> Result<Vec<Span>, Fault> {
        Ok(std::mem::take(&mut self.spans))
    }

    fn sample(&mut self, buffer: usize, elements: &[u64]) -> Result<Vec<f64>, Fault> {
        assert_eq!(buffer, self.plan.check.output);
        Ok(elements.iter().map(|&e| self.output[e as usize]).collect())
    }

    fn fold(&mut self, _: usize, fold: Fold, seeds: &[u32]) -> Result<Vec<u32>, Fault> {
        let columns = self.plan.buffers[self.plan.check.output].columns;
        let term = |seed: u32, (e, value): (u64, &f64)| match fold {
            Fold::Values => (*value as i64 as u32)
                .wrapping_mul(weight(seed ^ ROW, e / columns))
                .wrapping_mul(weight(seed ^ COLUMN, e % columns)),
            Fold::Bits => {
                let bits = value.to_bits();
                (bits as u32)
                    .wrapping_mul(weight(seed, 2 * e))
                    .wrapping_add(((bits >> 32) as u32).wrapping_mul(weight(seed, 2 * e + 1)))
            }
        };
        let sum = |&seed: &u32| (0..).zip(&self.output).fold(0_u32, |sum, pair| sum.wrapping_add(term(seed, pair)));
        Ok(seeds.iter().map(sum).collect())
    }

    fn flip(&mut self, _: usize, bit: u64) -> Result<(), Fault> {
        self.flip_bit(bit);
        Ok(())
    }

    fn timer(&self) -> Timer {
        Timer { name: "script", resolution: Nanos(1), overhead: None, gated: false }
    }

    fn identity(&self, variant: usize) -> String {
        format!("script {variant}")
    }
}

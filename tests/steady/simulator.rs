//! Traces of launches with a known long-run rate, one kind for each way in which devices are known to behave.

use assay::{device::Trace, units::Nanos};
use std::f64::consts::TAU;

const HEADER: &str = r#"{"schema":"assay.trace/1","device":{"model":"simulated","units":100,"boost_mhz":2000,"memory_mhz":2500,"bus_bits":4096,"power_limit_w":700,"default_power_limit_w":700,"flop_per_clock":{"fp32":256}},"workload":{"id":"simulated","flops":1000000,"bytes":0}}"#;

/// SplitMix64 (Steele, Lea and Flood 2014).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Within 0..1, neither included.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    pub fn within(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    pub fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (TAU * self.unit()).cos()
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.unit().ln()
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    Iid,
    Autoregressive,
    Ramp,
    BoostDecay,
    PowerCap,
    Periodic,
    HeavyTail,
    StepDrop,
    Bimodal,
    /// Drifts without end: there is no long-run rate.
    Drift,
}

/// The kinds that have a long-run rate.
pub const STATIONARY: [Kind; 9] = [
    Kind::Iid,
    Kind::Autoregressive,
    Kind::Ramp,
    Kind::BoostDecay,
    Kind::PowerCap,
    Kind::Periodic,
    Kind::HeavyTail,
    Kind::StepDrop,
    Kind::Bimodal,
];

/// A trace, and the mean time of a launch in the long run.
pub struct Simulated {
    pub trace: Trace,
    pub mean: f64,
}

/// The ranges that a trace's shape is drawn from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Setting {
    /// Launches of 20 ms.
    Usual,
    /// Launches of 1 ms to 50 ms, everything more varied.
    Wide,
    /// Launches of 0.1 ms to 200 ms, correlation of neighbours up to 0.95 whatever they take, slow warm-ups, dwells of up to 4 s.
    Widest,
    /// As the usual ones, but levels last 0.75 s to 3.75 s.
    Dwelling,
}

/// What shapes the times of one trace.
struct Shape {
    kind: Kind,
    /// Seconds of a launch without noise.
    base: f64,
    sigma: f64,
    /// Correlation of the noise of neighbouring launches.
    phi: f64,
    /// Relative change of time: of the transient, the oscillation, the interference, the other level.
    amplitude: f64,
    /// Time constant, period, or moment of the drop, in seconds.
    time: f64,
    phase: f64,
    /// Part of a period that the interference takes.
    duty: f64,
    /// Mean dwell on either level, in seconds.
    dwell: [f64; 2],
    /// Share of slow launches, their least and the exponent of their excess.
    slow: (f64, f64, f64),
}

impl Shape {
    fn draw(kind: Kind, setting: Setting, random: &mut Random) -> Self {
        let mut range = |usual: (f64, f64), wide: (f64, f64), widest: (f64, f64)| {
            let (low, high) = match setting {
                Setting::Usual | Setting::Dwelling => usual,
                Setting::Wide => wide,
                Setting::Widest => widest,
            };
            random.within(low, high)
        };
        let base = 10_f64.powf(range((-1.7, -1.7), (-3.0, -1.3), (-4.0, -0.7)));
        let sigma = range((0.003, 0.012), (0.001, 0.02), (0.001, 0.02));
        let amplitude = match kind {
            Kind::Ramp => range((0.05, 0.3), (0.05, 0.3), (0.02, 0.3)),
            Kind::BoostDecay => -range((0.03, 0.12), (0.02, 0.2), (0.02, 0.15)),
            Kind::PowerCap => range((0.01, 0.03), (0.005, 0.05), (0.005, 0.05)),
            Kind::Periodic => range((0.2, 0.5), (0.2, 1.0), (0.1, 1.0)),
            Kind::StepDrop => -range((0.03, 0.15), (0.03, 0.15), (0.02, 0.2)),
            Kind::Bimodal => range((0.02, 0.06), (0.02, 0.1), (0.02, 0.1)),
            Kind::Drift => range((0.02, 0.02), (0.015, 0.04), (0.015, 0.04)),
            Kind::Iid | Kind::Autoregressive | Kind::HeavyTail => 0.0,
        };
        let time = match kind {
            Kind::Ramp => range((0.3, 2.0), (0.3, 3.0), (0.3, 6.0)),
            Kind::BoostDecay => range((2.0, 5.0), (1.0, 6.0), (1.0, 8.0)),
            Kind::PowerCap => range((0.5, 4.0), (0.3, 6.0), (0.5, 5.0)),
            Kind::Periodic => range((0.5, 2.0), (0.5, 4.0), (0.5, 5.0)),
            _ => range((1.0, 5.0), (1.0, 5.0), (1.0, 5.0)),
        };
        let usual_dwell = if setting == Setting::Dwelling { (0.75, 3.75) } else { (0.3, 1.5) };
        let dwell = range(usual_dwell, (0.3, 1.5), (0.3, 4.0));
        let other = range((dwell, dwell), (0.3, 1.5), (0.3, 4.0));
        // By 20 ms, whatever a launch takes; in the widest setting long launches follow each other as closely.
        let correlation = range((0.9, 0.9), (0.8, 0.97), (0.8, 0.95));
        let apart = if setting == Setting::Widest { (base / 0.02).min(1.0) } else { base / 0.02 };
        let noisy = range((0.01, 0.01), (0.005, 0.02), (0.005, 0.015));
        let autoregressive = kind == Kind::Autoregressive;
        let (unit, duty, least, exponent) = ((0.0, 1.0), (0.03, 0.15), (0.2, 1.0), (2.2, 3.5));
        Self {
            kind,
            base,
            sigma: if autoregressive { noisy } else { sigma },
            phi: if autoregressive { correlation.powf(apart) } else { 0.0 },
            amplitude,
            time,
            phase: range(unit, unit, unit),
            duty: range(duty, duty, duty),
            dwell: [dwell, other],
            slow: (
                range((0.01, 0.01), (0.002, 0.02), (0.002, 0.02)),
                range(least, least, least),
                range(exponent, exponent, exponent),
            ),
        }
    }

    /// Mean time of a launch in the long run: time over launches, so that slow stretches hold fewer of them.
    fn mean(&self, random: &mut Random) -> f64 {
        if self.kind == Kind::Periodic {
            return self.followed(random);
        }
        let (amplitude, [fast, slow], (share, least, exponent)) = (self.amplitude, self.dwell, self.slow);
        self.base
            * match self.kind {
                Kind::PowerCap => (1.0 - amplitude * amplitude).sqrt(),
                Kind::Bimodal => (fast + slow) / (fast + slow / (1.0 + amplitude)),
                Kind::HeavyTail => 1.0 + share * least * exponent / (exponent - 1.0),
                _ => 1.0,
            }
    }

    /// That mean over a time so long that nothing depends on where it ends: a launch that begins before an interference is not slowed by
    /// it, which no simple formula tells of long launches.
    fn followed(&self, random: &mut Random) -> f64 {
        let (mut t, mut launches) = (0.0, 0_u32);
        while t < 10_000.0 {
            t += self.base.max(0.002) * ((1.0 + self.sigma * random.normal()) * self.at(t, random)).max(0.2);
            launches += 1;
        }
        t / f64::from(launches) * self.base / self.base.max(0.002)
    }

    /// Relative time at `t` seconds, apart from noise and levels.
    fn at(&self, t: f64, random: &mut Random) -> f64 {
        let cycle = t / self.time + self.phase;
        let (share, least, exponent) = self.slow;
        1.0 + match self.kind {
            Kind::Ramp | Kind::BoostDecay => self.amplitude * (-t / self.time).exp(),
            Kind::PowerCap => self.amplitude * (TAU * cycle).sin(),
            Kind::Periodic if cycle.fract() < self.duty => self.amplitude,
            Kind::StepDrop if t < self.time => self.amplitude,
            Kind::HeavyTail if random.unit() < share => least * random.unit().powf(-1.0 / exponent),
            Kind::Drift => self.amplitude * t / 30.0,
            _ => 0.0,
        }
    }
}

/// A trace of 33 s of one kind.
pub fn simulate(kind: Kind, seed: u64, setting: Setting) -> Simulated {
    let mut random = Random::new(seed << 8 | kind as u64);
    let shape = Shape::draw(kind, setting, &mut random);
    let mut slow = random.unit() < shape.dwell[1] / (shape.dwell[0] + shape.dwell[1]);
    let mut until = random.exponential(shape.dwell[usize::from(slow)]);
    let (mut noise, mut now) = (0.0, Nanos(0));
    let mut launches = Vec::new();
    while now < Nanos(33_000_000_000) {
        let t = now.seconds();
        while kind == Kind::Bimodal && t > until {
            slow = !slow;
            until += random.exponential(shape.dwell[usize::from(slow)]);
        }
        noise = shape.phi * noise + shape.sigma * (1.0 - shape.phi * shape.phi).sqrt() * random.normal();
        let level = if kind == Kind::Bimodal && slow { 1.0 + shape.amplitude } else { 1.0 };
        let took = Nanos::from_seconds(shape.base * ((1.0 + noise) * level * shape.at(t, &mut random)).max(0.2));
        launches.push((now, took));
        now += took;
    }
    let header = Trace::parse("simulated", &format!("{HEADER}\n{{\"t_ns\":0,\"launches\":[1]}}")).expect("a sound header");
    Simulated { trace: Trace { launches, ..header }, mean: shape.mean(&mut random) }
}

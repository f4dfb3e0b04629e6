//! The ledger on simulated traces whose losses are known: it closes, and gives each cause its part.

use crate::simulator::Random;
use assay::{
    device::{Replay, Trace},
    judge,
    record::{Ledger, Loss},
    runner,
    units::Nanos,
};
use std::{collections::BTreeMap, fmt::Write};

const BOOST: f64 = 2_000.0;
const MEMORY: f64 = 1_000.0;

/// What the device does while a state lasts.
#[derive(Clone, Copy)]
struct Condition {
    cause: &'static str,
    limit: &'static str,
    /// Of the highest clock.
    clock: f64,
}

const FREE: Condition = Condition { cause: "", limit: "", clock: 1.0 };
const BRAKE: Condition = Condition { cause: "hardware brake", limit: "hw_power_brake_slowdown", clock: 0.5 };
const THERMAL: Condition = Condition { cause: "thermal", limit: "sw_thermal_slowdown", clock: 0.7 };
const LOWERED: Condition = Condition { cause: "power cap, lowered", limit: "sw_power_cap", clock: 0.8 };
const LOCKED: Condition = Condition { cause: "application or locked clock", limit: "applications_clocks_setting", clock: 0.9 };
/// Heat and the cap at once: heat is the graver.
const BOTH: Condition = Condition { cause: "thermal", limit: "hw_slowdown,hw_thermal_slowdown,sw_power_cap", clock: 0.6 };
/// A reason is shown, and yet the clock is at its highest.
const HARMLESS: Condition = Condition { cause: "", limit: "sw_power_cap", clock: 1.0 };
const UNNAMED: Condition = Condition { cause: "clock low, no reason given", limit: "", clock: 0.85 };

/// A device with known losses.
struct Scene {
    conditions: &'static [Condition],
    /// Mean seconds that a condition lasts.
    dwell: f64,
    /// Idle share of the time.
    idle: f64,
    /// What the kernel reaches of what the clock allows.
    efficiency: f64,
    memory_bound: bool,
    /// Limits are told by running totals alone.
    totals: bool,
    /// From one reading to the next, in seconds.
    every: f64,
    /// Share of readings that leave the clock, or the limits, blank.
    blanks: f64,
}

const PLAIN: Scene = Scene {
    conditions: &[FREE],
    dwell: 1.0,
    idle: 0.0,
    efficiency: 0.8,
    memory_bound: false,
    totals: false,
    every: 0.1,
    blanks: 0.0,
};

/// When each condition began.
type Course = Vec<(f64, Condition)>;

fn course(scene: &Scene, random: &mut Random) -> Course {
    let (mut t, mut course) = (0.0, Vec::new());
    for condition in scene.conditions.iter().cycle() {
        course.push((t, *condition));
        t += scene.dwell * random.within(0.5, 1.5);
        if t > 40.0 {
            break;
        }
    }
    course
}

fn at(course: &Course, t: f64) -> Condition {
    course[course.partition_point(|(begin, _)| *begin <= t).max(1) - 1].1
}

/// The trace as a file would hold it: lines of launches of about 5 ms, each followed by its gap, and a reading each tenth of a second.
fn trace(scene: &Scene, course: &Course, random: &mut Random) -> Trace {
    let mut text = header(scene);
    let (mut now, mut read) = (0_u64, 0_u64);
    let mut totals: BTreeMap<&str, u64> = BTreeMap::new();
    while now < 35_000_000_000 {
        let begin = now;
        let mut launches = Vec::new();
        for _ in 0..4 {
            let condition = at(course, now as f64 * 1e-9);
            let took = 5e6 / (condition.clock * scene.efficiency) * (1.0 + 0.003 * random.normal());
            launches.push(took.round() as u64);
            now += launches[launches.len() - 1];
        }
        let _ = writeln!(text, "{{\"t_ns\":{begin},\"launches\":{launches:?}}}");
        while read <= now {
            let blank = [(); 2].map(|()| random.within(0.0, 1.0) < scene.blanks);
            reading(&mut text, read.max(begin), at(course, read as f64 * 1e-9), (scene, blank), &mut totals);
            read += (scene.every * 1e9) as u64;
        }
        let busy = now - begin;
        now += (busy as f64 * scene.idle / (1.0 - scene.idle)).round() as u64;
    }
    Trace::parse("simulated", &text).expect("a sound trace")
}

fn header(scene: &Scene) -> String {
    // A launch of 5 ms at the highest clock reaches the peak: 10 units x 100 a clock x 2 GHz, or 80 bits x 1 GHz x 2 / 8.
    let (work, precision) = if scene.memory_bound {
        ("\"flops\":0,\"bytes\":100000000", "")
    } else {
        ("\"flops\":10000000000,\"bytes\":0", "\"fp32\":100")
    };
    format!(
        "{{\"schema\":\"assay.trace/1\",\"device\":{{\"model\":\"simulated\",\"units\":10,\"boost_mhz\":{BOOST},\"memory_mhz\":{MEMORY},\
         \"bus_bits\":80,\"power_limit_w\":230,\"default_power_limit_w\":300,\"flop_per_clock\":{{{precision}}}}},\
         \"workload\":{{\"id\":\"known\",{work}}}}}\n"
    )
}

fn reading(text: &mut String, t: u64, condition: Condition, of: (&Scene, [bool; 2]), totals: &mut BTreeMap<&'static str, u64>) {
    let (scene, [without_clock, without_limits]) = of;
    let quoted =
        |names: &str| names.split(',').filter(|name| !name.is_empty()).map(|name| format!("\"{name}\"")).collect::<Vec<_>>();
    let clock = if scene.memory_bound { ("memory_mhz", MEMORY) } else { ("sm_mhz", BOOST) };
    let mut fields = Vec::new();
    if !without_clock {
        fields.push(format!("\"{}\":{}", clock.0, clock.1 * condition.clock));
    }
    if scene.totals {
        let all = scene.conditions.iter().filter(|c| !c.limit.is_empty()).map(|c| c.limit);
        let shown: Vec<String> = all.map(|name| format!("\"{name}\":{}", totals.get(name).unwrap_or(&0))).collect();
        *totals.entry(condition.limit).or_default() += (scene.every * 1e9) as u64;
        fields.push(format!("\"violation_ns\":{{{}}}", shown.join(",")));
    } else if !without_limits {
        fields.push(format!("\"limits\":[{}]", quoted(condition.limit).join(",")));
    }
    let _ = writeln!(text, "{{\"t_ns\":{t},\"reading\":{{{}}}}}", fields.join(","));
}

/// What each cause cost within a window, as a part of the peak.
fn truth(scene: &Scene, course: &Course, from: f64, to: f64) -> BTreeMap<String, f64> {
    let steps = 20_000;
    let mut parts = BTreeMap::from([("launch gaps".to_owned(), scene.idle)]);
    for step in 0..steps {
        let condition = at(course, from + (to - from) * (f64::from(step) + 0.5) / f64::from(steps));
        let share = (1.0 - scene.idle) / f64::from(steps);
        *parts.entry(condition.cause.to_owned()).or_default() += share * (1.0 - condition.clock);
        *parts.entry("kernel".to_owned()).or_default() += share * condition.clock * (1.0 - scene.efficiency);
    }
    parts
}

fn ledger_of(scene: &Scene, seed: u64) -> (Ledger, BTreeMap<String, f64>) {
    let mut random = Random::new(seed);
    let course = course(scene, &mut random);
    let entry = runner::replay(trace(scene, &course, &mut random), None);
    let sampling = entry.sampling.as_ref().expect("sampling");
    let truth = truth(scene, &course, sampling.discarded, sampling.seconds);
    (judge::explain(&entry).expect("a ledger"), truth)
}

#[test]
fn every_cause_is_known_within_two_points() {
    let scenes = [
        PLAIN,
        Scene { idle: 0.08, ..PLAIN },
        Scene { conditions: &[LOWERED], ..PLAIN },
        Scene { conditions: &[LOCKED], idle: 0.03, efficiency: 0.95, ..PLAIN },
        Scene { conditions: &[UNNAMED, FREE], dwell: 0.6, ..PLAIN },
        Scene { conditions: &[LOWERED, THERMAL], dwell: 0.4, idle: 0.05, ..PLAIN },
        Scene { conditions: &[FREE, BRAKE, LOWERED, THERMAL, LOCKED], dwell: 0.5, idle: 0.02, efficiency: 0.9, ..PLAIN },
        Scene { conditions: &[FREE, LOWERED], dwell: 1.5, memory_bound: true, ..PLAIN },
        Scene { conditions: &[LOWERED, THERMAL, FREE], dwell: 1.0, totals: true, ..PLAIN },
        Scene { conditions: &[BOTH, LOWERED, BRAKE], dwell: 0.7, idle: 0.2, efficiency: 0.7, ..PLAIN },
        Scene { conditions: &[HARMLESS, LOWERED, UNNAMED], dwell: 0.3, idle: 0.01, ..PLAIN },
        Scene { conditions: &[LOWERED, LOCKED], dwell: 8.0, every: 0.4, ..PLAIN },
        Scene { conditions: &[LOWERED, LOCKED], dwell: 8.0, every: 1.0, ..PLAIN },
        Scene { conditions: &[FREE, THERMAL, LOWERED], dwell: 0.8, blanks: 0.1, idle: 0.05, ..PLAIN },
        Scene { conditions: &[THERMAL, LOWERED], dwell: 0.9, memory_bound: true, idle: 0.1, efficiency: 0.92, ..PLAIN },
    ];
    let mut worst = 0.0_f64;
    for (number, scene) in scenes.iter().enumerate() {
        // A change is seen up to a reading late: with one a second in a window of ten that is more than two points.
        let most = if scene.every < 1.0 { 0.02 } else { 0.04 };
        for seed in 1..=20 {
            let (ledger, truth) = ledger_of(scene, seed);
            assert!(ledger.gap().abs() < 1e-9);
            let told = |cause: &str| ledger.losses.iter().find(|loss| loss.cause == cause).and_then(|loss| loss.fraction);
            for (cause, part) in truth.iter().filter(|(cause, _)| !cause.is_empty()) {
                let off = (told(cause).unwrap_or(0.0) - part).abs();
                if scene.every < 1.0 {
                    worst = worst.max(off);
                }
                assert!(off < most, "scene {number}, seed {seed}, {cause}: {part}, told {ledger:?}");
            }
            // Just after the window begins, the last reading before it may still speak of what is over.
            let invented = |loss: &&Loss| !truth.contains_key(&loss.cause) && loss.fraction.is_none_or(|part| part > most);
            assert_eq!(ledger.losses.iter().find(invented), None, "invented in scene {number}");
        }
    }
    println!("worst part is {:.2} points off", worst * 100.0);
}

#[test]
fn without_readings_the_clock_is_unknown_within_a_bound() {
    let mut random = Random::new(1);
    let course = course(&Scene { conditions: &[LOWERED], ..PLAIN }, &mut random);
    let trace = trace(&PLAIN, &course, &mut random);
    let entry = runner::replay(Trace { readings: Vec::new(), ..trace.clone() }, None);
    let ledger = judge::explain(&entry).expect("a ledger");
    let clock = ledger.losses.iter().find(|loss| loss.cause == "clock").expect("a line");
    assert_eq!(clock.fraction, None);
    assert!(clock.at_most.is_some_and(|bound| (bound - 0.36).abs() < 0.01) && ledger.gap().abs() < 1e-9, "{ledger:?}");
    assert_eq!(entry.rate.and_then(|rate| rate.limiter), None);
    // A reading from before the window holds in it.
    assert_eq!(Replay::new(trace).readings(Nanos(150_000_000), Nanos(250_000_000)).len(), 2);
}

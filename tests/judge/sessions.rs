//! Runs of sessions that differ, and runs that vary by more or less than is taken for granted: false alarms and power, the tables of
//! `docs/judging.md`. Runs come as quoted figures, so that nothing but what varies between them is at work.

use crate::random::Random;
use assay::judge::{Location, Sessions, pair};

const DRAWS: u32 = 1500;

/// How a side is measured: runs in each of its sessions.
type Shape = &'static [usize];

/// What varies: between sessions, and between the runs of one.
#[derive(Clone, Copy, Debug)]
struct Varies {
    sessions: f64,
    runs: f64,
}

/// Parts of draws.
#[derive(Clone, Copy, Debug, Default)]
struct Shares {
    regressed: f64,
    improved: f64,
    ok: f64,
}

fn side(
    random: &mut Random,
    shape: Shape,
    varies: Varies,
    mean: f64,
    days: &mut Vec<f64>,
    first: usize,
) -> (Vec<Location>, Vec<usize>) {
    let (mut runs, mut sessions) = (Vec::new(), Vec::new());
    for (at, count) in shape.iter().enumerate() {
        while days.len() <= first + at {
            days.push(random.normal(varies.sessions));
        }
        for _ in 0..*count {
            let value = 100.0 * (mean + days[first + at] + random.normal(varies.runs)).exp();
            runs.push(Location::quoted(value, value * 0.9995, value * 1.0005, true).expect("a value"));
            sessions.push(first + at);
        }
    }
    (runs, sessions)
}

/// With `turns` the candidate is measured in the baseline's sessions.
fn shares(before: Shape, after: Shape, varies: Varies, drop: f64, turns: bool) -> Shares {
    let mut random = Random::new(3);
    let mut counts = [0_u32; 3];
    for _ in 0..DRAWS {
        let mut days = Vec::new();
        let (baseline, first) = side(&mut random, before, varies, 0.0, &mut days, 0);
        let begin = if turns { 0 } else { before.len() };
        let (candidate, second) = side(&mut random, after, varies, (1.0 - drop).ln(), &mut days, begin);
        let sessions = Sessions { before: first, after: second };
        let judged = pair::judge_sessions(&baseline, &candidate, &sessions, &pair::Terms::default()).expect("both sides");
        match judged.verdict {
            pair::Verdict::Regressed => counts[0] += 1,
            pair::Verdict::Improved => counts[1] += 1,
            pair::Verdict::Ok => counts[2] += 1,
            _ => {}
        }
    }
    let [regressed, improved, ok] = counts.map(|count| f64::from(count) / f64::from(DRAWS));
    Shares { regressed, improved, ok }
}

fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

/// Of one session, so that runs alone vary.
#[test]
fn what_runs_vary_by_is_not_taken_for_granted() {
    println!("runs, sd: falsely regressed, improved, ok | found of 1, 2, 5 %");
    for (before, after) in [(&[1][..], &[1][..]), (&[3], &[1]), (&[5], &[1]), (&[5], &[3])] {
        for sd in [0.0015, 0.003, 0.005, 0.01, 0.02] {
            let varies = Varies { sessions: 0.0, runs: sd };
            let none = shares(before, after, varies, 0.0, true);
            let found = [0.01, 0.02, 0.05].map(|drop| shares(before, after, varies, drop, true).regressed);
            let none_said = [none.regressed, none.improved, none.ok].map(percent).join(" ");
            println!("{}v{} {:.2} %: {none_said} | {}", before[0], after[0], sd * 100.0, found.map(percent).join(" "));
            let most = if sd <= 0.005 { 0.04 } else { 0.06 };
            assert!(none.regressed <= most && none.improved <= most, "{before:?} {after:?} {sd}: {none:?}");
            if sd <= 0.003 && before[0] > 1 {
                assert!(found[1] >= 0.9 && found[2] >= 0.995 && none.ok >= 0.9, "{before:?} {after:?} {sd}: {found:?} {none:?}");
            }
        }
    }
}

#[test]
fn runs_of_one_session_count_as_one_day() {
    println!("sessions' sd: falsely regressed, improved, ok; runs of a session vary by 0.2 %");
    let days: Shape = &[1, 1, 1, 1, 1];
    let shapes: [(&str, Shape, Shape, bool); 6] = [
        ("5 of one day v 3 of another", &[5], &[3], false),
        ("3 of one day v 1 of another", &[3], &[1], false),
        ("5 days v 1", days, &[1], false),
        ("5 days v 3 of another", days, &[3], false),
        ("3 days of 2 v 3 of another", &[2, 2, 2], &[3], false),
        ("5 v 3 in turns", &[5], &[3], true),
    ];
    for (name, before, after, turns) in shapes {
        for sd in [0.0, 0.003, 0.005, 0.007, 0.01] {
            let varies = Varies { sessions: sd, runs: 0.002 };
            let none = shares(before, after, varies, 0.0, turns);
            let found = [0.02, 0.05].map(|drop| shares(before, after, varies, drop, turns).regressed);
            let none_said = [none.regressed, none.improved, none.ok].map(percent).join(" ");
            println!("{name}, {:.1} %: {none_said} | found of 2 and 5 % {}", sd * 100.0, found.map(percent).join(" "));
            // One session a side does not tell what sessions vary by: what is taken for granted holds up to half a percent and more.
            let most = if sd <= 0.006 { 0.04 } else { 0.12 };
            assert!(none.regressed <= most && none.improved <= most, "{name} {sd}: {none:?}");
        }
        let usual = Varies { sessions: 0.003, runs: 0.003 };
        let (found, none) = (shares(before, after, usual, 0.05, turns).regressed, shares(before, after, usual, 0.0, turns));
        println!("{name}, both 0.3 %: ok {} | found of 5 % {}", percent(none.ok), percent(found));
        assert!(found >= 0.98, "{name}: {found}");
    }
}

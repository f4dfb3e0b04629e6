//! assay's side of the comparison with its peers: one workload of the CPU, launched on demand.
//!
//! `cpu_peer WORKLOAD FOOTPRINT_BYTES [slow]` prints `ready`, then for each line with a number makes that many launches and prints
//! the seconds they took. Without arguments, as `cargo bench` calls it, it says so and ends: `benches/cpu_peers` is what runs it.

use assay::{
    device::BACKENDS,
    plan::{Pass, VariantKind},
    workload::{self, Choice, SUITES},
};
use std::{
    error::Error,
    io::{BufRead, Write},
};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let [id, footprint, rest @ ..] = &arguments[..] else {
        println!("the CPU against its peers is measured by benches/cpu_peers");
        return Ok(());
    };
    let backend = BACKENDS.iter().find(|backend| backend.name == "cpu").ok_or("no CPU backend")?;
    let machine = (backend.open)(&["cpu:0".into()])?;
    let choice = Choice { suite: SUITES[1], footprint: Some(footprint.parse()?), seed: 7 };
    let plans = workload::plans(&machine.devices()[0], &choice);
    let plan = plans.iter().find(|plan| plan.key.id() == *id).ok_or_else(|| format!("no workload {id}"))?;
    let kind = if rest.iter().any(|word| word == "slow") { VariantKind::Slow } else { VariantKind::Own };
    let variants: Vec<_> = machine.variants(plan).into_iter().filter(|variant| variant.kind == kind).take(1).collect();
    let mut ready = machine.prepare(plan, &variants)?;
    ready.fill(Pass::Random)?;
    let mut output = std::io::stdout();
    writeln!(output, "ready")?;
    output.flush()?;
    for line in std::io::stdin().lock().lines() {
        ready.start(0, line?.trim().parse()?)?;
        while !ready.finished()? {}
        let seconds: f64 = ready.spans()?.iter().map(|span| span.took.seconds()).sum();
        writeln!(output, "{seconds:.9}")?;
        output.flush()?;
    }
    Ok(())
}

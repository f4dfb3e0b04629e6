//! What failures leave of a unit: one factor a class, never two for one loss.
//!
//! Replicas lose the share of time that nodes are down, or have spares that stand in. A synchronous job loses what goodput says of
//! work done twice and of restarts, and the time in which a node of it is missing, for which spares stand in as well. A type says
//! either `availability`, which is the provider's word for the same loss, or `failures`.

use super::{
    file::{Demand, Failures, Spares, Synchronous, Type},
    text::{At, Refused, Text},
};
use crate::reserve::{checkpoints, enough_up, goodput, spares};

/// Share of the time below which a job whose nodes must all be up is not worth to be reckoned with.
const RUNS: f64 = 0.01;

/// The share that is left of a type's CU for a class, besides its availability, and how it came about.
///
/// # Errors
/// When a loss is said twice, or not at all where it must be.
pub fn kept(text: &Text, kind: &Type, class: &Demand) -> Result<(f64, Option<String>), Refused> {
    let name = kind.id.get_ref();
    if let (Some(availability), Some(_)) = (&kind.availability, &kind.failures) {
        let says = format!("type {name} says both `availability` and `failures`, which are one loss; keep one of them");
        return Err(text.refuse(availability, says));
    }
    let rates = kind.failures.as_ref().map(|failures| rates(text, failures.get_ref())).transpose()?;
    match (&class.synchronous, rates, &kind.spares) {
        (Some(job), None, _) => {
            let says = format!(
                "class {} is synchronous: type {name} must say `failures = {{ per_node_day = …, repair_days = … }}`, from which goodput follows",
                class.class.get_ref()
            );
            Err(text.refuse(job, says))
        }
        (Some(job), Some(rates), wanted) => {
            of_job(text, job.get_ref(), rates, wanted.as_ref()).map(|(share, how)| (share, Some(how)))
        }
        (None, None, None) => Ok((1.0, None)),
        (None, None, Some(wanted)) => {
            Err(text.refuse(wanted, format!("spares of type {name} follow from `failures`, which it does not say")))
        }
        (None, Some((rate, repair)), None) => {
            let down = rate * repair / (1.0 + rate * repair);
            Ok((1.0 - down, Some(format!("times {:.4}, the share of time that a node is up", 1.0 - down))))
        }
        (None, Some((rate, repair)), Some(wanted)) => {
            let (nodes, extra) = pool(text, wanted, (rate, repair))?;
            let share = nodes as f64 / (nodes + extra) as f64;
            Ok((share, Some(format!("times {nodes} / {}, for {extra} spares of {nodes} nodes needed", nodes + extra))))
        }
    }
}

/// Nodes that are needed, and spares on top.
fn pool(text: &Text, wanted: &At<Spares>, (rate, repair): (f64, f64)) -> Result<(u64, u64), Refused> {
    let (nodes, assurance) = (*wanted.get_ref().nodes.get_ref(), *wanted.get_ref().assurance.get_ref());
    let enough = (1..=1_000_000).contains(&nodes).then(|| spares(nodes, rate, repair, assurance)).flatten();
    let says =
        || format!("no number of spares suffices for {nodes} nodes with an assurance of {assurance}; it must lie between 0 and 1");
    enough.map(|extra| (nodes, extra)).ok_or_else(|| text.refuse(wanted, says()))
}

fn rates(text: &Text, failures: &Failures) -> Result<(f64, f64), Refused> {
    let rate = text.within("per_node_day", &failures.per_node_day, 0.0, 10.0)?;
    Ok((rate, text.within("repair_days", &failures.repair_days, 0.0, 365.0)?))
}

/// Goodput while the nodes are there, times the share of the time in which they are, times what spares leave of the units.
fn of_job(
    text: &Text,
    job: &Synchronous,
    (rate, repair): (f64, f64),
    wanted: Option<&At<Spares>>,
) -> Result<(f64, String), Refused> {
    let checkpoint = text.within("checkpoint_seconds", &job.checkpoint_seconds, 0.0, 86_400.0)?;
    let restart = text.within("restart_seconds", &job.restart_seconds, 0.0, 86_400.0)?;
    let nodes = *job.nodes.get_ref();
    if nodes == 0 {
        return Err(text.refuse(&job.nodes, "a job has at least 1 node"));
    }
    let (needed, extra) = wanted.map_or(Ok((nodes, 0)), |wanted| pool(text, wanted, (rate, repair)))?;
    if let Some(fewer) = wanted.filter(|_| needed < nodes) {
        let says = format!("spares are for {needed} nodes, and a job needs {nodes} at once; say `nodes = {nodes}` or more");
        return Err(text.refuse(fewer, says));
    }
    if rate == 0.0 {
        return Ok((1.0, "times 1, as no node fails".into()));
    }
    let found = goodput(checkpoints::Failures::of_nodes(nodes, rate, checkpoint, restart));
    if found.share <= 0.0 {
        return Err(text.refuse(&job.nodes, format!("{nodes} nodes fail faster than the job can get on; its goodput is 0")));
    }
    let up = enough_up(needed, extra, rate, repair);
    if up < RUNS {
        let says = format!(
            "all {nodes} nodes are up only {up:.1e} of the time, so that the job waits for repairs; say `spares = {{ nodes = {nodes}, assurance = 0.999 }}` in the type"
        );
        return Err(text.refuse(&job.nodes, says));
    }
    let minutes = found.interval / 60.0;
    let spared = match wanted {
        Some(_) => format!(", times {needed} / {} for {extra} spares", needed + extra),
        None => ", without `spares`".to_owned(),
    };
    let how = format!(
        "times goodput {:.4} of {nodes} nodes, checkpoints every {minutes:.1} min, times {up:.4}, the share of the time that {needed} nodes are up{spared}",
        found.share
    );
    Ok((found.share * up * needed as f64 / (needed + extra) as f64, how))
}

/// The type's availability; 1 where losses are said otherwise, or not.
///
/// # Errors
/// When it is no share.
pub fn availability(text: &Text, given: Option<&At<f64>>) -> Result<f64, Refused> {
    given.map_or(Ok(1.0), |given| text.within("availability", given, 1e-6, 1.0))
}

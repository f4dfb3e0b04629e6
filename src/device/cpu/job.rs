//! A plan as this backend runs it: taken apart and checked once, so that nothing is looked up between launches.

use crate::{
    contract::Unsupported,
    dtype::Dtype,
    plan::{Arg, Op, Plan, Step, Submit},
};

/// What a launch computes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Work {
    Read {
        segments: usize,
        passes: u64,
    },
    Write {
        seed: u32,
    },
    Copy,
    Scale {
        s: f64,
    },
    Add,
    Triad {
        passes: u64,
        s: f64,
    },
    Dot {
        segments: usize,
    },
    Matmul {
        m: usize,
        n: usize,
        k: usize,
    },
    /// Kernels of one word, each of which takes what the one before it wrote.
    Chain,
}

/// A launch: what is computed, on which buffers.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    pub work: Work,
    pub dtype: Dtype,
    /// Buffers read, one or two of them; none when only the output is written.
    pub inputs: Vec<usize>,
    pub output: usize,
    /// Elements of an input, or of the output where there is none.
    pub n: usize,
}

impl Job {
    /// # Errors
    /// [`Unsupported`] when this backend has no kernel for the plan, or the plan's arguments do not fit its buffers.
    pub fn of(plan: &Plan) -> Result<Self, Unsupported> {
        if plan.program.len() > 1 {
            return Self::chain(plan);
        }
        let [step] = &plan.program[..] else { return Err(other("a plan of no step")) };
        if let Submit::Graph(_) | Submit::RoundTrip { .. } = plan.submit {
            return Err(other("a CPU has no graphs to launch"));
        }
        let Op::Kernel { stem, args } = &step.op else { return Err(other("the CPU backend runs kernels only")) };
        let (work, inputs, output, n) = parse(stem, args)?;
        let dtype = plan.buffers.get(output).ok_or_else(|| other("an argument names no buffer"))?.dtype;
        let job = Self { work, dtype, inputs, output, n: whole(n)? };
        job.known_format()?;
        job.fits(plan)?;
        Ok(job)
    }

    /// A graph of links, which the team is given at once.
    fn chain(plan: &Plan) -> Result<Self, Unsupported> {
        let link = |(step, index): (&Step, u64)| match &step.op {
            Op::Kernel { stem: "link", args } => match args[..] {
                [Arg::Buffer(first), Arg::Buffer(words), Arg::Count(at)] if at == index => Some((first, words)),
                _ => None,
            },
            _ => None,
        };
        let links: Option<Vec<(usize, usize)>> = plan.program.iter().zip(0..).map(link).collect();
        let buffers = links.filter(|links| links.iter().all(|buffers| *buffers == links[0])).map(|links| links[0]);
        let (Some((first, words)), Submit::Graph(1)) = (buffers, plan.submit) else {
            return Err(other("the CPU backend runs plans of one step, and chains of links as a graph"));
        };
        let job = Self { work: Work::Chain, dtype: Dtype::Uint32, inputs: vec![first], output: words, n: plan.program.len() };
        job.fits(plan)?;
        Ok(job)
    }

    fn known_format(&self) -> Result<(), Unsupported> {
        let words = matches!(self.work, Work::Read { .. } | Work::Write { .. });
        match self.dtype {
            Dtype::Uint32 if words => Ok(()),
            Dtype::Fp32 | Dtype::Fp64 if !words => Ok(()),
            other => Err(Unsupported::Precision(other.to_string())),
        }
    }

    /// Every buffer holds what the arguments say of it.
    fn fits(&self, plan: &Plan) -> Result<(), Unsupported> {
        let product = |a: usize, b: usize| a.checked_mul(b).ok_or_else(|| other("the shape overflows"));
        let (inputs, output) = match self.work {
            Work::Chain => (vec![1], self.n),
            Work::Matmul { m, n, k } => (vec![product(m, k)?, product(k, n)?], product(m, n)?),
            Work::Read { segments, .. } | Work::Dot { segments } => (vec![self.n; self.inputs.len()], segments),
            _ => (vec![self.n; self.inputs.len()], self.n),
        };
        if let Work::Read { segments, .. } | Work::Dot { segments } = self.work
            && (segments == 0 || !self.n.is_multiple_of(segments))
        {
            return Err(other("the elements do not divide into that many segments"));
        }
        let needs = self.inputs.iter().copied().zip(inputs).chain([(self.output, output)]);
        for (index, needed) in needs {
            let buffer = plan.buffers.get(index).ok_or_else(|| other("an argument names no buffer"))?;
            if needed == 0 || buffer.elements < needed as u64 || buffer.dtype != self.dtype {
                return Err(other("a buffer is empty, too short, or of another format than the output"));
            }
        }
        if self.inputs.contains(&self.output) { Err(other("an output is its own input")) } else { Ok(()) }
    }
}

fn other(why: &str) -> Unsupported {
    Unsupported::Other(why.into())
}

fn whole(count: u64) -> Result<usize, Unsupported> {
    usize::try_from(count).map_err(|_| other("a count is larger than an address"))
}

/// Arguments in the order that [`crate::plan`] lays down.
fn parse(stem: &str, args: &[Arg]) -> Result<(Work, Vec<usize>, usize, u64), Unsupported> {
    use Arg::{Buffer, Count, Real};
    Ok(match (stem, args) {
        ("read", &[Buffer(a), Buffer(c), Count(n), Count(segments), Count(passes)]) => {
            (Work::Read { segments: whole(segments)?, passes }, vec![a], c, n)
        }
        ("write", &[Buffer(c), Count(n), Count(seed)]) => (Work::Write { seed: seed as u32 }, vec![], c, n),
        ("copy", &[Buffer(a), Buffer(c), Count(n)]) => (Work::Copy, vec![a], c, n),
        ("scale", &[Buffer(a), Buffer(c), Count(n), Real(s)]) => (Work::Scale { s }, vec![a], c, n),
        ("add", &[Buffer(a), Buffer(b), Buffer(c), Count(n)]) => (Work::Add, vec![a, b], c, n),
        ("triad", &[Buffer(a), Buffer(b), Buffer(c), Count(n), Count(passes), Real(s)]) => {
            (Work::Triad { passes, s }, vec![a, b], c, n)
        }
        ("dot", &[Buffer(a), Buffer(b), Buffer(c), Count(n), Count(segments)]) => {
            (Work::Dot { segments: whole(segments)? }, vec![a, b], c, n)
        }
        ("matmul", &[Buffer(a), Buffer(b), Buffer(c), Count(m), Count(n), Count(k)]) => {
            let work = Work::Matmul { m: whole(m)?, n: whole(n)?, k: whole(k)? };
            (work, vec![a, b], c, m.saturating_mul(k))
        }
        ("read" | "write" | "copy" | "scale" | "add" | "triad" | "dot" | "matmul", _) => {
            return Err(other(&format!("the arguments of `{stem}` are not those of its row in the table of stems")));
        }
        _ => return Err(Unsupported::Stem(stem.into())),
    })
}

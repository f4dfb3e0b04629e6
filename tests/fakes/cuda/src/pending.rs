//! Stands where the interpreter will: reads the heads of kernels and executes nothing.

use std::fmt;

pub struct Module {
    pub target: String,
    pub version: (u32, u32),
    kernels: Vec<Kernel>,
}

pub struct Kernel {
    pub name: String,
    pub parameters: Vec<Parameter>,
    pub max_threads: Option<u32>,
    pub required_cluster: Option<[u32; 3]>,
    pub static_shared: u32,
}

pub struct Parameter {
    pub offset: usize,
    pub bytes: usize,
}

pub struct ParseError {
    pub line: usize,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no module")
    }
}

pub struct Geometry {
    pub grid: [u32; 3],
    pub block: [u32; 3],
    pub cluster: [u32; 3],
    pub dynamic_shared: u32,
}

#[derive(Default)]
pub struct Options {
    pub multiprocessors: u32,
}

pub struct Counters {
    pub flops: u64,
    pub global_read: u64,
    pub global_written: u64,
}

impl Module {
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let after = |word: &str| text.split(word).nth(1).and_then(|rest| rest.split_whitespace().next());
        let version = after(".version ").and_then(|version| version.split_once('.')).ok_or(ParseError { line: 1 })?;
        let kernel = |part: &str| Kernel {
            name: part.split(['(', '\n']).next().unwrap_or_default().trim().into(),
            parameters: part
                .split(')')
                .next()
                .unwrap_or_default()
                .split(".param")
                .skip(1)
                .enumerate()
                .map(|(index, _)| Parameter { offset: index * 8, bytes: 8 })
                .collect(),
            max_threads: None,
            required_cluster: None,
            static_shared: 0,
        };
        Ok(Self {
            target: after(".target ").unwrap_or_default().into(),
            version: (version.0.parse().unwrap_or(0), version.1.parse().unwrap_or(0)),
            kernels: text.split(".entry ").skip(1).map(kernel).collect(),
        })
    }

    pub fn kernel(&self, name: &str) -> Option<&Kernel> {
        self.kernels.iter().find(|kernel| kernel.name == name)
    }
}

pub fn launch(
    kernel: &Kernel,
    _module: &Module,
    geometry: &Geometry,
    _parameters: &[u8],
    _memory: &mut simt::Memory,
    _options: &Options,
) -> Result<Counters, simt::Fault> {
    let threads: u32 = geometry.grid.iter().chain(&geometry.block).chain(&geometry.cluster).product();
    Err(simt::Fault::Broken(format!("{} cannot be executed yet: {threads} threads, {}", kernel.name, geometry.dynamic_shared)))
}

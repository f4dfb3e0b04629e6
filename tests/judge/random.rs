//! Seeded random numbers for draws: PCG (O'Neill 2014), and what distributions are needed of it.

/// A stream of random numbers that is the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xDA94_2042_E4DD_58B5);
        for _ in 0..4 {
            random.bits();
        }
        random
    }

    fn bits(&mut self) -> u32 {
        let state = self.0;
        self.0 = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((((state >> 18) ^ state) >> 27) as u32).rotate_right((state >> 59) as u32)
    }

    /// In 0..1, never either.
    pub fn unit(&mut self) -> f64 {
        (f64::from(self.bits()) + 0.5) / f64::from(u32::MAX)
    }

    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Whole, in low..high.
    pub fn whole(&mut self, low: usize, high: usize) -> usize {
        low + ((high - low) as f64 * self.unit()) as usize
    }

    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.whole(0, of.len())]
    }

    pub fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// Normal with mean 0 (Box and Muller 1958).
    pub fn normal(&mut self, sd: f64) -> f64 {
        sd * (-2.0 * self.unit().ln()).sqrt() * (std::f64::consts::TAU * self.unit()).cos()
    }

    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.unit().ln()
    }
}

/// An autoregression of first order with this standard deviation.
pub fn correlated(random: &mut Random, count: usize, phi: f64, sd: f64) -> Vec<f64> {
    let fresh = sd * (1.0 - phi * phi).sqrt();
    let mut state = random.normal(sd);
    (0..count)
        .map(|_| {
            state = phi * state + random.normal(fresh);
            state
        })
        .collect()
}
